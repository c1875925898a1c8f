// ResNet-18, DenseNet-BC, the adaptation networks and the discriminator.
#include <torch/torch.h>

#include "nn/adaptation.h"
#include "nn/densenet.h"
#include "nn/discriminator.h"
#include "nn/model.h"
#include "nn/resnet.h"
#include "support.h"

namespace veilnet::nn {
namespace {

TEST(Classifiers, ParameterCountsAreThePublishedOnes) {
  EXPECT_EQ(parameter_count(ResNet18(10)), 11'173'962);
  EXPECT_EQ(parameter_count(ResNet18(100)), 11'220'132);
  EXPECT_EQ(parameter_count(DenseNet(10)), 769'162);
}

TEST(Classifiers, TakeOddSidesAndGiveLogits) {
  ResNet18 resnet(7);
  DenseNet densenet(7);
  for (Network* net : {static_cast<Network*>(&resnet), static_cast<Network*>(&densenet)}) {
    net->eval();
    torch::NoGradGuard no_grad;
    const auto logits = net->forward(torch::rand({2, 3, 20, 28}));
    EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{2, 7}));
    EXPECT_TRUE(torch::isfinite(logits).all().item<bool>());
  }
  test::expect_error(ErrorCode::InvalidArgument, {"classes is 1"}, [] { ResNet18 one(1); });
  test::expect_error(ErrorCode::InvalidArgument, {"classes is 1"}, [] { DenseNet one(1); });
}

TEST(Adaptation, KeepsTheSizeAndSaysItsChannels) {
  for (const std::string kind : {"tanaka", "le", "ele", "pixel"}) {
    const auto net = make_adaptation(kind, 4, 16, 24);
    const auto out = net->forward(torch::rand({3, 3, 16, 24}));
    EXPECT_EQ(out.sizes(), (std::vector<int64_t>{3, net->out_channels(), 16, 24})) << kind;
  }
  test::expect_error(ErrorCode::InvalidArgument, {"\"cat\"", "tanaka, le, ele, pixel"},
                     [] { make_adaptation("cat", 4, 8, 8); });
  test::expect_error(ErrorCode::InvalidArgument, {"blocks of 4", "10x8"},
                     [] { make_adaptation("le", 4, 10, 8); });
}

// The reference's sub-networks hold 3 x 256 x 16 weights and 512 of batch normalisation at each of
// 64 positions, and U 64 x 64.
TEST(Adaptation, EleHasTheParametersOfTheReference) {
  EXPECT_EQ(parameter_count(*make_adaptation("ele", 4, 32, 32)),
            64 * (3 * 256 * 16 + 512) + 64 * 64);
  EXPECT_EQ(parameter_count(*make_adaptation("le", 4, 32, 32)), 3 * 256 * 16 + 512);
}

// A picture whose blocks are moved by a permutation gives what the plain one gives when U undoes
// the permutation and every position has the same sub-network.
TEST(Adaptation, EleMixingMatrixCanUndoABlockPermutation) {
  torch::manual_seed(3);
  torch::NoGradGuard no_grad;
  const auto net = make_adaptation("ele", 4, 8, 8);
  net->eval();
  auto parameters = net->named_parameters();
  auto& weight = parameters["weight"];
  weight.copy_(weight[0].expand_as(weight).clone());
  for (auto& buffer : net->named_buffers()) {
    if (buffer.key() == "left" || buffer.key() == "right")
      buffer.value().copy_(buffer.value()[0].expand_as(buffer.value()).clone());
  }
  auto& mixing = parameters["mixing"];
  const auto plain = torch::rand({2, 3, 8, 8});
  mixing.copy_(torch::eye(4));
  const auto expected = net->forward(plain);
  // Blocks 0 and 3 change places.
  auto moved = plain.clone();
  moved.slice(2, 0, 4).slice(3, 0, 4).copy_(plain.slice(2, 4).slice(3, 4));
  moved.slice(2, 4).slice(3, 4).copy_(plain.slice(2, 0, 4).slice(3, 0, 4));
  EXPECT_GT((net->forward(moved) - expected).abs().max().item<double>(), 1e-3);
  mixing.copy_(torch::eye(4).index_select(0, torch::tensor({3, 1, 2, 0})));
  EXPECT_LT((net->forward(moved) - expected).abs().max().item<double>(), 1e-5);
}

TEST(Adaptation, EleRegularisationVanishesForAPermutationAndFlatFeatures) {
  const auto net = make_adaptation("ele", 4, 8, 8);
  torch::NoGradGuard no_grad;
  net->named_parameters()["mixing"].copy_(torch::eye(4));
  const auto flat = torch::full({2, 16, 8, 8}, 0.7);
  EXPECT_NEAR(net->regularisation(flat).item<double>(), 0, 1e-9);
  auto stripes = flat.clone();
  stripes.slice(1, 0, 1).slice(3, 0, 1).fill_(
      1.7);  // one column of one of the three channels, 7 steps of 1 in each picture
  EXPECT_NEAR(net->regularisation(stripes).item<double>(), 0.1 * 2 * 7 / (7.0 * 8 * 16 * 2), 1e-6);
  net->named_parameters()["mixing"].fill_(0.5);  // every row and column: L1 2, L2 1
  EXPECT_NEAR(net->regularisation(flat).item<double>(), 1e-3 * 8.0 / 16, 1e-9);
}

TEST(Adaptation, SpectralNormBoundsEveryPosition) {
  torch::manual_seed(5);
  const auto net = make_adaptation("ele", 4, 8, 8);
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 30; ++i)
    net->forward(torch::rand({4, 3, 8, 8}));  // training mode: one power iteration each
  const auto weight = net->named_parameters()["weight"];
  const auto buffers = net->named_buffers();
  const auto sigma =
      buffers["left"].transpose(1, 2).matmul(weight).matmul(buffers["right"]).flatten();
  const auto largest = torch::linalg_svdvals(weight).slice(1, 0, 1).flatten();
  EXPECT_LT(((sigma - largest) / largest).abs().max().item<double>(), 0.01);
}

