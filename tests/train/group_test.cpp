#include "train/group.h"

#include <torch/torch.h>

#include "data/sources.h"
#include "nn/whole_batch_norm.h"
#include "support.h"
#include "train/step.h"
#include "train/tasks/gan.h"
#include "train/tasks/transform.h"

// What several processes do together is tested by bench/data_parallel.cpp and
// tests/e2e/processes_test.py.
namespace veilnet::train {
namespace {

// Two processes with the same pictures are one with the pictures twice: the same mean, variance and
// gradient of the input, and running statistics of twice the count.
TEST(WholeBatchNorm, IsThatOfAllPictures) {
  for (const auto type : {torch::kDouble, torch::kFloat, torch::kBFloat16}) {
    const double near = type == torch::kDouble ? 1e-12 : type == torch::kFloat ? 1e-5 : 1e-2;
    torch::manual_seed(3);
    const auto x = torch::randn({5, 4, 3, 3}).to(type) + 2,
               dy = torch::randn({5, 4, 3, 3}).to(type);
    const auto run = [&](bool whole) {
      torch::nn::BatchNorm2d bn(4);
      if (type == torch::kDouble) bn->to(type);
      {
        torch::NoGradGuard no_grad;
        bn->weight.copy_(torch::arange(1, 5));
      }
      const auto leaf = x.clone().requires_grad_();
      std::optional<nn::WholeBatchNorm> sum;
      if (whole) sum.emplace([](const torch::Tensor& sums) { sums.mul_(2); });
      // Of two copies the leaf gets both gradients.
      const auto input = whole ? leaf : torch::cat({leaf, leaf});
      const auto y = bn(input);
      y.backward(whole ? dy : torch::cat({dy, dy}));
      return std::vector{y.slice(0, 0, 5).detach(),
                         leaf.grad() / (whole ? 1 : 2),
                         bn->weight.grad() / (whole ? 1 : 2),
                         bn->bias.grad() / (whole ? 1 : 2),
                         bn->running_mean,
                         bn->running_var};
    };
    const auto together = run(true), alone = run(false);
    for (size_t i = 0; i < alone.size(); ++i)
      EXPECT_LT((together[i] - alone[i]).abs().max().item<double>(),
                near * std::max(1.0, alone[i].abs().max().item<double>()))
          << type << " " << i;
  }
}

TEST(WholeBatchNorm, LeavesEvaluationModeAloneAndEndsWithItsLife) {
  torch::nn::BatchNorm2d bn(2);
  const auto x = torch::randn({4, 2, 3, 3});
  int calls = 0;
  {
    const nn::WholeBatchNorm whole([&](const torch::Tensor&) { ++calls; });
    bn->eval();
    bn(x);
    EXPECT_EQ(calls, 0);
    bn->train();
    bn(x);
    EXPECT_EQ(calls, 1);
  }
  bn(x);
  EXPECT_EQ(calls, 1);
}

TEST(Tasks, SayWhatCannotBeDivided) {
  model::Card card;
  card.class_names = {"a", "b"};
  card.height = card.width = 16;
  card.architecture = "resnet";
  card.depth = 8;
  const auto psi = nn::make_model(card);
  card.role = model::Role::Transform;
  card.architecture = "unet";
  card.base_width = 2;
  TransformOptions options;
  EXPECT_EQ(TransformTask(nn::make_model(card), psi, nullptr, options).indivisible(), "");
  options.correlation_weight = 1;
  EXPECT_NE(TransformTask(nn::make_model(card), psi, nullptr, options).indivisible(), "");
  EXPECT_NE(GanTask(nn::make_model(card), psi, nullptr, {}).indivisible(), "");
}

}  // namespace
}  // namespace veilnet::train
