#include "train/step.h"

#include <cmath>
#include <torch/nn/utils/clip_grad.h>
#include <torch/utils.h>

#include "core/error.h"
#include "core/random.h"

namespace veilnet::train {
namespace {

constexpr double kExplosion = 1e6;

}  // namespace

Step::Step(Task& task, const Recipe& recipe, const Compute& compute)
    : task_(task), recipe_(recipe), compute_(compute), auxiliary_(task.auxiliary()) {
  auto& net = *task.model().net;
  nn::move_to(net, compute.device);
  net.train();
  parameters_ = net.parameters();
  if (auxiliary_) {
    auxiliary_->to(compute.device);
    for (auto& p : auxiliary_->parameters()) parameters_.push_back(p);
  }
  for (auto& p : parameters_) p.set_requires_grad(true);
  optimizer_ = make_optimizer(recipe, parameters_);
}

Losses Step::take(const Batch& batch, const StepInfo& info) {
  // Seeding every step makes dropout and the like depend on the step alone, so that no generator
  // state needs saving.
  torch::manual_seed(
      static_cast<uint64_t>(Random({recipe_.seed, static_cast<uint64_t>(info.step)}).next() >> 1));
  set_learning_rate(*optimizer_,
                    learning_rate(recipe_, info.step, info.total_steps, info.steps_per_epoch));
  Losses losses;
  {
    Autocast autocast(compute_);
    losses = task_.training_losses(batch, info);
  }
  const auto magnitude = losses.total.detach().abs();
  largest_ = largest_.defined() ? torch::maximum(largest_, magnitude) : magnitude;
  ++unchecked_;
  optimizer_->zero_grad();
  losses.total.backward();
  if (recipe_.clip_norm > 0) torch::nn::utils::clip_grad_norm_(parameters_, recipe_.clip_norm);
  optimizer_->step();
  return losses;
}

void Step::check(const Losses& losses, int64_t step) {
  if (!largest_.defined()) return;
  const double largest = largest_.item<double>();
  largest_ = torch::Tensor();
  const auto steps = std::exchange(unchecked_, 0);
  if (std::isfinite(largest) && largest <= kExplosion) return;
  std::string parts;
  for (const auto& [name, value] : losses.parts)
    parts += fmt::format(", {} is {}", name, value.item<double>());
  fail(ErrorCode::Diverged,
       "training diverged at step {} or up to {} steps before: the largest loss is {}; at step {} "
       "it is {}{}; allowed: finite and at most 1e6 in magnitude. Try a lower lr or set clip_norm",
       step, steps - 1, largest, step, losses.total.item<double>(), parts);
}

}  // namespace veilnet::train
