#include "experiment/models.h"

#include <fstream>
#include <map>
#include <torch/torch.h>

#include <nlohmann/json.hpp>

#include "experiment/phi.h"
#include "image/image.h"
#include "support.h"

namespace veilnet::experiment {
namespace {

// Small enough to train in a second or two on one thread.
Experiment tiny(const std::filesystem::path& runs, const std::string& more = "",
                int pictures = 120) {
  auto config = Config::parse(
      "name = \"t\"\nanyway = true\nruns = \"" + runs.string() +
          "\"\n[compute]\nthreads = 1\n[data]\ntrain_size = " + std::to_string(pictures) +
          "\ntest_size = 20\n"
          "[classifier]\nepochs = 1\nbatch_size = 32\ndepth = 8\n[phi]\nepochs = "
          "1\nlayer = \"relu1_1\"\n"
          "[transform]\nwidth = 2\nepochs = 1\nbatch_size = 32\nencoder_epochs = "
          "1\n[attack]\nwidth = 2\nepochs "
          "= 1\nbatch_size = 32\n" +
          more,
      "tiny");
  return read_experiment(config);
}

Experiment with_drawn_phi(Experiment e, const test::TemporaryFolder& folder) {
  e.phi.file = drawn_phi(folder.path());
  return e;
}

TEST(Models, RefusesUnknownKeysAndMissingPaths) {
  const test::TemporaryFolder folder;
  test::expect_error(ErrorCode::InvalidArgument, {"transform.alhpa"}, [&] {
    auto config = Config::parse("[transform]\nalhpa = 1", "x");
    read_experiment(config);
  });
  test::expect_error(ErrorCode::InvalidArgument, {"data.path", "cifar10"}, [&] {
    auto config = Config::parse("[data]\nsource = \"cifar10\"", "x");
    read_experiment(config);
  });
  test::expect_error(ErrorCode::InvalidArgument, {"compute.device", "tpu"}, [&] {
    auto config = Config::parse("[compute]\ndevice = \"tpu\"", "x");
    read_experiment(config);
  });
}

TEST(SchemeConfig, RowsAndKeyModes) {
  auto config = Config::parse("[scheme]\nid = 'le'\n", "test.toml");
  const auto e = read_experiment(config);
  EXPECT_EQ(e.scheme.adaptation, "tanaka");
  EXPECT_EQ(e.at_scheme("pe-independent").scheme_folder().filename(), "scheme-pe-independent");
  EXPECT_EQ(e.at_scheme("pe-independent").scheme.adaptation, "pixel");
  EXPECT_EQ(e.at_scheme("ele").scheme.adaptation, "ele");
  test::expect_error(ErrorCode::InvalidArgument, {"\"cat\"", "pe-same", "pe-independent"},
                     [&] { e.at_scheme("cat"); });
  auto keyless = Config::parse("[scheme]\nid = 'ele'\nkey_mode = 'independent'\n", "test.toml");
  test::expect_error(ErrorCode::InvalidArgument, {"key_mode", "\"ele\""},
                     [&] { read_experiment(keyless); });
}

TEST(Models, PaperRecipeLeavesThePublishedLossAlone) {
  auto config = Config::parse("[transform]\nrecipe = \"paper\"\nalpha = 0.01", "x");
  const auto options = read_experiment(config).transform.options;
  EXPECT_EQ(options.alpha, 0.01);
  EXPECT_EQ(options.alpha_start, 0.01);
  EXPECT_EQ(options.encoder_epochs, 0);
  EXPECT_EQ(options.bottleneck_weight, 0);
  EXPECT_EQ(options.feature_share, 1);
}

TEST(Models, TrainsEveryStageAndRecordsProvenance) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path(), "", 30);
  const auto w = open_workspace(e);
  const auto psi = train_classifier(e, w, Mode::Fresh);
  const auto h = train_transform(e, w, psi, Mode::Fresh);

  EXPECT_TRUE(finished_classifier(e, w));
  EXPECT_EQ(h.card.notes.at("data_sha256"), w.data_sha256);
  EXPECT_NE(h.card.notes.at("phi").find("cut from a VGG16-BN trained on synthetic"),
            std::string::npos)
      << h.card.notes.at("phi");
  // A finished stage is loaded, not trained again; a second fresh start is refused.
  const auto before = std::filesystem::last_write_time(e.classifier_folder() / "model.safetensors");
  train_classifier(e, w, Mode::Complete);
  EXPECT_EQ(std::filesystem::last_write_time(e.classifier_folder() / "model.safetensors"), before);
  test::expect_error(ErrorCode::AlreadyExists, {"finished", "--force"},
                     [&] { train_classifier(e, w, Mode::Fresh); });
}

