#include "nn/convolution.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "runtime/network.h"

namespace veilnet::nn {
namespace {

struct Case {
  int64_t pictures, in, out, size;
  torch::nn::functional::Conv2dFuncOptions options;
  torch::ScalarType type = torch::kFloat;
  bool channels_last = false;
};

// Gradients of input, weights and bias.
std::vector<torch::Tensor> gradients(const Case& c, int threads) {
  at::set_num_threads(threads);
  torch::manual_seed(1);
  auto x = torch::rand({c.pictures, c.in, c.size, c.size}).to(c.type);
  if (c.channels_last) x = x.to(torch::MemoryFormat::ChannelsLast);
  x = x.detach().requires_grad_();
  const auto groups = c.options.groups();
  const auto w = torch::rand({c.out, c.in / groups, 3, 3}).to(c.type).requires_grad_();
  const auto b = torch::rand({c.out}).to(c.type).requires_grad_();
  auto options = c.options;
  const auto y = torch::nn::functional::conv2d(x, w, options.bias(b));
  return torch::autograd::grad({(y.to(torch::kFloat) * torch::rand(y.sizes())).sum()}, {x, w, b});
}

class Convolutions : public testing::Test {
 protected:
  void TearDown() override { at::set_num_threads(before_); }
  int before_ = at::get_num_threads();
};

TEST_F(Convolutions, GiveTheGradientsOfOneThreadForEveryKind) {
  use_own_convolutions();
  using Options = torch::nn::functional::Conv2dFuncOptions;
  std::vector<Case> cases = {
      {8, 3, 16, 12, Options().padding(1)},
      {7, 16, 8, 12, Options().padding(1).stride(2)},
      {8, 16, 16, 12, Options().padding(1), torch::kFloat, true},
      {5, 8, 8, 9, Options().dilation(2)},
      {6, 8, 8, 9, Options().groups(4)},
      {1, 8, 8, 9, Options()},
      {2, 8, 8, 9, Options()},
  };
  // Elsewhere LibTorch adds up in bfloat16, and nothing is trained in it.
  if (runtime::instruction_set(runtime::Type::BFloat16) != "portable")
    cases.push_back({8, 16, 16, 12, Options().padding(1), torch::kBFloat16, true});
  for (const auto& c : cases) {
    const auto one = gradients(c, 1);
    for (const int threads : {2, 3}) {
      const auto several = gradients(c, threads);
      for (size_t i = 0; i < one.size(); ++i) {
        const auto a = one[i].to(torch::kFloat), b = several[i].to(torch::kFloat);
        const double near = (c.type == torch::kFloat ? 1e-5 : 1e-2) * a.abs().max().item<double>();
        EXPECT_LT((a - b).abs().max().item<double>(), near)
            << c.pictures << " pictures, " << threads << " threads, gradient " << i;
      }
    }
  }
}

// Sizes that end within a tile, channels of whole vectors and not, more and fewer than a block, and
// fewer pixels than Winograd's way is taken for.
TEST_F(Convolutions, AreThoseOfDoublePrecision) {
  use_own_convolutions();
  at::set_num_threads(2);
  struct Size {
    int64_t pictures, in, out, height, width;
  };
  const auto all = std::vector<Size>{
      {16, 64, 64, 32, 32}, {20, 32, 48, 9, 7}, {60, 64, 128, 5, 4},  {128, 64, 64, 8, 8},
      {100, 128, 64, 6, 2}, {2, 64, 64, 1, 1},  {33, 16, 32, 13, 18}, {2, 3, 64, 16, 16}};
  for (const auto& size : all) {
    torch::manual_seed(3);
    const auto draw = [](std::vector<int64_t> shape) {
      auto t = torch::randn(shape);
      return shape.size() == 4 ? t.contiguous(torch::MemoryFormat::ChannelsLast) : t;
    };
    const std::vector<torch::Tensor> inputs = {
        draw({size.pictures, size.in, size.height, size.width}), draw({size.out, size.in, 3, 3}),
        draw({size.out})};
    const auto upstream = draw({size.pictures, size.out, size.height, size.width});
    const auto compute = [&](torch::ScalarType type) {
      std::vector<torch::Tensor> own;
      for (const auto& t : inputs) own.push_back(t.detach().to(type).requires_grad_());
      const auto y = torch::conv2d(own[0], own[1], own[2], 1, 1);
      auto result = torch::autograd::grad({y}, own, {upstream.to(type)});
      result.insert(result.begin(), y.detach());
      return result;
    };
    const auto expected = compute(torch::kDouble), found = compute(torch::kFloat);
    for (size_t i = 0; i < expected.size(); ++i) {
      const double difference = (found[i] - expected[i]).abs().max().item<double>();
      const double largest = expected[i].abs().max().item<double>();
      EXPECT_LT(difference, 2e-5 * largest)
          << size.pictures << "x" << size.in << "x" << size.height << "x" << size.width << " to "
          << size.out << ", result " << i;
    }
  }
}

TEST_F(Convolutions, TakeAGradientThatIsNoPicture) {
  use_own_convolutions();
  const auto x = torch::randn({20, 64, 8, 8}).contiguous(torch::MemoryFormat::ChannelsLast);
  const auto w = torch::randn({64, 64, 3, 3}).requires_grad_();
  const auto y = torch::conv2d(x, w, {}, 1, 1);
  const auto expanded = torch::autograd::grad({y.sum()}, {w})[0];  // strides of 0
  const auto whole =
      torch::autograd::grad({torch::conv2d(x, w, {}, 1, 1)}, {w}, {torch::ones({20, 64, 8, 8})})[0];
  EXPECT_LT((expanded - whole).abs().max().item<double>(), 1e-4);
}

TEST_F(Convolutions, GiveTheSameEveryTime) {
  use_own_convolutions();
  const Case c{9, 16, 16, 12, torch::nn::functional::Conv2dFuncOptions().padding(1)};
  const auto first = gradients(c, 2);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(torch::equal(first[1], gradients(c, 2)[1]));
}

TEST_F(Convolutions, LetSecondDerivativesThrough) {
  use_own_convolutions();
  at::set_num_threads(2);
  const auto x = torch::rand({4, 3, 8, 8}).requires_grad_();
  const auto w = torch::rand({5, 3, 3, 3}).requires_grad_();
  const auto first =
      torch::autograd::grad({torch::conv2d(x, w).square().sum()}, {w}, {}, true, true)[0];
  const auto second = torch::autograd::grad({first.sum()}, {x})[0];
  EXPECT_GT(second.abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace veilnet::nn
