#include "attack/inverse.h"

#include <torch/torch.h>

#include "attack/flow.h"
#include "attack/optimise.h"
#include "attack/tuning.h"
#include "data/sources.h"
#include "nn/infer.h"
#include "support.h"

namespace veilnet::attack {
namespace {

nn::Model tiny_unet(model::Role role) {
  model::Card card;
  card.role = role;
  card.architecture = "unet";
  card.base_width = 3;
  card.height = card.width = 32;
  torch::manual_seed(1);
  auto model = nn::make_model(card);
  model.net->eval();
  return model;
}

image::Batch some_pictures() { return data::make_synthetic({7, 40, 10}).test.pictures; }

TEST(InverseTask, LossIsTheMeanSquaredErrorAgainstThePlainPictures) {
  InverseTask task(tiny_unet(model::Role::Inverse));
  torch::NoGradGuard no_grad;
  train::Batch pairs{torch::rand({2, 3, 32, 32}), {}, torch::rand({2, 3, 32, 32})};
  const auto guess = torch::sigmoid(task.model().net->forward(pairs.pictures));
  const double expected = (guess - pairs.plain).square().mean().item<double>();
  EXPECT_NEAR(task.training_losses(pairs, {}).total.item<double>(), expected, 1e-6);
}

// A U-Net that computes sigmoid(4 x - 2) through its first skip connection: a transformation that
// hides nothing.
nn::Model transparent_unet() {
  auto h = tiny_unet(model::Role::Transform);
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : nn::state_tensors(*h.net)) {
    if (name.find("running_var") != std::string::npos ||
        (name.find("weight") != std::string::npos && tensor.dim() == 1)) {
      tensor.fill_(1);  // batch normalisation does nothing
      continue;
    }
    tensor.zero_();
    const bool first_level = name.rfind("conv1.", 0) == 0 || name.rfind("up_conv2.", 0) == 0;
    for (int c = 0; c < 3; ++c) {
      if (first_level && tensor.dim() == 4) tensor[c][c][1][1] = 1;
      if (name == "conv_1x1.weight") tensor[c][c][0][0] = 4;
      if (name == "conv_1x1.bias") tensor[c] = -2;
    }
  }
  return h;
}

TEST(Itn, UndoesATransformationThatHidesNothing) {
  const test::TemporaryFolder folder;
  auto config = Config::parse("[attack]\nepochs = 8\nbatch_size = 16\nlr = 0.01\n", "test");
  const auto recipe = train::read_recipe(config, train::Subject::Inverse);
  data::SyntheticOptions options;
  options.train_size = 300;
  options.test_size = 20;
  const auto pictures = data::make_synthetic(options).train;
  const auto h = transparent_unet();
  const auto x = torch::rand({1, 3, 32, 32});
  ASSERT_LT((nn::transform(h, x) - torch::sigmoid(4 * x - 2)).abs().max().item<double>(), 1e-3);
  auto card = h.card;
  card.role = model::Role::Inverse;
  card.base_width = 4;
  const train::Compute compute;
  const train::Run run{folder.path(), "test", "a key"};
  const auto pairs = [&] {
    return data::Pairs(nn::transform(h, pictures.pictures), pictures.pictures);
  };
  Materials own;
  own.auxiliary = pictures;
  const auto split = split_known(own);
  const auto inverse = train_inverse({run, recipe, compute}, card, pairs, split);
  const double mse =
      std::pow(10, -std::stod(inverse.card.notes.at("metric.validation_psnr_db")) / 10);
  const auto pixels =
      nn::to_tensor(pictures.pictures.pixels(), static_cast<int64_t>(pictures.size()), 32, 32);
  const double mean_picture_mse = (pixels - pixels.mean(0, true)).square().mean().item<double>();
  EXPECT_LT(mse, 0.3 * mean_picture_mse);
  EXPECT_EQ(inverse.card.notes.at(train::kStageNote), "a key");
  // A finished training of this key is taken, and none of another.
  const auto none = [&]() -> data::Pairs { throw std::runtime_error("trains again"); };
  EXPECT_NO_THROW(train_inverse({run, recipe, compute}, card, none, split));
  auto other = run;
  other.key = "another";
  EXPECT_THROW(train_inverse({other, recipe, compute}, card, none, split), std::runtime_error);
}

double mean_squared_error(const image::Batch& one, const image::Batch& other) {
  const auto a = one.pixels(), b = other.pixels();
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

TEST(Tuning, FitsTheInverseToEveryPictureAndLeavesItAsItWas) {
  const auto h = transparent_unet();
  auto inverse = transparent_unet();  // nearly right: what it recovers is too bright
  inverse.card.role = model::Role::Inverse;
  {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : nn::state_tensors(*inverse.net))
      if (name == "conv_1x1.bias") tensor.fill_(0);
  }
  const auto plain = some_pictures().subset(std::vector<uint32_t>{0, 1});
  const auto seen = nn::transform(h, plain), before = nn::transform(inverse, seen);
  const auto found = invert_by_tuning(h, {inverse}, seen, {.steps = 100, .lr = 1e-2}, {});
  EXPECT_LT(mean_squared_error(plain, found), 0.5 * mean_squared_error(plain, before));
  const auto after = nn::transform(inverse, seen);
  EXPECT_TRUE(std::ranges::equal(before.pixels(), after.pixels()));
}

TEST(Tuning, DrawsThePictureWithANetworkThatBeginsWithNothing) {
  const auto h = transparent_unet();
  auto card = h.card;
  card.role = model::Role::Inverse;
  card.base_width = 8;
  torch::manual_seed(4);
  const auto fresh = nn::make_model(card);
  const auto noise = torch::rand({1, 3, 32, 32});
  const auto plain = some_pictures().subset(std::vector<uint32_t>{0, 1});
  const auto seen = nn::transform(h, plain);
  auto grey = plain;
  std::ranges::fill(grey.pixels(), 128);
  const auto found =
      invert_by_tuning(h, {fresh, noise, true}, seen, {.steps = 150, .lr = 1e-2}, {});
  EXPECT_LT(mean_squared_error(plain, found), 0.3 * mean_squared_error(plain, grey));
}

TEST(Flow, TakesTheStepThatLeadsFromTheGuessToThePicture) {
  auto guess = transparent_unet(), flow = tiny_unet(model::Role::Inverse);
  {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : nn::state_tensors(*flow.net))
      if (name == "conv_1x1.weight") tensor.zero_();
    for (auto& [name, tensor] : nn::state_tensors(*flow.net))
      if (name == "conv_1x1.bias") tensor.fill_(0.25);
  }
  torch::NoGradGuard no_grad;
  const auto x = torch::rand({2, 3, 32, 32});
  const auto expected = (nn::transform(guess, x) + 0.25).clamp(0, 1);
  EXPECT_LT((flow_step(guess, flow, x) - expected).abs().max().item<double>(), 1e-5);
}

