#include "nn/fused.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "core/error.h"

namespace veilnet::nn {
namespace {

constexpr auto kNhwc = torch::MemoryFormat::ChannelsLast;

torch::Tensor draw(std::vector<int64_t> shape, double about = 0) {
  return (torch::randn(shape) + about).contiguous(kNhwc);
}

void expect_near(const torch::Tensor& found, const torch::Tensor& expected, const char* what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  const double largest = expected.abs().max().item<double>();
  EXPECT_LT((found - expected).abs().max().item<double>(), 2e-5 * largest + 1e-7) << what;
}

torch::nn::BatchNorm2d norm_of(int64_t channels, bool train) {
  torch::manual_seed(4);
  torch::nn::BatchNorm2d norm(channels);
  torch::NoGradGuard no_grad;
  norm->weight.normal_();
  norm->bias.normal_();
  norm->running_mean.normal_();
  norm->running_var.uniform_(0.5, 2);
  norm->train(train);
  for (auto& p : norm->parameters()) p.set_requires_grad(train);
  return norm;
}

class NormRelu : public testing::TestWithParam<std::tuple<bool, bool, int>> {
 protected:
  void TearDown() override { at::set_num_threads(before_); }
  int before_ = at::get_num_threads();
};

// Values far from 0 in one case: sums of squares would lose the variance there.
TEST_P(NormRelu, IsThatOfDoublePrecision) {
  const auto [train, add, threads] = GetParam();
  at::set_num_threads(threads);
  for (const auto& [pictures, channels, side, about] :
       std::vector<std::tuple<int64_t, int64_t, int64_t, double>>{
           {16, 64, 32, 0}, {3, 16, 7, 100}, {1, 32, 2, 0}, {5, 80, 3, 0}, {2, 6, 5, 0}}) {
    auto norm = norm_of(channels, train), reference = norm_of(channels, train);
    reference->to(torch::kDouble);
    const auto x = draw({pictures, channels, side, side}, about).requires_grad_();
    const auto added = draw({pictures, channels, side, side}).requires_grad_();
    const auto upstream = draw({pictures, channels, side, side});
    const auto y = norm_relu(*norm, x, add ? added : torch::Tensor());
    const auto wide = x.detach().to(torch::kDouble).requires_grad_();
    const auto wide_added = added.detach().to(torch::kDouble).requires_grad_();
    auto sum = reference->forward(wide);
    if (add) sum = sum + wide_added;
    const auto expected = torch::relu(sum);
    expect_near(y, expected, "output");
    std::vector<torch::Tensor> of = {x}, of_expected = {wide};
    if (add) {
      of.push_back(added);
      of_expected.push_back(wide_added);
    }
    if (train) {
      of.insert(of.end(), {norm->weight, norm->bias});
      of_expected.insert(of_expected.end(), {reference->weight, reference->bias});
    }
    // Where the sum is so near 0 that the two disagree about its sign, neither is wrong.
    const auto sure = (sum.detach().abs() > 1e-4).to(torch::kDouble);
    const auto g = torch::autograd::grad({y}, of, {(upstream * sure).to(torch::kFloat)});
    const auto wanted = torch::autograd::grad({expected}, of_expected, {upstream * sure});
    for (size_t i = 0; i < g.size(); ++i) expect_near(g[i], wanted[i], "gradient");
    expect_near(norm->running_mean, reference->running_mean, "running mean");
    expect_near(norm->running_var, reference->running_var, "running variance");
    EXPECT_EQ(norm->num_batches_tracked.item<int64_t>(), train ? 1 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Fused, NormRelu,
                         testing::Combine(testing::Bool(), testing::Bool(), testing::Values(1, 2)));

TEST(Fused, OneValueAChannelIsLibTorchsError) {
  auto norm = norm_of(32, true);
  EXPECT_THROW(norm_relu(*norm, draw({1, 32, 1, 1})), c10::Error);
}

TEST(Fused, RefusesSecondDerivatives) {
  auto norm = norm_of(32, true);
  const auto x = draw({4, 32, 4, 4}).requires_grad_();
  const auto y = norm_relu(*norm, x);
  EXPECT_THROW(torch::autograd::grad({y.square().sum()}, {x}, {}, true, true), Error);
}

TEST(Fused, AFrozenConvolutionIsWhatItsLayersAre) {
  torch::manual_seed(5);
  torch::nn::Sequential layers(
      torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 64, 3).padding(1)), torch::nn::ReLU(),
      torch::nn::Conv2d(torch::nn::Conv2dOptions(64, 64, 3).padding(1)), torch::nn::ReLU(),
      torch::nn::MaxPool2d(2), torch::nn::Conv2d(torch::nn::Conv2dOptions(64, 128, 3).padding(1)),
      torch::nn::ReLU(), torch::nn::Conv2d(torch::nn::Conv2dOptions(128, 32, 1)));
  for (auto& p : layers->parameters()) p.set_requires_grad(false);
  const auto x = draw({8, 3, 16, 16}).requires_grad_();
  const auto y = run_fused(*layers, x), expected = layers->forward(x);
  expect_near(y, expected, "output");
  const auto upstream = draw({8, 32, 8, 8});
  // Pictures of random weights: a handful of signs may differ, so the mean is compared.
  const auto g = torch::autograd::grad({y}, {x}, {upstream})[0];
  const auto wanted = torch::autograd::grad({expected}, {x}, {upstream})[0];
  EXPECT_LT((g - wanted).abs().mean().item<double>(), 1e-4 * wanted.abs().mean().item<double>());
}

TEST(Fused, MaximaAreLibTorchs) {
  torch::manual_seed(6);
  for (const auto& shape : std::vector<std::vector<int64_t>>{
           {4, 32, 8, 12}, {1, 64, 2, 2}, {3, 16, 5, 7}, {2, 6, 4, 4}}) {
    // Of few values, so that some of the four are equal.
    const auto x = torch::randint(4, shape).to(torch::kFloat).contiguous(kNhwc).requires_grad_();
    const auto y = max_pool(x), expected = torch::max_pool2d(x, 2, 2);
    EXPECT_TRUE(torch::equal(y, expected));
    const auto upstream = torch::randn(y.sizes());
    EXPECT_TRUE(torch::equal(torch::autograd::grad({y}, {x}, {upstream})[0],
                             torch::autograd::grad({expected}, {x}, {upstream})[0]));
  }
}

TEST(Fused, WeightsThatLearnKeepTheirGradients) {
  torch::nn::Sequential layers(torch::nn::Conv2d(torch::nn::Conv2dOptions(64, 64, 3).padding(1)),
                               torch::nn::ReLU());
  run_fused(*layers, draw({2, 64, 8, 8})).sum().backward();
  for (const auto& p : layers->parameters()) EXPECT_GT(p.grad().abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace veilnet::nn
