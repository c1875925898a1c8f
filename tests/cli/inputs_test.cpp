#include "cli/inputs.h"

#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/files.h"
#include "support.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

void touch(const fs::path& path) { write_file(path, "x", Overwrite::No); }

std::vector<std::string> names(const Inputs& inputs) {
  std::vector<std::string> names;
  for (const auto& picture : inputs.pictures) names.push_back(picture.name.string());
  return names;
}

std::vector<std::string> as_text(const std::vector<fs::path>& paths) {
  return {paths.begin(), paths.end()};
}

TEST(FindInputs, WalksFoldersInOrderWithoutHiddenFiles) {
  const TemporaryFolder folder;
  for (const char* name : {"b.PNG", "a/c.jpg", "a/b/d.webp", "z.jpeg", "._b.png", ".git/e.png",
                           "note.txt", "x.gif", "a/y.GIF", "a/s.tiff"})
    touch(folder / name);
  const auto found = find_inputs({folder.path()});
  EXPECT_THAT(names(found), ElementsAre("a/b/d.webp", "a/c.jpg", "b.PNG", "z.jpeg"));
  EXPECT_EQ(found.pictures[0].path, folder / "a/b/d.webp");
  EXPECT_THAT(found.failures, IsEmpty());
  EXPECT_THAT(found.left_out, ElementsAre(Pair("GIF", 2), Pair("TIFF", 1)));
}

TEST(FindInputs, TakesFilesAsTheyAre) {
  const TemporaryFolder folder;
  for (const char* name : {".hidden.png", "data.bin"}) touch(folder / name);
  const auto found = find_inputs({folder / ".hidden.png", folder / "data.bin", "-"});
  EXPECT_THAT(names(found), ElementsAre(".hidden.png", "data.bin", "standard input"));
}

TEST(FindInputs, FollowsLinksAndNamesWhatIsAtTheirPlace) {
  const TemporaryFolder folder;
  touch(folder / "originals/a.png");
  touch(folder / "elsewhere/deep/b.png");
  fs::create_directories(folder / "photos");
  fs::create_symlink("../originals/a.png", folder / "photos/a.png");
  fs::create_symlink("../elsewhere", folder / "photos/linked");
  const auto found = find_inputs({folder / "photos"});
  EXPECT_THAT(names(found), ElementsAre("a.png", "linked/deep/b.png"));
  EXPECT_EQ(found.pictures[0].path, folder / "photos/a.png");
}

TEST(FindInputs, WalksEachFolderOnceUnderItsOwnName) {
  const TemporaryFolder folder;
  touch(folder / "z/a.png");
  fs::create_directory_symlink(folder / "z", folder / "a");
  fs::create_directory_symlink(folder.path(), folder / "z/up");
  EXPECT_THAT(names(find_inputs({folder.path()})), ElementsAre("z/a.png"));
}

TEST(FindInputs, NamesWhatCannotBeReadAndGoesOn) {
  const TemporaryFolder folder;
  touch(folder / "ok.png");
  fs::create_symlink("self.png", folder / "self.png");
  fs::create_symlink("nowhere", folder / "dangling");
  const auto found = find_inputs({folder.path(), folder / "missing", folder / "ok.png"});
  EXPECT_THAT(names(found), ElementsAre("ok.png", "ok.png"));
  ASSERT_THAT(found.failures, SizeIs(3));
  std::map<fs::path, std::string> messages;
  for (const auto& failure : found.failures) messages[failure.path] = failure.message;
  EXPECT_THAT(messages[folder / "self.png"], HasSubstr("symbolic links"));
  EXPECT_THAT(messages[folder / "dangling"], HasSubstr("No such file"));
  EXPECT_THAT(messages[folder / "missing"], HasSubstr("no such file or folder"));
}

TEST(FindInputs, NamesFoldersThatCannotBeOpened) {
  if (::geteuid() == 0) GTEST_SKIP() << "root can read every folder";
  const TemporaryFolder folder;
  touch(folder / "ok.png");
  touch(folder / "closed/a.png");
  fs::permissions(folder / "closed", fs::perms::none);
  const auto found = find_inputs({folder.path()});
  fs::permissions(folder / "closed", fs::perms::owner_all);
  EXPECT_THAT(names(found), ElementsAre("ok.png"));
  ASSERT_THAT(found.failures, SizeIs(1));
  EXPECT_THAT(found.failures[0].message, HasSubstr("Permission denied"));
}

TEST(FindInputs, ARelativePathIsNamedWithWhereItStartsFrom) {
  const auto found = find_inputs({"no-such-folder"});
  ASSERT_THAT(found.failures, SizeIs(1));
  EXPECT_THAT(found.failures[0].message, HasSubstr("(in " + fs::current_path().string() + ")"));
}

TEST(FindInputs, AFolderWithoutPicturesIsAFailure) {
  const TemporaryFolder folder;
  touch(folder / "a.gif");
  const auto found = find_inputs({folder.path()});
  ASSERT_THAT(found.failures, SizeIs(1));
  EXPECT_EQ(found.failures[0].code, ErrorCode::NotFound);
  EXPECT_THAT(found.left_out, ElementsAre(Pair("GIF", 1)));
}

TEST(FindInputs, LeavesOutTheOutputFolderInside) {
  const TemporaryFolder folder;
  touch(folder / "a.png");
  touch(folder / "out/a.png");
  fs::create_directory_symlink("out", folder / "way");
  EXPECT_THAT(names(find_inputs({folder.path()}, folder / "way")), ElementsAre("a.png"));
  EXPECT_THAT(names(find_inputs({folder.path()}, folder / "none")), SizeIs(2));
}

TEST(PngNames, AreNeverTheSame) {
  const auto named = [](std::initializer_list<const char*> names) {
    std::vector<Input> inputs;
    for (const char* name : names) inputs.push_back({name, name});
    return as_text(png_names(inputs));
  };
  EXPECT_THAT(named({"a.jpg", "sub/a.webp", "b.png"}), ElementsAre("a.png", "sub/a.png", "b.png"));
  EXPECT_THAT(named({"IMG_1.jpg", "IMG_1.png"}), ElementsAre("IMG_1.jpg.png", "IMG_1.png.png"));
  EXPECT_THAT(named({"IMG_1.png", "IMG_1.jpg"}), ElementsAre("IMG_1.png.png", "IMG_1.jpg.png"));
  EXPECT_THAT(named({"a.jpg", "a.webp"}), ElementsAre("a.jpg.png", "a.webp.png"));
  EXPECT_THAT(named({"a.PNG", "a.png"}), ElementsAre("a.PNG.png", "a.png.png"));
  EXPECT_THAT(named({"a.jpg", "a.png", "a.jpg.png"}),
              ElementsAre("a-2.png", "a.png.png", "a.jpg.png"));
  EXPECT_THAT(named({"a.png", "a.png", "a.png"}), ElementsAre("a.png.png", "a-2.png", "a-3.png"));
}

}  // namespace
}  // namespace veilnet::cli
