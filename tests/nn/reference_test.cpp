// Parity with the authors' PyTorch modules.
#include "nn/model.h"
#include "nn/resnet.h"
#include "nn/tensors.h"
#include "nn/unet.h"
#include "support.h"

namespace veilnet::nn {
namespace {

TEST(NetworkVectors, ParameterCountsAreThoseOfThePublishedNetworks) {
  EXPECT_EQ(parameter_count(UNet(64)), 34'527'171);
  EXPECT_EQ(parameter_count(ResNet(20, 10)), 269'722);
  EXPECT_EQ(parameter_count(ResNet(20, 100)), 275'572);
  EXPECT_EQ(parameter_count(Vgg16Bn(10)), 15'253'578);
  EXPECT_EQ(parameter_count(Vgg16Bn(100)), 15'299'748);
  EXPECT_EQ(parameter_count(FeatureExtractor("relu2_2")), 260'160);
}

TEST(NetworkVectors, DepthsHaveTheirNumberOfLayers) {
  for (const int64_t depth : {20, 32, 44, 56, 110}) {
    const ResNet net(depth, 10);
    int64_t layers = 0;
    for (const auto& m : net.modules(/*include_self=*/false))
      layers += m->as<torch::nn::Conv2d>() || m->as<torch::nn::Linear>();
    EXPECT_EQ(layers, depth);
  }
}

TEST(NetworkVectors, ResNet20MatchesTheAuthorsLogits) {
  const auto path = test::vector_file("resnet20.safetensors");
  VEILNET_NEED_VECTOR(path);
  const auto file = Safetensors::load(path);
  ResNet net(20, 10);
  load_weights(path, net, "model.", /*allow_extra=*/true);
  net.eval();
  torch::NoGradGuard no_grad;
  const auto logits = net.forward(normalise(test::tensor(file, "input"), model::Card{}));
  EXPECT_LT(test::relative_error(logits, test::tensor(file, "logits_eval")), 1e-5);
}

TEST(NetworkVectors, UNetMatchesTheAuthorsOutputInBothModes) {
  const auto path = test::vector_file("unet_w4.safetensors");
  VEILNET_NEED_VECTOR(path);
  const auto file = Safetensors::load(path);
  UNet net(4);
  load_weights(path, net, "model.", /*allow_extra=*/true);
  torch::NoGradGuard no_grad;
  net.eval();
  EXPECT_LT(test::relative_error(net.forward(test::tensor(file, "input")),
                                 test::tensor(file, "output_eval")),
            1e-5);
  net.train();
  EXPECT_LT(test::relative_error(net.forward(test::tensor(file, "input")),
                                 test::tensor(file, "output_train")),
            1e-5);
}

TEST(UNet, PadsByReplicationAndCropsBack) {
  torch::manual_seed(1);
  UNet net(2);
  net.eval();
  torch::NoGradGuard no_grad;
  const auto odd = torch::rand({2, 3, 33, 50});
  const auto padded = torch::replication_pad2d(odd, {0, 14, 0, 15});
  const auto out = net.forward(odd);
  EXPECT_EQ(out.sizes().vec(), (std::vector<int64_t>{2, 3, 33, 50}));
  EXPECT_TRUE(torch::equal(out, net.forward(padded).slice(2, 0, 33).slice(3, 0, 50)));
}

TEST(UNet, AFrozenEncoderStaysAsItIs) {
  torch::manual_seed(3);
  UNet net(2);
  const auto pictures = torch::rand({4, 3, 16, 16});
  const auto mean = net.named_buffers()["conv1.conv.1.running_mean"];
  const auto before = mean.clone();
  net.forward_in_training(pictures, false).picture.sum().backward();
  EXPECT_TRUE(torch::equal(mean, before));
  EXPECT_FALSE(net.named_parameters()["conv1.conv.0.weight"].grad().defined());
  EXPECT_TRUE(net.named_parameters()["up5.up.1.weight"].grad().defined());
  // The same features as in use.
  const auto learned_on = net.forward_in_training(pictures, false).bottleneck;
  net.eval();
  EXPECT_TRUE(torch::equal(net.forward_in_training(pictures, false).bottleneck, learned_on));
  net.train();
  net.forward_in_training(pictures, true);
  EXPECT_FALSE(torch::equal(mean, before));
}

TEST(UNet, EncoderCopiesIntoAUNetOfTheSameWidth) {
  torch::manual_seed(2);
  UNetEncoder encoder(2, 5);
  UNet net(2);
  encoder.eval();
  net.eval();
  encoder.copy_into(net);
  torch::NoGradGuard no_grad;
  const auto x = torch::rand({3, 3, 32, 32});
  const auto logits = torch::linear(net.forward_in_training(x, true).bottleneck.mean({2, 3}),
                                    encoder.linear()->weight, encoder.linear()->bias);
  EXPECT_TRUE(torch::allclose(logits, encoder.forward(x), 1e-5, 1e-6));
  UNet wider(3);
  test::expect_error(ErrorCode::InvalidArgument, {"2", "3"}, [&] { encoder.copy_into(wider); });
}

TEST(FeatureExtractor, CutFromAVggComputesWhatTheVggComputes) {
  torch::manual_seed(3);
  Vgg16Bn vgg(10);
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 3; ++i)
    vgg.forward(torch::rand({8, 3, 32, 32}));  // running statistics other than 0 and 1
  vgg.eval();
  const auto x = torch::rand({2, 3, 32, 32});
  auto expected = x;
  const auto layers = vgg.features->children();
  // Two groups of convolution, batch normalisation, ReLU; pooling; two more groups.
  for (size_t i = 0; i < 13; ++i) {
    if (auto* conv = layers[i]->as<torch::nn::Conv2d>()) expected = conv->forward(expected);
    if (auto* bn = layers[i]->as<torch::nn::BatchNorm2d>()) expected = bn->forward(expected);
    if (auto* relu = layers[i]->as<torch::nn::ReLU>()) expected = relu->forward(expected);
    if (auto* pool = layers[i]->as<torch::nn::MaxPool2d>()) expected = pool->forward(expected);
  }
  const auto phi = FeatureExtractor::cut_from(vgg, "relu2_2");
  EXPECT_EQ(expected.sizes().vec(), (std::vector<int64_t>{2, 128, 16, 16}));
  EXPECT_LT(test::relative_error(phi->forward(x), expected), 1e-5);
}

TEST(Networks, RefuseParametersOutsideTheirRange) {
  test::expect_error(ErrorCode::InvalidArgument, {"depth is 21", "6n+2"}, [] { ResNet(21, 10); });
  test::expect_error(ErrorCode::InvalidArgument, {"classes is 1"}, [] { ResNet(20, 1); });
  test::expect_error(ErrorCode::InvalidArgument, {"width is 0", "1 to 256"}, [] { UNet(0); });
  test::expect_error(ErrorCode::InvalidArgument, {"classes is 1"}, [] { Vgg16Bn(1); });
  test::expect_error(ErrorCode::InvalidArgument, {"relu9_9", "relu2_2"},
                     [] { FeatureExtractor("relu9_9"); });
}

}  // namespace
}  // namespace veilnet::nn
