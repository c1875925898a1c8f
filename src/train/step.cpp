#include "train/step.h"

#include <algorithm>
#include <cmath>
#include <torch/nn/utils/clip_grad.h>
#include <torch/utils.h>

#include "core/error.h"
#include "core/random.h"

namespace veilnet::train {
namespace {

constexpr double kExplosion = 1e6;

// The first process's draws are those of a process alone.
uint64_t seed_of(const Recipe& recipe, const StepInfo& info) {
  const auto step = static_cast<uint64_t>(info.step), part = static_cast<uint64_t>(info.part.first);
  return (part == 0 ? Random({recipe.seed, step}) : Random({recipe.seed, step, part})).next() >> 1;
}

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
  const auto faster = task.faster();
  faster_rate_ = faster.rate;
  auto others = parameters_;
  std::erase_if(others, [&](const torch::Tensor& p) {
    return std::ranges::any_of(faster.parameters, [&](const auto& own) { return own.is_same(p); });
  });
  optimizer_ = make_optimizer(recipe, std::move(others), faster.parameters);
  if (!compute.group) return;
  if (const auto reason = task.indivisible(); !reason.empty())
    fail(ErrorCode::Unsupported, "this training is for one process, and there are {}: {}",
         compute.group->size(), reason);
  gradients_ = std::make_unique<GradientSum>(*compute.group, parameters_);
  share_weights();
}

std::vector<torch::Tensor> Step::buffers() const {
  auto buffers = task_.model().net->buffers();
  if (auxiliary_)
    for (const auto& buffer : auxiliary_->buffers()) buffers.push_back(buffer);
  return buffers;
}

void Step::share_weights() {
  torch::NoGradGuard no_grad;
  for (const auto& list : {parameters_, buffers()}) {
    for (const auto& tensor : list) {
      auto whole = tensor.detach().contiguous();
      compute_.group->take_from_first(whole);
      tensor.detach().copy_(whole);
    }
  }
}

void Step::keep_buffers() {
  before_.clear();
  for (const auto& buffer : buffers()) before_.emplace_back(buffer, buffer.clone());
}

void Step::undo() {
  torch::NoGradGuard no_grad;
  for (auto& [buffer, before] : before_) buffer.copy_(before);
  before_.clear();
}

// Adds up the processes' losses, each of its share of the batch.
Losses Step::of_whole_batch(Losses losses, double share) const {
  std::vector<torch::Tensor> values{losses.total.detach()};
  for (const auto& [name, value] : losses.parts) values.push_back(value.detach());
  for (auto& value : values) value = value.to(torch::kDouble).reshape({1});
  const auto sums = torch::cat(values) * share;
  compute_.group->sum(sums);
  losses.total = sums[0];
  for (size_t i = 0; i < losses.parts.size(); ++i)
    losses.parts[i].second = sums[static_cast<int64_t>(i) + 1];
  return losses;
}

Losses Step::take(const Batch& batch, const StepInfo& info) {
  // Seeding every step makes dropout and the like depend on the step alone, so that no generator
  // state needs saving.
  torch::manual_seed(seed_of(recipe_, info));
  set_learning_rate(*optimizer_,
                    learning_rate(recipe_, info.step, info.total_steps, info.steps_per_epoch),
                    faster_rate_);
  if (gradients_) keep_buffers();
  Losses losses;
  {
    Autocast autocast(compute_);
    losses = task_.training_losses(batch, info);
  }
  optimizer_->zero_grad();
  if (gradients_) {
    const double share =
        static_cast<double>(info.part.of(info.batch_size)) / static_cast<double>(info.batch_size);
    gradients_->begin();
    (losses.total * share).backward();
    gradients_->finish();
    losses = of_whole_batch(std::move(losses), share);
  } else {
    losses.total.backward();
  }
  const auto magnitude = losses.total.detach().abs();
  largest_ = largest_.defined() ? torch::maximum(largest_, magnitude) : magnitude;
  ++unchecked_;
  if (recipe_.clip_norm > 0) torch::nn::utils::clip_grad_norm_(parameters_, recipe_.clip_norm);
  optimizer_->step();
  before_.clear();
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