TEST(Models, TrainingHDoesNotTouchPsi) {
  const test::TemporaryFolder folder;
  auto e = with_drawn_phi(tiny(folder.path()), folder);
  const auto w = open_workspace(e);
  const auto psi = train_classifier(e, w, Mode::Fresh);
  std::vector<torch::Tensor> before;
  for (const auto& [name, tensor] : nn::state_tensors(*psi.net)) before.push_back(tensor.clone());
  train_transform(e, w, psi, Mode::Fresh);
  size_t i = 0;
  for (const auto& [name, tensor] : nn::state_tensors(*psi.net))
    EXPECT_TRUE(torch::equal(before[i++], tensor)) << name;
}

// Smaller ones train faster.
void halve(image::Batch& pictures) {
  image::Batch half(pictures.height() / 2, pictures.width() / 2);
  for (size_t i = 0; i < pictures.count(); ++i)
    half.append(image::resize(pictures.image(i), half.height(), half.width()));
  pictures = std::move(half);
}

// The highest that alpha was driven to; 0 where nothing drove it.
double highest_alpha_in(const std::filesystem::path& log) {
  double highest = 0;
  std::ifstream in(log);
  for (std::string line; std::getline(in, line);)
    highest = std::max(highest, nlohmann::json::parse(line).value("alpha", 0.0));
  return highest;
}

// The same settings, of which alpha begins at a tenth of the usual: without looks it stays there.
TEST(Models, ProtectionIsReachedFromAnAlphaThatIsTooSmall) {
  const test::TemporaryFolder folder;
  auto config = Config::parse(
      "name = \"t\"\nanyway = true\nruns = \"" + folder.path().string() +
          "\"\n[compute]\nthreads = 1\n[data]\ntrain_size = 400\ntest_size = 20\n"
          "[classifier]\nepochs = 2\nbatch_size = 32\ndepth = 8\n[phi]\nlayer = \"relu1_1\"\n"
          "[transform]\nkind = \"coded\"\nbits = 6\nwidth = 2\nepochs = 24\nbatch_size = 16\n"
          "lr = 0.01\nseed = 3\nencoder_epochs = 2\nalpha_start = 0.005\n",
      "driven");
  auto e = with_drawn_phi(read_experiment(config), folder);
  auto w = open_workspace(e);
  for (auto* set : {&w.data.train, &w.data.test}) halve(set->pictures);
  const auto psi = train_classifier(e, w, Mode::Fresh);
  EXPECT_EQ(e.transform.options.drive, "protection") << "unless said otherwise";
  for (const char* drive : {"steps", "protection"}) {
    e.transform.options.drive = drive;
    const auto notes = train_transform(e, w, psi, Mode::Force).card.notes;
    const bool driven = drive == std::string("protection");
    EXPECT_TRUE(notes.at("verdict").starts_with(driven ? "protects:" : "does not protect:"))
        << notes.at("verdict");
    // Raised, and with what it hides by then lowered again, to the least, 0.005, or not quite.
    EXPECT_EQ(highest_alpha_in(e.transform_folder() / "log.jsonl") >= 0.04, driven);
    if (!driven) EXPECT_FALSE(notes.contains("alpha_at_end"));
    EXPECT_NE(notes.at("bound").find("codes among all 420 pictures at hand"), std::string::npos)
        << notes.at("bound");
  }
}

TEST(Models, ResumingWithAnotherConfigurationIsRefused) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  train_classifier(e, w, Mode::Fresh);
  test::expect_error(ErrorCode::InvalidArgument, {"classifier.depth: 8 -> 14", "--force"}, [&] {
    auto deeper = e;
    deeper.classifier.depth = 14;
    train_classifier(deeper, w, Mode::Resume);
  });
  test::expect_error(ErrorCode::NotFound, {"no checkpoint"},
                     [&] { train_classifier(tiny(folder.path() / "elsewhere"), w, Mode::Resume); });
}

