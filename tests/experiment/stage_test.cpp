#include "experiment/stage.h"

#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

#include "core/files.h"
#include "support.h"

namespace veilnet::experiment {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kFiles{"model", "checkpoint/state.pt", "pictures/*/*.png"};

Stage stage(const std::string& epochs = "3") {
  return {"transform", 1, {{"transform.epochs", epochs}}, {{"data", "abc"}}};
}

void touch(const fs::path& path) { write_file(path, "x", Overwrite::Yes); }

// Runs the stage to its end, as a training does.
void complete(const fs::path& folder, const Stage& what, Mode mode = Mode::Fresh) {
  StageFolder place(folder, what, kFiles, {{"threads", "1"}}, mode);
  if (place.finished()) return;
  touch(folder / "model");
  place.finish("result of " + what.key());
}

TEST(StageKey, ChangesWithEveryPartAndWithNothingElse) {
  const auto key = stage().key();
  EXPECT_EQ(key, stage().key());
  auto other = stage();
  other.version = 2;
  EXPECT_NE(other.key(), key);
  other = stage();
  other.name = "gan";
  EXPECT_NE(other.key(), key);
  other = stage();
  other.inputs["data"] = "abd";
  EXPECT_NE(other.key(), key);
  EXPECT_NE(stage("4").key(), key);
}

TEST(StageKey, DifferencesNameOldAndNewValues) {
  auto now = stage("300");
  now.inputs["classifier"] = "0123456789abcdef";
  const auto found = differences(stage("16"), now);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], "transform.epochs: 16 -> 300");
  EXPECT_EQ(found[1], "classifier: none -> 0123456789ab");
}

TEST(StageFolder, FinishedMeansOfThisKey) {
  const test::TemporaryFolder root;
  const auto folder = root / "transform";
  EXPECT_FALSE(finished_stage(folder, stage()));
  {
    StageFolder place(folder, stage(), kFiles, {}, Mode::Fresh);
    EXPECT_FALSE(finished_stage(folder, stage())) << "it has only begun";
  }
  complete(folder, stage(), Mode::Force);
  EXPECT_EQ(finished_stage(folder, stage())->result, "result of " + stage().key());
  test::expect_error(ErrorCode::InvalidArgument, {"transform.epochs: 3 -> 4"},
                     [&] { finished_stage(folder, stage("4")); });
}

TEST(StageFolder, EachModeDoesWhatItSays) {
  const test::TemporaryFolder root;
  const auto folder = root / "transform";
  const auto open = [&](const Stage& what, Mode mode) {
    return StageFolder(folder, what, kFiles, {}, mode).resumes();
  };
  test::expect_error(ErrorCode::NotFound, {"no checkpoint"}, [&] { open(stage(), Mode::Resume); });
  EXPECT_FALSE(open(stage(), Mode::Fresh));
  test::expect_error(ErrorCode::NotFound, {"no checkpoint"}, [&] { open(stage(), Mode::Resume); });
  touch(folder / "checkpoint" / "state.pt");
  test::expect_error(ErrorCode::AlreadyExists, {"--resume", "--force"},
                     [&] { open(stage(), Mode::Fresh); });
  for (const auto mode : {Mode::Resume, Mode::Keep, Mode::Complete})
    EXPECT_TRUE(open(stage(), mode));
  for (const auto mode : {Mode::Resume, Mode::Keep, Mode::Fresh})
    test::expect_error(ErrorCode::InvalidArgument, {"transform.epochs: 3 -> 4", "--force"},
                       [&] { open(stage("4"), mode); });
  EXPECT_FALSE(open(stage("4"), Mode::Complete)) << "a state of another key is no state";
  EXPECT_FALSE(fs::exists(folder / "checkpoint")) << "nor is it left for later";
  complete(folder, stage("4"), Mode::Complete);
  EXPECT_TRUE(StageFolder(folder, stage("4"), kFiles, {}, Mode::Complete).finished());
  EXPECT_TRUE(fs::exists(folder / "model"));
  EXPECT_FALSE(StageFolder(folder, stage("4"), kFiles, {}, Mode::Force).finished());
  EXPECT_FALSE(fs::exists(folder / "model"));
}

