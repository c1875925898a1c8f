#include "train/checkpoint.h"

#include <cmath>
#include <fstream>
#include <torch/nn/modules/linear.h>
#include <torch/optim/sgd.h>
#include <torch/serialize.h>

#include "core/files.h"
#include "support.h"

namespace veilnet::train {
namespace {

// A layer after one step, so that the optimiser has a state of its own.
struct Training {
  torch::nn::Linear layer{3, 2};
  torch::optim::SGD optimizer{layer->parameters(), torch::optim::SGDOptions(0.1).momentum(0.9)};
  TrainingState state;

  Training() {
    torch::AutoGradMode gradients(true);
    layer->forward(torch::ones({1, 3})).sum().backward();
    optimizer.step();
    state.step = 4;
    state.best_epoch = 1;
    state.best_figures = {{"loss", 0.5}};
    state.best = {{"weight", layer->weight.detach().clone()},
                  {"bias", layer->bias.detach().clone()}};
  }
  Checkpoint what(const std::string& key = "key") { return {key, *layer, nullptr, optimizer}; }
};

class CheckpointFile : public testing::Test {
 protected:
  TrainingState load(const std::string& key = "key") {
    Training other;
    return load_checkpoint(path, other.what(key), 10, torch::kCPU);
  }
  test::TemporaryFolder folder;
  std::filesystem::path path = folder / "state.pt";
  Training training;
};

TEST_F(CheckpointFile, ComesBackAsItWas) {
  save_checkpoint(path, training.what(), training.state);
  Training other;
  const auto state = load_checkpoint(path, other.what(), 10, torch::kCPU);
  EXPECT_EQ(state.step, 4);
  EXPECT_EQ(state.best_epoch, 1);
  EXPECT_EQ(state.best_figures, training.state.best_figures);
  EXPECT_TRUE(torch::equal(state.best.at("weight"), training.state.best.at("weight")));
  EXPECT_TRUE(torch::equal(other.layer->weight, training.layer->weight));
}

TEST_F(CheckpointFile, KeepsWhatEachGroupOfParametersHasGathered) {
  struct TwoRates {
    torch::nn::Linear layer{3, 2};
    torch::optim::SGD optimizer{std::vector<torch::Tensor>{layer->weight},
                                torch::optim::SGDOptions(0.1).momentum(0.9)};
    TwoRates() {
      optimizer.add_param_group(
          torch::optim::OptimizerParamGroup(std::vector<torch::Tensor>{layer->bias}));
    }
    void step() {
      torch::AutoGradMode gradients(true);
      optimizer.zero_grad();
      layer->forward(torch::ones({1, 3})).sum().backward();
      optimizer.step();
    }
    Checkpoint what() { return {"key", *layer, nullptr, optimizer}; }
  } one, other;
  one.step();
  save_checkpoint(path, one.what(), training.state);
  load_checkpoint(path, other.what(), 10, torch::kCPU);
  one.step();
  other.step();
  EXPECT_TRUE(torch::equal(one.layer->weight, other.layer->weight));
  EXPECT_TRUE(torch::equal(one.layer->bias, other.layer->bias));
}

TEST_F(CheckpointFile, AnyChangedByteIsNoticed) {
  save_checkpoint(path, training.what(), training.state);
  const auto good = read_text(path);
  for (size_t at = 0; at < good.size(); at += 1 + good.size() / 97) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write_file(path, bad, Overwrite::Yes);
    test::expect_error(ErrorCode::BadData, {path.string(), "no checkpoint of this training"},
                       [&] { load(); });
  }
  for (const size_t size : {size_t{0}, size_t{20}, good.size() / 2, good.size() - 1}) {
    write_file(path, good.substr(0, size), Overwrite::Yes);
    test::expect_error(ErrorCode::BadData, {path.string()}, [&] { load(); });
  }
}

TEST_F(CheckpointFile, AnotherTrainingIsRefused) {
  save_checkpoint(path, training.what("one training"), training.state);
  test::expect_error(ErrorCode::InvalidArgument, {"another training", "one training"},
                     [&] { load("key"); });
}

TEST_F(CheckpointFile, StepsOutOfRangeAreRefused) {
  for (const int64_t step : {-5, 11}) {
    training.state.step = step;
    save_checkpoint(path, training.what(), training.state);
    test::expect_error(ErrorCode::BadData, {"step is " + std::to_string(step), "0 to 10"},
                       [&] { load(); });
  }
}

// With the right checksum, as a changed program might write it.
TEST_F(CheckpointFile, AStepThatIsNoWholeNumberIsRefused) {
  torch::serialize::OutputArchive archive;
  archive.write("state", c10::IValue(std::string(R"({"key": "key", "step": 3.7})")));
  std::ostringstream out;
  archive.save_to(out);
  const auto text = out.str();
  write_file(path,
             "veilnet-checkpoint 1 " +
                 sha256_hex(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size())) +
                 "\n" + text,
             Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"step is 3.7", "0 to 10"}, [&] { load(); });
}

TEST_F(CheckpointFile, ValuesThatAreNotFiniteAreRefused) {
  torch::NoGradGuard no_grad;
  const auto refused = [&](const std::string& what) {
    save_checkpoint(path, training.what(), training.state);
    test::expect_error(ErrorCode::BadData, {path.string(), what, "not finite"}, [&] { load(); });
  };
  training.state.best["weight"][0][0] = std::nanf("");
  refused("best weight");
  training.state.best["weight"][0][0] = 0;
  auto& kept = *training.optimizer.state().begin()->second;
  dynamic_cast<torch::optim::SGDParamState&>(kept).momentum_buffer()[0] = INFINITY;
  refused("optimiser");
  training.layer->bias[0] = std::nanf("");
  refused("bias");
}

}  // namespace
}  // namespace veilnet::train