// What is done where, and how often it is saved, is no matter to what comes out.
TEST(Models, ThreadsCheckpointsAndPlaceDoNotMatter) {
  const test::TemporaryFolder folder;
  auto e = with_drawn_phi(tiny(folder.path() / "a"), folder);
  const auto w = open_workspace(e);
  const auto psi = train_classifier(e, w, Mode::Fresh);
  train_transform(e, w, psi, Mode::Fresh);
  std::filesystem::rename(folder.path() / "a", folder.path() / "b");
  e.runs = folder.path() / "b";
  e.compute.threads = 2;
  e.checkpoint_minutes = 0;
  e.attack.width = 4;  // psi and h do not depend on the attack
  EXPECT_TRUE(finished_classifier(e, w));
  EXPECT_TRUE(finished_transform(e, w));
  e.compute.bf16 = !e.compute.bf16;
  test::expect_error(ErrorCode::InvalidArgument, {"compute.precision"},
                     [&] { finished_classifier(e, w); });
}

TEST(Models, AModelThatIsNotTheRecordedOneIsRefused) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  auto psi = train_classifier(e, w, Mode::Fresh);
  nn::state_tensors(*psi.net).front().second.mul_(1.5);
  nn::save_model(psi, e.classifier_folder() / "model.safetensors", Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"run.json", "--force"},
                     [&] { train_classifier(e, w, Mode::Complete); });
}

TEST(Models, ACurvePointStatesItsOwnAlpha) {
  const test::TemporaryFolder folder;
  auto config = Config::parse(
      "[transform]\nalpha = 0.005\n[curve]\nalphas = [0.1]\nepochs = 7\n"
      "attack_epochs = 5\n",
      "x");
  const auto points = read_experiment(config).points();
  ASSERT_EQ(points.size(), 2u);
  auto again = Config::parse(points[1].resolved_toml, "x");
  const auto read = read_experiment(again);
  EXPECT_EQ(read.transform.options.alpha, 0.1);
  EXPECT_EQ(read.transform.options.alpha_start, points[1].transform.options.alpha_start);
  EXPECT_EQ(read.transform.recipe.epochs, 7);
  EXPECT_EQ(read.attack.recipe.epochs, 5);
}

TEST(Models, ACurveKeepsWhatTheConfigurationSays) {
  const auto points = [](const std::string& text) {
    auto config = Config::parse(text, "x");
    return read_experiment(config).points();
  };
  const auto starts = points(
      "[transform]\nalpha = 0.005\nalpha_start = 0.02\nepochs = 3\n[curve]\nalphas = [0.1, 0]");
  EXPECT_EQ(starts[1].transform.options.alpha_start, 0.02);
  EXPECT_EQ(starts[2].transform.options.alpha_start, 0) << "nothing to start with";
  EXPECT_EQ(starts[1].transform.recipe.epochs, 3) << "those of h where it says none";
  const auto followed = points("[curve]\nalphas = [0.1]");
  EXPECT_EQ(followed[1].transform.options.alpha_start, 0.1);
  const auto chance =
      points("[transform]\nkind = 'coded'\nbits = 10\nepsilon = 8\n[curve]\nbits = [4]");
  EXPECT_EQ(chance[1].transform_label(), "coded4-a0.005-eps8");
}

TEST(Models, EpochsThatAreGivenAreNotFitted) {
  const test::TemporaryFolder folder;
  const auto opened = [&](const std::string& text) {
    auto config = Config::parse("[data]\ntrain_size = 500\n[compute]\nthreads = 1\n" + text, "x");
    auto e = read_experiment(config);
    open_workspace(e);
    return e;
  };
  // 3 is what h has of its recipe, before it is fitted.
  const auto given =
      opened("[curve]\nalphas = [0.1]\nepochs = 3\nattack_epochs = 3\n[gan]\nepochs = 3");
  EXPECT_EQ(given.points()[1].transform.recipe.epochs, 3);
  EXPECT_EQ(given.points()[1].attack.recipe.epochs, 3);
  EXPECT_EQ(gan_recipe(given).epochs, 3);
  EXPECT_GT(given.transform.recipe.epochs, 3);
  const auto open = opened("[curve]\nalphas = [0.1]");
  EXPECT_EQ(open.points()[1].transform.recipe.epochs, open.transform.recipe.epochs);
  EXPECT_EQ(gan_recipe(open).epochs, open.transform.recipe.epochs);
  auto again = Config::parse(open.resolved_toml, "x");
  EXPECT_EQ(read_experiment(again).curve.epochs, 0) << "as open as it was";
}

// Which stages of an experiment ran between two looks at it.
class Ran {
 public:
  explicit Ran(const std::filesystem::path& root) : root_(root) { look(); }
  std::vector<std::string> since() {
    const auto before = times_;
    look();
    std::vector<std::string> out;
    for (const auto& [name, time] : times_) {
      const auto old = before.find(name);
      if (old == before.end() || old->second != time) out.push_back(name);
    }
    return out;
  }

