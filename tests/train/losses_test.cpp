#include "train/tasks/losses.h"

#include "../nn/tensors.h"
#include "nn/resnet.h"
#include "support.h"

namespace veilnet::train {
namespace {

TEST(TransformLossVectors, MatchTheReferenceInValueFeaturesAndGradient) {
  const auto path = test::vector_file("transform_loss.safetensors"),
             psi_path = test::vector_file("resnet20.safetensors"),
             phi_path = test::vector_file("../weights/vgg_relu2_2.safetensors");
  VEILNET_NEED_VECTOR(path);
  VEILNET_NEED_VECTOR(psi_path);
  VEILNET_NEED_VECTOR(phi_path);
  const auto file = Safetensors::load(path);
  nn::Model psi{model::Card{}, std::make_shared<nn::ResNet>(20, 10)};
  nn::load_weights(psi_path, *psi.net, "model.", /*allow_extra=*/true);
  psi.net->eval();
  const auto phi = nn::load_feature_extractor(phi_path, "relu2_2");
  const auto plain = test::tensor(file, "input");

  EXPECT_LT(test::relative_error(phi->forward(nn::normalise(plain, psi.card)),
                                 test::tensor(file, "relu2_2_input")),
            1e-5);

  const auto unet_output = test::tensor(file, "unet_output").requires_grad_(true);
  const auto loss =
      transform_loss(psi, *phi, unet_output, plain, test::tensor(file, "target"), 0.01);
  EXPECT_LT(test::relative_error(loss.class_loss, test::tensor(file, "loss_class")), 1e-5);
  EXPECT_LT(test::relative_error(loss.feature_loss, test::tensor(file, "loss_feat")), 1e-5);
  EXPECT_LT(test::relative_error(loss.total, test::tensor(file, "loss")), 1e-5);
  loss.total.backward();
  EXPECT_LT(test::relative_error(unet_output.grad(), test::tensor(file, "grad_unet_output")), 1e-4);
}

TEST(TransformLoss, FeatureLossIsZeroForEqualPicturesAndPositiveOtherwise) {
  torch::manual_seed(1);
  nn::FeatureExtractor phi("relu1_1");
  const auto x = torch::rand({2, 3, 16, 16});
  EXPECT_EQ(feature_loss(phi, model::Card{}, x, x).item<double>(), 0);
  EXPECT_GT(feature_loss(phi, model::Card{}, x, 1 - x).item<double>(), 0);
}

TEST(Losses, DistillationIsTheDivergenceFromWhatTheTeacherSays) {
  const auto answers = torch::tensor({{0.0f, 0.0f}});
  auto logits = torch::tensor({{2.0f, 0.0f}}).requires_grad_(true);
  // -ln 2 - (ln softmax(2 / T)_1 + ln softmax(2 / T)_2) / 2, times T^2
  EXPECT_NEAR(distillation_loss(logits, answers, 1).item<double>(), 0.433781, 1e-5);
  EXPECT_NEAR(distillation_loss(logits, answers, 2).item<double>(), 0.480459, 1e-5);
  EXPECT_NEAR(distillation_loss(logits, logits, 2).item<double>(), 0, 1e-6);
  const auto taught = torch::tensor({{1.0f, 3.0f}}).requires_grad_(true);
  distillation_loss(logits, taught, 4).backward();
  EXPECT_FALSE(taught.grad().defined());
  // T^2 keeps the gradient's size: T (softmax(logits / T) - softmax(answers / T)).
  EXPECT_NEAR(logits.grad()[0][0].item<double>(), 4 * (0.622459 - 0.377541), 1e-4);
}

TEST(Losses, DistanceCorrelationTellsTurnedFromIndependent) {
  torch::manual_seed(4);
  const auto a = torch::rand({40, 3, 2, 2});
  EXPECT_NEAR(distance_correlation(a, 2 * a.flip({1}) - 1).item<double>(), 1, 1e-3);
  const auto other = distance_correlation(a, torch::rand({40, 3, 2, 2})).item<double>();
  EXPECT_GT(other, 0);
  EXPECT_LT(other, 0.9);
  // As NumPy computes it from the definition, for values on a line: 0, 1, 3 beside 0, 2, 1.
  const auto x = torch::tensor({0.0f, 1.0f, 3.0f}).view({3, 1}),
             y = torch::tensor({0.0f, 2.0f, 1.0f}).view({3, 1});
  EXPECT_NEAR(distance_correlation(x, y).item<double>(), 0.762199, 1e-3);
  auto same = torch::ones({4, 3}).requires_grad_(true);
  distance_correlation(same, torch::rand({4, 3})).backward();
  EXPECT_TRUE(torch::isfinite(same.grad()).all().item<bool>());
}

}  // namespace
}  // namespace veilnet::train
