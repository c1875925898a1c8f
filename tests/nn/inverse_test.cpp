// The attackers' networks and their discriminators.
#include "nn/inverse.h"

#include <torch/torch.h>

#include "nn/discriminator.h"
#include "nn/model.h"
#include "support.h"

namespace veilnet::nn {
namespace {

// Which values of the output change when one pixel of the input does.
std::pair<torch::Tensor, torch::Tensor> before_and_after(Network& net, int64_t y, int64_t x) {
  torch::NoGradGuard no_grad;
  net.eval();
  auto picture = torch::rand({1, 3, 16, 16});
  const auto before = net.forward(picture).clone();
  picture.index_put_({0, torch::indexing::Slice(), y, x},
                     1 - picture.index({0, torch::indexing::Slice(), y, x}));
  return {before, net.forward(picture)};
}

TEST(Inverse, PixelNetworkSeesOnePixel) {
  torch::manual_seed(1);
  PixelInverse net;
  const auto [before, after] = before_and_after(net, 5, 9);
  auto changed = (before - after).abs().sum(1).squeeze(0);
  EXPECT_GT(changed[5][9].item<double>(), 0);
  changed[5][9] = 0;
  EXPECT_EQ(changed.max().item<double>(), 0);
}

TEST(Inverse, BlockNetworkSeesOneBlock) {
  torch::manual_seed(1);
  BlockInverse net(4);
  const auto [before, after] = before_and_after(net, 5, 9);
  auto changed = (before - after).abs().sum(1).squeeze(0);
  EXPECT_GT(changed.slice(0, 4, 8).slice(1, 8, 12).min().item<double>(), 0);
  changed.slice(0, 4, 8).slice(1, 8, 12).zero_();
  EXPECT_EQ(changed.max().item<double>(), 0);
  test::expect_error(ErrorCode::InvalidArgument, {"0", "1 to 64"}, [] { BlockInverse none(0); });
}

// The published sizes: 3-64-128-256-3, and 3-48, 48-48, 48-512, 32-3 for blocks of 4x4;
// convolutions with bias, two parameters of batch normalisation a channel.
TEST(Inverse, PublishedSizes) {
  EXPECT_EQ(parameter_count(PixelInverse()),
            4 * 64 + 65 * 128 + 129 * 256 + 257 * 3 + 2 * (64 + 128 + 256));
  EXPECT_EQ(parameter_count(BlockInverse(4)),
            49 * 48 + 49 * 48 + 49 * 512 + 33 * 3 + 2 * (48 + 48 + 512));
}

// A bit-wise cipher with a key of its own at every position, which weights that are the same
// everywhere cannot undo.
TEST(Inverse, PositionNetworkLearnsAKeyPerPosition) {
  torch::manual_seed(3);
  const auto key = torch::randint(0, 2, {1, 3, 8, 8});
  const auto data = [&] {
    const auto plain = torch::randint(0, 256, {32, 3, 8, 8}).to(torch::kFloat) / 255;
    return std::pair(plain, torch::where(key == 1, 1 - plain, plain));
  };
  const auto error_after_training = [&](Network& net) {
    torch::optim::Adam optimizer(net.parameters(), 0.02);
    double error = 0;
    for (int step = 0; step < 60; ++step) {
      const auto [plain, cipher] = data();
      const auto loss = torch::mse_loss(torch::sigmoid(net.forward(cipher)), plain);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      error = loss.item<double>();
    }
    return error;
  };
  PositionInverse position(4, 1, 8, 8);
  PixelInverse pixel;
  const double by_position = error_after_training(position), by_pixel = error_after_training(pixel);
  EXPECT_LT(by_position, 0.02);
  EXPECT_GT(by_pixel, 0.06);
  test::expect_error(ErrorCode::InvalidArgument, {"5", "8x8"},
                     [] { PositionInverse none(4, 5, 8, 8); });
}

TEST(Inverse, SavesAndLoads) {
  test::TemporaryFolder folder;
  model::Card card;
  card.role = model::Role::Inverse;
  card.height = card.width = 16;
  for (const std::string name : {"pixel_inverse", "block_inverse", "position_inverse"}) {
    card.architecture = name;
    card.block_size = name == "pixel_inverse" ? 0 : 4;
    card.base_width = name == "position_inverse" ? 4 : 0;
    auto model = make_model(card);
    model.net->eval();
    move_to(*model.net, torch::kCPU);
    save_model(model, folder / name, Overwrite::No);
    const auto loaded = load_model(folder / name, model::Role::Inverse);
    torch::NoGradGuard no_grad;
    const auto x = torch::rand({2, 3, 16, 16});
    EXPECT_TRUE(torch::equal(transform(model, x), transform(loaded, x))) << name;
  }
  card.role = model::Role::Transform;
  test::expect_error(ErrorCode::InvalidArgument, {"\"position_inverse\"", "transform"},
                     [&] { make_model(card); });
}

TEST(AttackDiscriminator, ScoresPicturesAndTrains) {
  for (const std::string kind : {"gan", "sia"}) {
    torch::manual_seed(5);
    const auto net = make_attack_discriminator(kind, 4, 16, 16);
    const auto bright = torch::rand({16, 3, 16, 16}) * 0.5 + 0.5,
               dark = torch::rand({16, 3, 16, 16}) * 0.5;
    EXPECT_EQ(net->forward(bright).sizes(), (std::vector<int64_t>{16}));
    torch::optim::Adam optimizer(net->parameters(), 0.01);
    for (int step = 0; step < 30; ++step) {
      const auto loss = torch::softplus(-net->forward(bright)).mean() +
                        torch::softplus(net->forward(dark)).mean();
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
    }
    EXPECT_GT((net->forward(bright).mean() - net->forward(dark).mean()).item<double>(), 0.5)
        << kind;
  }
  test::expect_error(ErrorCode::InvalidArgument, {"\"cat\""},
                     [] { make_attack_discriminator("cat", 4, 16, 16); });
  test::expect_error(ErrorCode::InvalidArgument, {"20x16"},
                     [] { make_attack_discriminator("sia", 4, 20, 16); });
}

TEST(AttackDiscriminator, SpectralNormalisationBoundsTheSlope) {
  torch::manual_seed(6);
  const auto net = make_attack_discriminator("sia", 4, 16, 16);
  // Weights scaled up leave a spectrally normalised network as it was.
  const auto x = torch::rand({4, 3, 16, 16});
  net->eval();
  torch::NoGradGuard no_grad;
  const auto before = net->forward(x).clone();
  for (auto& p : net->named_parameters()) {
    if (p.value().dim() == 4) p.value().mul_(7);
  }
  EXPECT_TRUE(torch::allclose(net->forward(x), before, 1e-3, 1e-5));
}

}  // namespace
}  // namespace veilnet::nn
