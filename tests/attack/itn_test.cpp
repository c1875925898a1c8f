#include "attack/itn.h"

#include <torch/torch.h>

#include "attack/optimise.h"
#include "data/sources.h"
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

data::Dataset some_pictures() { return data::make_synthetic({7, 40, 10}).test; }

TEST(Pairs, HoldTheProtectedPictureAboveItsOwnPlainOne) {
  const auto plain = some_pictures();
  const auto h = tiny_unet(model::Role::Transform);
  const train::Compute compute;
  const auto pairs = stack_pairs(transform_to_bytes(h, plain, compute), plain);
  ASSERT_EQ(pairs.size(), plain.size());
  EXPECT_EQ(pairs.pictures.height(), 64);
  EXPECT_EQ(pairs.labels, plain.labels);
  for (const size_t i : {size_t{0}, size_t{3}, plain.size() - 1}) {
    const auto pair = pairs.image(i);
    const auto alone = nn::to_bytes(nn::transform(h, nn::to_tensor(plain.image(i), 1, 32, 32)));
    int largest = 0;  // batched and single arithmetic may round differently by one level
    for (size_t j = 0; j < alone.size(); ++j)
      largest = std::max(largest, std::abs(int{pair[j]} - int{alone[j]}));
    EXPECT_LE(largest, 1);
    EXPECT_TRUE(std::equal(plain.image(i).begin(), plain.image(i).end(), pair.begin() + 3072));
  }
}

TEST(InverseTask, LossIsTheMeanSquaredErrorAgainstTheLowerHalf) {
  InverseTask task(tiny_unet(model::Role::Inverse));
  torch::NoGradGuard no_grad;
  const auto pairs = torch::rand({2, 3, 64, 32});
  const auto guess = torch::sigmoid(task.model().net->forward(pairs.slice(2, 0, 32)));
  const double expected = (guess - pairs.slice(2, 32)).square().mean().item<double>();
  EXPECT_NEAR(task.training_losses(pairs, {}, {}).total.item<double>(), expected, 1e-6);
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
    return stack_pairs(transform_to_bytes(h, pictures, compute), pictures);
  };
  const auto split = tenth_validates(pictures.size());
  const auto inverse = train_inverse({run, recipe, compute}, card, pairs, split);
  const double mse =
      std::pow(10, -std::stod(inverse.card.notes.at("metric.validation_psnr_db")) / 10);
  const auto pixels =
      nn::to_tensor(pictures.pictures.pixels(), static_cast<int64_t>(pictures.size()), 32, 32);
  const double mean_picture_mse = (pixels - pixels.mean(0, true)).square().mean().item<double>();
  EXPECT_LT(mse, 0.3 * mean_picture_mse);
  EXPECT_EQ(inverse.card.notes.at(train::kStageNote), "a key");
  // A finished training of this key is taken, and none of another.
  const auto none = [&]() -> data::Dataset { throw std::runtime_error("trains again"); };
  EXPECT_NO_THROW(train_inverse({run, recipe, compute}, card, none, split));
  auto other = run;
  other.key = "another";
  EXPECT_THROW(train_inverse({other, recipe, compute}, card, none, split), std::runtime_error);
}

double mean_squared_error(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

TEST(Optimise, FindsThePictureThroughATransformationThatHidesNothing) {
  const auto h = transparent_unet();
  const auto plain = subset(some_pictures(), std::vector<uint32_t>{0, 1, 2});
  const train::Compute compute;
  const auto seen = transform_to_bytes(h, plain, compute);
  const std::vector<uint8_t> grey(seen.size(), 128);
  OptimiseOptions options;
  options.steps = 60;
  const auto invert = [&](double nearness) {
    options.nearness = nearness;
    return invert_by_optimisation(h, seen, grey, 32, 32, options, compute);
  };
  const double before = mean_squared_error(plain.pictures.pixels(), grey);
  EXPECT_LT(mean_squared_error(plain.pictures.pixels(), invert(0)), 0.1 * before);
  EXPECT_LT(mean_squared_error(grey, invert(100)), 0.01 * before)
      << "a strong prior keeps the start";
  test::expect_error(ErrorCode::InvalidArgument, {"9216", "3072"}, [&] {
    invert_by_optimisation(h, seen, std::span(grey).first(3072), 32, 32, options, compute);
  });
}

TEST(Optimise, TunesItsPriorsOnPicturesOfItsOwn) {
  const auto h = transparent_unet();
  const auto own = subset(some_pictures(), std::vector<uint32_t>{4, 5});
  const train::Compute compute;
  OptimiseOptions options;
  options.steps = 30;
  auto negative = test::bytes(own.pictures.pixels());
  for (auto& value : negative) value = static_cast<uint8_t>(255 - value);
  // Keeping near to negatives can only hurt; to the pictures themselves, it can only help.
  EXPECT_EQ(tune_priors(h, own, negative, options, compute).nearness, 0);
  options.lr = 1;
  EXPECT_GT(tune_priors(h, own, own.pictures.pixels(), options, compute).nearness, 0);
}

}  // namespace
}  // namespace veilnet::attack