TEST(StageFolder, NothingButItsOwnFilesIsEverRemoved) {
  const test::TemporaryFolder root;
  const auto foreign = root / "foreign";
  touch(foreign / "notes.txt");
  for (const auto mode : {Mode::Fresh, Mode::Force, Mode::Complete, Mode::Keep})
    test::expect_error(ErrorCode::AlreadyExists, {"notes.txt", "move it away"},
                       [&] { complete(foreign, stage(), mode); });
  EXPECT_TRUE(fs::exists(foreign / "notes.txt"));
  const auto pictures = root / "Pictures";
  touch(pictures / "pictures" / "holiday.png");
  test::expect_error(ErrorCode::AlreadyExists, {"pictures"},
                     [&] { complete(pictures, stage(), Mode::Force); });

  const auto own = root / "own";
  touch(own / "nested" / "run.json");  // a stage below it, or somebody's folder
  complete(own, stage());
  touch(own / "notes.txt");
  touch(own / "pictures" / "a" / "1.png");
  touch(own / "pictures" / "a" / "1.jpg");
  touch(own / "pictures" / "b" / "2.png");
  fs::create_symlink(foreign, own / "pictures" / "c");
  complete(own, stage(), Mode::Force);
  for (const char* kept : {"notes.txt", "nested/run.json", "pictures/a/1.jpg"})
    EXPECT_TRUE(fs::exists(own / kept)) << kept;
  EXPECT_FALSE(fs::exists(own / "pictures" / "a" / "1.png"));
  EXPECT_FALSE(fs::exists(own / "pictures" / "b"));
  EXPECT_TRUE(fs::exists(foreign / "notes.txt"));
}

// Of a stage of several trainings one may have ended when another was interrupted.
TEST(StageFolder, WhatItHasLeftBeforeItsFirstCheckpointStays) {
  const test::TemporaryFolder root;
  const auto folder = root / "attack";
  const auto open = [&](const Stage& what, Mode mode) {
    StageFolder place(folder, what, kFiles, {}, mode);
    EXPECT_FALSE(place.finished());
    return fs::exists(folder / "model");
  };
  open(stage(), Mode::Complete);
  touch(folder / "model");
  EXPECT_TRUE(open(stage(), Mode::Complete));
  EXPECT_FALSE(open(stage("4"), Mode::Complete)) << "of another key";
  touch(folder / "model");
  EXPECT_FALSE(open(stage("4"), Mode::Force));
}

TEST(StageFolder, HasOneWriter) {
  const test::TemporaryFolder root;
  const auto folder = root / "transform";
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready) | pipe(done), 0);
  const pid_t other = fork();
  if (other == 0) {
    char byte = 0;
    StageFolder place(folder, stage(), kFiles, {}, Mode::Fresh);
    if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1) _exit(1);
    _exit(0);  // without a destructor, as a killed process ends
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  test::expect_error(ErrorCode::AlreadyExists, {"in use", std::to_string(other)},
                     [&] { complete(folder, stage(), Mode::Complete); });
  ASSERT_EQ(write(done[1], &byte, 1), 1);
  int status = 0;
  waitpid(other, &status, 0);
  EXPECT_EQ(status, 0);
  complete(folder, stage(), Mode::Complete);
  EXPECT_TRUE(finished_stage(folder, stage()));
  EXPECT_FALSE(fs::exists(root / "transform.lock"));
}

TEST(StageRecord, RefusesWhatIsNone) {
  const test::TemporaryFolder root;
  const auto path = root.path() / "run.json";
  for (const char* text : {"", "[]", "{\"key\": 3}", "{\"stage\": \"x\", \"version\": \"1\"}"}) {
    write_file(path, std::string_view(text), Overwrite::Yes);
    test::expect_error(ErrorCode::BadData, {path.string()}, [&] { read_stage(root.path()); });
  }
  complete(root / "s", stage());
  write_file(path, std::string(100'000, '['), Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {path.string(), "deeper than"},
                     [&] { read_stage(root.path()); });
  auto text = read_text(root.path() / "s" / "run.json");
  text.replace(text.find("\"3\""), 3, "\"4\"");
  write_file(path, text, Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {path.string(), "key"}, [&] { read_stage(root.path()); });
}

}  // namespace
}  // namespace veilnet::experiment