TEST(Adaptation, SavesAndLoadsBehindAClassifier) {
  model::Card card;
  card.architecture = "resnet";
  card.depth = 8;
  card.class_names = {"cat", "dog", "frog"};
  card.height = card.width = 16;
  card.block_size = 4;
  test::TemporaryFolder folder;
  for (const std::string kind : {"tanaka", "le", "ele", "pixel"}) {
    card.adaptation = kind;
    auto model = make_model(card);
    model.net->eval();
    move_to(*model.net,
            torch::kCPU);  // to the memory layout of a loaded model, as bits are compared
    save_model(model, folder / kind, Overwrite::No);
    const auto loaded = load_model(folder / kind, model::Role::Classifier);
    EXPECT_EQ(loaded.card.adaptation, kind);
    const auto pictures = torch::rand({2, 3, 16, 16});
    torch::NoGradGuard no_grad;
    EXPECT_TRUE(torch::equal(classify(model, pictures), classify(loaded, pictures))) << kind;
  }
  card.role = model::Role::Transform;
  card.architecture = "unet";
  card.base_width = 2;
  test::expect_error(ErrorCode::InvalidArgument, {"behind adaptation \"pixel\""},
                     [&] { make_model(card); });
}

TEST(Discriminator, ScoresPatches) {
  PatchDiscriminator judge(4);
  EXPECT_EQ(judge.forward(torch::rand({2, 3, 32, 24})).sizes(), (std::vector<int64_t>{2, 1, 8, 6}));
  test::expect_error(ErrorCode::InvalidArgument, {"width is 0"},
                     [] { PatchDiscriminator none(0); });
}

}  // namespace
}  // namespace veilnet::nn