 private:
  void look() {
    times_.clear();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      if (entry.path().filename() == "run.json")
        times_[entry.path().parent_path().lexically_relative(root_).string()] =
            entry.last_write_time();
    }
  }
  std::filesystem::path root_;
  std::map<std::string, std::filesystem::file_time_type> times_;
};

void complete(const Experiment& e, const Workspace& w) {
  const auto psi = train_classifier(e, w, Mode::Complete);
  for (const auto& point : e.points())
    train_itn(point, w, train_transform(point, w, psi, Mode::Complete), Mode::Complete);
}

TEST(Models, WhatDependsOnAChangeRunsAgainAndNothingElse) {
  using Names = std::vector<std::string>;
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path(), "[curve]\nalphas = [0.1]\n", 30);
  const auto w = open_workspace(e);
  std::filesystem::create_directories(e.folder());
  Ran ran(e.folder());
  complete(e, w);
  const Names all{"classifier", "curve-a0.1",       "curve-a0.1/attack-itn",      "encoder",
                  "phi-vgg",    "transform-a0.005", "transform-a0.005/attack-itn"};
  EXPECT_EQ(ran.since(), all);
  complete(e, w);
  EXPECT_EQ(ran.since(), Names{}) << "all is finished";

  e.classifier.depth = 14;
  complete(e, w);
  EXPECT_EQ(ran.since(), (Names{"classifier", "curve-a0.1", "curve-a0.1/attack-itn",
                                "transform-a0.005", "transform-a0.005/attack-itn"}));
  e.attack.width = 4;
  complete(e, w);
  EXPECT_EQ(ran.since(), (Names{"curve-a0.1/attack-itn", "transform-a0.005/attack-itn"}));
  e.phi.epochs = 2;
  complete(e, w);
  EXPECT_EQ(ran.since(), (Names{"curve-a0.1", "curve-a0.1/attack-itn", "phi-vgg",
                                "transform-a0.005", "transform-a0.005/attack-itn"}));
}

TEST(Models, APsiThatDoesNotFitTheDataIsRefusedBeforeTheFirstStep) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path());
  auto w = open_workspace(e);
  auto psi = train_classifier(e, w, Mode::Fresh);
  psi.card.class_names.pop_back();
  test::expect_error(ErrorCode::InvalidArgument, {"9 classes", "10"},
                     [&] { train_transform(e, w, psi, Mode::Fresh); });
  psi.card = train_classifier(e, w, Mode::Complete).card;
  psi.card.height = 64;
  test::expect_error(ErrorCode::InvalidArgument, {"32x64", "32x32"},
                     [&] { train_transform(e, w, psi, Mode::Fresh); });
  EXPECT_FALSE(std::filesystem::exists(e.transform_folder()));
}

TEST(Models, NothingIsBuiltOnAPsiThatDidNotLearn) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path());
  e.anyway = false;
  const auto w = open_workspace(e);
  const auto psi = train_classifier(e, w, Mode::Fresh);
  EXPECT_TRUE(psi.card.notes.at("verdict").starts_with("did not learn: no better than chance"));
  test::expect_error(ErrorCode::InvalidArgument, {"did not learn", "chance", "--anyway"},
                     [&] { train_transform(e, w, psi, Mode::Fresh); });
  EXPECT_FALSE(std::filesystem::exists(e.folder() / "phi-vgg"));
  e.anyway = true;
  train_transform(with_drawn_phi(e, folder), w, psi, Mode::Fresh);
}

TEST(Models, NorOnAnEncoderThatDidNotLearn) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  auto psi = train_classifier(e, w, Mode::Fresh);
  psi.card.notes.erase("verdict");
  e.anyway = false;
  e = with_drawn_phi(e, folder);
  test::expect_error(ErrorCode::InvalidArgument, {"encoder", "did not learn", "--anyway"},
                     [&] { train_transform(e, w, psi, Mode::Fresh); });
  EXPECT_FALSE(std::filesystem::exists(e.transform_folder()));
}

