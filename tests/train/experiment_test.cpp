#include "train/experiment.h"

#include <fstream>
#include <torch/torch.h>

#include <nlohmann/json.hpp>

#include "support.h"

namespace veilnet::train {
namespace {

// Small enough to train in a second or two on one thread.
Experiment tiny(const std::filesystem::path& runs, const std::string& more = "") {
  auto config =
      Config::parse("name = \"t\"\nruns = \"" + runs.string() +
                        "\"\n[compute]\nthreads = 1\n[data]\ntrain_size = 120\ntest_size = 20\n"
                        "[classifier]\nepochs = 1\nbatch_size = 32\ndepth = 8\n[phi]\nepochs = "
                        "1\nlayer = \"relu1_1\"\n"
                        "[transform]\nwidth = 2\nepochs = 1\nbatch_size = 32\nencoder_epochs = "
                        "1\n[attack]\nwidth = 2\nepochs "
                        "= 1\nbatch_size = 32\n" +
                        more,
                    "tiny");
  return read_experiment(config);
}

TEST(Experiment, RefusesUnknownKeysAndMissingPaths) {
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

TEST(Experiment, PaperRecipeLeavesThePublishedLossAlone) {
  auto config = Config::parse("[transform]\nrecipe = \"paper\"\nalpha = 0.01", "x");
  const auto options = read_experiment(config).transform.options;
  EXPECT_EQ(options.alpha, 0.01);
  EXPECT_EQ(options.alpha_start, 0.01);
  EXPECT_EQ(options.encoder_epochs, 0);
  EXPECT_EQ(options.bottleneck_weight, 0);
  EXPECT_EQ(options.feature_share, 1);
}

TEST(Experiment, TrainsEveryStageAndRecordsProvenance) {
  const test::TemporaryFolder folder;
  const auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  const auto psi = train_classifier(e, w, RunMode::Fresh);
  const auto h = train_transform(e, w, psi, RunMode::Fresh);

  EXPECT_TRUE(is_finished(e.classifier_folder()));
  EXPECT_EQ(h.card.notes.at("data_sha256"), w.data_sha256);
  EXPECT_NE(h.card.notes.at("phi").find("cut from a VGG16-BN trained on synthetic"),
            std::string::npos)
      << h.card.notes.at("phi");
  // A finished stage is loaded, not trained again; a second fresh start is refused.
  const auto before = std::filesystem::last_write_time(e.classifier_folder() / "model.safetensors");
  train_classifier(e, w, RunMode::Complete);
  EXPECT_EQ(std::filesystem::last_write_time(e.classifier_folder() / "model.safetensors"), before);
  test::expect_error(ErrorCode::AlreadyExists, {"--resume", "--force"},
                     [&] { train_classifier(e, w, RunMode::Fresh); });
}

TEST(Experiment, TrainingHDoesNotTouchPsi) {
  const test::TemporaryFolder folder;
  const auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  const auto psi = train_classifier(e, w, RunMode::Fresh);
  std::vector<torch::Tensor> before;
  for (const auto& [name, tensor] : nn::state_tensors(*psi.net)) before.push_back(tensor.clone());
  train_transform(e, w, psi, RunMode::Fresh);
  size_t i = 0;
  for (const auto& [name, tensor] : nn::state_tensors(*psi.net))
    EXPECT_TRUE(torch::equal(before[i++], tensor)) << name;
}

TEST(Experiment, ResumingWithAnotherConfigurationIsRefused) {
  const test::TemporaryFolder folder;
  const auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  train_classifier(e, w, RunMode::Fresh);
  test::expect_error(ErrorCode::InvalidArgument, {"config.toml", "--force"}, [&] {
    train_classifier(tiny(folder.path(), "lr = 0.5\n"), w, RunMode::Resume);
  });
  test::expect_error(ErrorCode::NotFound, {"no checkpoint"}, [&] {
    train_classifier(tiny(folder.path() / "elsewhere"), w, RunMode::Resume);
  });
}

TEST(Experiment, ADamagedCheckpointIsRefused) {
  const test::TemporaryFolder folder;
  const auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  train_classifier(e, w, RunMode::Fresh);
  const auto path = e.classifier_folder() / "checkpoint" / "state.pt";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  test::expect_error(ErrorCode::BadData, {path.string(), "no checkpoint of this training"},
                     [&] { train_classifier(e, w, RunMode::Resume); });
}

TEST(Experiment, APsiThatDoesNotFitTheDataIsRefusedBeforeTheFirstStep) {
  const test::TemporaryFolder folder;
  const auto e = tiny(folder.path());
  auto w = open_workspace(e);
  auto psi = train_classifier(e, w, RunMode::Fresh);
  psi.card.class_names.pop_back();
  test::expect_error(ErrorCode::InvalidArgument, {"9 classes", "10"},
                     [&] { train_transform(e, w, psi, RunMode::Fresh); });
  psi.card = train_classifier(e, w, RunMode::Complete).card;
  psi.card.height = 64;
  test::expect_error(ErrorCode::InvalidArgument, {"64x32", "32x32"},
                     [&] { train_transform(e, w, psi, RunMode::Fresh); });
  EXPECT_FALSE(std::filesystem::exists(e.transform_folder()));
}

TEST(Experiment, ALossThatExplodesStopsTheTrainingWithStepAndCause) {
  const test::TemporaryFolder folder;
  const auto e = tiny(folder.path(), "");
  const auto w = open_workspace(e);
  auto wild = e;
  wild.classifier.recipe.lr = 100;
  wild.classifier.recipe.epochs = 50;
  wild.classifier.recipe.momentum = 0.999;
  wild.classifier.recipe.weight_decay = 1;
  test::expect_error(ErrorCode::Diverged, {"step", "class_loss"},
                     [&] { train_classifier(wild, w, RunMode::Fresh); });
  EXPECT_FALSE(is_finished(e.classifier_folder()));
}

TEST(Experiment, TheLogIsJsonLinesWithTheMachineFirst) {
  const test::TemporaryFolder folder;
  const auto e = tiny(folder.path());
  const auto w = open_workspace(e);
  train_classifier(e, w, RunMode::Fresh);
  std::ifstream in(e.classifier_folder() / "log.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_GE(lines.size(), 3u);
  const std::string machine = lines.front().at("compute");
  for (const char* item : {"device: ", "threads: ", "LibTorch: ", "BLAS: ", "ISA: "})
    EXPECT_NE(machine.find(item), std::string::npos) << item;
  EXPECT_EQ(lines.back().at("event"), "done");
}

}  // namespace
}  // namespace veilnet::train
