#include "nn/infer.h"

#include <algorithm>
#include <cmath>

#include "nn/tensors.h"
#include "support.h"

namespace veilnet::nn {
namespace {

image::Batch pictures(size_t count) {
  std::vector<uint8_t> pixels(count * 8 * 8 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * i * 3 + i / 192);
  return {8, 8, std::move(pixels)};
}

// Brightness of the left half against the right one.
class LeftOrRight : public Network {
 public:
  torch::Tensor forward(torch::Tensor x) override {
    ++calls;
    const auto half = x.size(3) / 2;
    return torch::stack({x.slice(3, 0, half).mean({1, 2, 3}), x.slice(3, half).mean({1, 2, 3})}, 1);
  }
  int calls = 0;
};

TEST(Infer, GivesWhatOneBatchGives) {
  torch::manual_seed(1);
  torch::NoGradGuard no_grad;
  model::Card card;
  card.role = model::Role::Transform;
  card.architecture = "unet";
  card.base_width = 2;
  const auto h = make_model(card);
  h.net->eval();
  const auto many = pictures(300);
  const auto out = transform(h, many);
  EXPECT_EQ(out.count(), 300u);
  // The same batches as before: 256 and what is left.
  const auto first = to_bytes(transform(h, to_tensor(many.pixels().first(256 * 192), 256, 8, 8)));
  const auto rest = to_bytes(transform(h, to_tensor(many.pixels().subspan(256 * 192), 44, 8, 8)));
  EXPECT_TRUE(std::ranges::equal(out.pixels().first(first.size()), first));
  EXPECT_TRUE(std::ranges::equal(out.pixels().subspan(first.size()), rest));
}

TEST(Infer, CountsRightAnswersOverAllBatches) {
  const auto net = std::make_shared<LeftOrRight>();
  model::Card card;
  card.class_names = {"left", "right"};
  const Model psi{card, net};
  const auto many = pictures(300);
  const auto guesses = logits(psi, many).argmax(1);
  EXPECT_EQ(guesses.size(0), 300);
  EXPECT_EQ(net->calls, 2);
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < 300; ++i)
    labels.push_back(
        static_cast<int32_t>(i < 60 ? 1 - guesses[i].item<int64_t>() : guesses[i].item<int64_t>()));
  EXPECT_DOUBLE_EQ(accuracy(psi, many, labels), 0.8);
  EXPECT_EQ(logits(psi, image::Batch(8, 8)).size(0), 0);
  test::expect_error(ErrorCode::InvalidArgument, {"299", "300"},
                     [&] { accuracy(psi, many, std::span(labels).first(299)); });
}

TEST(Infer, SaysWhenAnOutputIsNotFinite) {
  torch::manual_seed(1);
  torch::NoGradGuard no_grad;
  model::Card card;
  card.role = model::Role::Transform;
  card.architecture = "unet";
  card.base_width = 1;
  auto h = make_model(card);
  h.net->eval();
  h.net->named_parameters()["conv_1x1.bias"].fill_(std::nanf(""));
  test::expect_error(ErrorCode::BadData, {"transform", "unet width 1", "not finite"},
                     [&] { transform(h, pictures(1)); });
  card.role = model::Role::Classifier;
  card.architecture = "resnet";
  card.base_width = 0;
  card.depth = 8;
  card.class_names = {"a", "b"};
  auto psi = make_model(card);
  psi.net->eval();
  psi.net->named_parameters()["linear.bias"].fill_(INFINITY);
  test::expect_error(ErrorCode::BadData, {"classifier", "resnet-8", "not finite"},
                     [&] { logits(psi, pictures(1)); });
}

TEST(Infer, MeasuresFeatureDistances) {
  torch::manual_seed(2);
  torch::NoGradGuard no_grad;
  FeatureExtractor phi("relu1_2");
  const model::Card card;
  const auto a = pictures(260);
  image::Batch b(8, 8, 260);
  std::copy_n(a.pixels().begin(), 192, b.pixels().begin());
  const auto distances = feature_distances(phi, card, a, b);
  ASSERT_EQ(distances.size(), 260u);
  EXPECT_EQ(distances[0], 0);
  const auto features = [&](const image::Batch& x) {
    return phi.forward(normalise(to_tensor(x.picture(259), 1, 8, 8), card));
  };
  EXPECT_NEAR(distances[259], (features(a) - features(b)).square().mean().item<double>(), 1e-5);
  test::expect_error(ErrorCode::InvalidArgument, {"260", "1 of 8x8"},
                     [&] { feature_distances(phi, card, a, pictures(1)); });
}

}  // namespace
}  // namespace veilnet::nn