TEST(Models, WhatHCannotUseIsRefusedBeforeAnythingIsTrained) {
  const test::TemporaryFolder folder;
  const auto refused = [&](ErrorCode code, const std::function<void(Experiment&)>& change,
                           std::initializer_list<std::string> parts) {
    auto e = with_drawn_phi(tiny(folder.path()), folder);
    const auto w = open_workspace(e);
    check_transform(e, w);
    change(e);
    test::expect_error(code, parts, [&] { check_transform(e, w); });
  };
  const auto none = folder.path() / "none.safetensors";
  refused(ErrorCode::NotFound, [&](Experiment& e) { e.phi.file = none; },
          {"phi.file", "none.safetensors"});
  refused(ErrorCode::BadData, [](Experiment& e) { e.phi.layer = "relu3_1"; },
          {"phi.layer \"relu3_1\""});
  refused(ErrorCode::NotFound, [&](Experiment& e) { e.transform.encoder_from = none.string(); },
          {"transform.encoder_from", "none.safetensors"});
  refused(ErrorCode::InvalidArgument, [](Experiment& e) { e.transform.recipe.crop_padding = 33; },
          {"transform.crop_padding is 33", "0 to 32"});
}

// A training of h that ended in what h needs has no run of its own.
TEST(Models, ResumingHGoesOnFromTheStageThatWasInterrupted) {
  const test::TemporaryFolder folder;
  auto e = with_drawn_phi(tiny(folder.path()), folder);
  const auto w = open_workspace(e);
  const auto psi = train_classifier(e, w, Mode::Fresh);
  test::expect_error(ErrorCode::NotFound, {"transform-a0.005", "no checkpoint to resume from"},
                     [&] { train_transform(e, w, psi, Mode::Resume); });
  EXPECT_FALSE(std::filesystem::exists(e.encoder_folder())) << "decided before anything is trained";
  train_transform(e, w, psi, Mode::Fresh);
  const auto record = e.encoder_folder() / "run.json";
  std::ifstream in(record);
  auto text = std::string(std::istreambuf_iterator<char>(in), {});
  text.replace(text.find("finished"), 8, "running");
  std::ofstream(record) << text;
  std::filesystem::remove_all(e.transform_folder());
  train_transform(e, w, psi, Mode::Resume);
  EXPECT_TRUE(finished_transform(e, w));
}

TEST(Models, StartsFromGivenWeights) {
  const test::TemporaryFolder folder;
  auto e = with_drawn_phi(tiny(folder.path() / "a"), folder);
  const auto w = open_workspace(e);
  const auto psi = train_classifier(e, w, Mode::Fresh);
  train_transform(e, w, psi, Mode::Fresh);
  // With a rate of nothing, what it starts with is what comes out.
  auto again = with_drawn_phi(tiny(folder.path() / "b"), folder);
  again.classifier.from = (e.classifier_folder() / "model.safetensors").string();
  again.classifier.recipe.lr = 0;
  again.transform.encoder_from = (e.transform_folder() / "model.safetensors").string();
  const auto same = train_classifier(again, w, Mode::Fresh);
  EXPECT_TRUE(torch::equal(same.net->parameters().front(), psi.net->parameters().front()));
  EXPECT_EQ(same.card.notes.at("from"), nn::content_hash(psi));
  train_transform(again, w, same, Mode::Fresh);
  const auto encoder = finished_encoder(again, w);
  ASSERT_TRUE(encoder);
  again.transform.encoder_lr = 0.1;  // psi stays
  train_transform(again, w, same, Mode::Force);
  EXPECT_FALSE(torch::equal(finished_encoder(again, w)->net->parameters().front(),
                            encoder->net->parameters().front()));
  auto wrong = tiny(folder.path() / "c");
  wrong.classifier.from = (e.transform_folder() / "model.safetensors").string();
  test::expect_error(ErrorCode::InvalidArgument,
                     {wrong.classifier.from, "unet width 2", "resnet-8"},
                     [&] { train_classifier(wrong, w, Mode::Fresh); });
}