// Where every picture is its guess, only brighter, the velocity is that difference at every point
// of the way.
TEST(Flow, LearnsTheWayFromGuessesToPictures) {
  auto guess = transparent_unet();
  auto flow = tiny_unet(model::Role::Inverse);
  flow.net->train();
  auto phi = std::make_shared<nn::FeatureExtractor>("relu1_1");
  FlowTask task(std::move(flow), std::move(guess), phi);
  const auto seen = torch::rand({8, 3, 32, 32}) * 0.5;
  torch::Tensor plain;
  {
    torch::NoGradGuard no_grad;
    plain = nn::transform(transparent_unet(), seen) + 0.2;
  }
  torch::optim::Adam optimizer(task.model().net->parameters(), torch::optim::AdamOptions(1e-2));
  double first = 0, last = 0;
  for (int64_t step = 0; step < 60; ++step) {
    torch::manual_seed(static_cast<uint64_t>(step));
    const auto losses = task.training_losses({seen, {}, plain}, {step, 60, 60});
    last = losses.parts.front().second.item<double>();
    if (step == 0) first = last;
    optimizer.zero_grad();
    losses.total.backward();
    optimizer.step();
  }
  EXPECT_LT(last, 0.1 * first);
}

TEST(Optimise, FindsThePictureThroughATransformationThatHidesNothing) {
  const auto h = transparent_unet();
  const auto plain = some_pictures().subset(std::vector<uint32_t>{0, 1, 2});
  const train::Compute compute;
  const auto seen = nn::transform(h, plain);
  auto grey = seen;
  std::ranges::fill(grey.pixels(), 128);
  OptimiseOptions options;
  options.steps = 60;
  const auto invert = [&](double nearness) {
    options.nearness = nearness;
    return invert_by_optimisation(h, seen, grey, options, compute);
  };
  const double before = mean_squared_error(plain, grey);
  EXPECT_LT(mean_squared_error(plain, invert(0)), 0.1 * before);
  EXPECT_LT(mean_squared_error(grey, invert(100)), 0.01 * before)
      << "a strong prior keeps the start";
  test::expect_error(ErrorCode::InvalidArgument, {"3 protected", "1 of 32x32"}, [&] {
    invert_by_optimisation(h, seen, grey.subset(std::vector<uint32_t>{0}), options, compute);
  });
}

TEST(Optimise, TunesItsPriorsOnPicturesOfItsOwn) {
  const auto h = transparent_unet();
  const auto own = some_pictures().subset(std::vector<uint32_t>{4, 5});
  const train::Compute compute;
  OptimiseOptions options;
  options.steps = 30;
  auto negative = own;
  for (auto& value : negative.pixels()) value = static_cast<uint8_t>(255 - value);
  // Keeping near to negatives can only hurt; to the pictures themselves, it can only help.
  EXPECT_EQ(tune_priors(h, own, negative, options, compute).nearness, 0);
  options.lr = 1;
  EXPECT_GT(tune_priors(h, own, own, options, compute).nearness, 0);
}

}  // namespace
}  // namespace veilnet::attack