TEST(Models, OthersTeachPsi) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path() / "a");
  const auto w = open_workspace(e);
  const auto first = train_classifier(e, w, Mode::Fresh);
  auto taught = tiny(folder.path() / "b");
  taught.classifier.recipe.seed += 1;
  const auto alone = train_classifier(taught, w, Mode::Fresh);
  const auto file = [](const Experiment& of) {
    return (of.classifier_folder() / "model.safetensors").string();
  };
  taught.name += "-taught";
  taught.classifier.teachers = {file(e), file(e)};
  const auto psi = train_classifier(taught, w, Mode::Fresh);
  const auto hash = nn::content_hash(first);
  EXPECT_EQ(psi.card.notes.at("teacher"), hash + ", " + hash);
  EXPECT_NE(nn::content_hash(psi), nn::content_hash(alone));
  ASSERT_TRUE(finished_classifier(taught, w));
  // Another temperature or teacher, and it is another psi; two that agree are as one.
  auto other = taught;
  other.classifier.temperature = 2;
  EXPECT_THROW(finished_classifier(other, w), Error);
  other = taught;
  other.classifier.teachers = {file(e)};
  EXPECT_THROW(finished_classifier(other, w), Error);
  EXPECT_EQ(nn::content_hash(train_classifier(other, w, Mode::Force)), nn::content_hash(psi));

  auto wrong = tiny(folder.path() / "c");
  wrong.classifier.teachers = {(folder / "none.safetensors").string()};
  test::expect_error(ErrorCode::NotFound, {"none.safetensors"},
                     [&] { train_classifier(wrong, w, Mode::Fresh); });
}

TEST(Models, PsiTeachesTheEncoder) {
  const test::TemporaryFolder folder;
  auto e = with_drawn_phi(tiny(folder.path()), folder);
  e.transform.encoder_distillation = 0.5;
  const auto w = open_workspace(e);
  EXPECT_FALSE(finished_encoder(e, w));
  const auto psi = train_classifier(e, w, Mode::Fresh);
  train_transform(e, w, psi, Mode::Fresh);
  const auto encoder = finished_encoder(e, w);
  ASSERT_TRUE(encoder);
  EXPECT_EQ(encoder->card.notes.at("teacher"), nn::content_hash(psi));
  EXPECT_EQ(encoder->card.mean_rgb[0], 0) << "its pictures are as h gets them";
  EXPECT_NE(psi.card.mean_rgb[0], 0);
  EXPECT_TRUE(finished_transform(e, w));
  // Another temperature or another teacher, and it is another encoder.
  auto other = e;
  other.transform.encoder_temperature = 2;
  EXPECT_THROW(finished_encoder(other, w), Error);
  other = e;
  other.classifier.recipe.epochs += 1;  // psi's alone
  train_classifier(other, w, Mode::Force);
  EXPECT_THROW(finished_encoder(other, w), Error);

  // Others may teach it, whatever psi is: an encoder that has learned, say.
  const auto file = (e.encoder_folder() / "model.safetensors").string();
  auto taught = with_drawn_phi(tiny(folder / "taught"), folder);
  taught.transform.encoder_teachers = {file};
  taught.transform.encoder_distillation = 0.9;
  train_transform(taught, w, train_classifier(taught, w, Mode::Fresh), Mode::Fresh);
  EXPECT_EQ(finished_encoder(taught, w)->card.notes.at("teacher"), nn::content_hash(*encoder));
  taught.transform.encoder_teachers = {(e.transform_folder() / "model.safetensors").string()};
  test::expect_error(ErrorCode::BadData, {"transform.encoder_teachers", "transform"},
                     [&] { train_transform(taught, w, psi, Mode::Force); });
}

TEST(Models, ALossThatExplodesStopsTheTrainingWithStepAndCause) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path(), "");
  const auto w = open_workspace(e);
  auto wild = e;
  wild.classifier.recipe.lr = 100;
  wild.classifier.recipe.epochs = 50;
  wild.classifier.recipe.momentum = 0.999;
  wild.classifier.recipe.weight_decay = 1;
  test::expect_error(ErrorCode::Diverged, {"step", "class_loss"},
                     [&] { train_classifier(wild, w, Mode::Fresh); });
  EXPECT_FALSE(finished_classifier(wild, w));
}

TEST(Models, TheLogIsJsonLinesWithTheMachineFirst) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  train_classifier(e, w, Mode::Fresh);
  std::ifstream in(e.classifier_folder() / "log.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_GE(lines.size(), 3u);
  const std::string machine = lines.front().at("compute");
  for (const char* item : {"device: ", "threads: ", "LibTorch: ", "BLAS: ", "ISA: "})
    EXPECT_NE(machine.find(item), std::string::npos) << item;
  EXPECT_EQ(lines.back().at("event"), "done");
}

TEST(Models, AnAttackRefusesAModelForAnotherInputSize) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  model::Card card;
  card.role = model::Role::Transform;
  card.architecture = "unet";
  card.base_width = 2;
  card.height = 48;
  card.width = 32;
  test::expect_error(ErrorCode::InvalidArgument, {"32x48", "32x32"},
                     [&] { train_itn(e, w, nn::make_model(card), Mode::Fresh); });
}

}  // namespace
}  // namespace veilnet::experiment
