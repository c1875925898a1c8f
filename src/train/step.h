// One step of a training: loss, gradients, optimiser.
#pragma once

#include <memory>
#include <torch/optim/optimizer.h>
#include <vector>

#include "train/compute.h"
#include "train/recipe.h"
#include "train/task.h"

namespace veilnet::train {

class Step {
 public:
  /// Moves the task's modules to the compute device and makes their parameters trainable.
  Step(Task& task, const Recipe& recipe, const Compute& compute);

  torch::optim::Optimizer& optimizer() { return *optimizer_; }
  torch::nn::Module* auxiliary() { return auxiliary_.get(); }

  /// Every draw inside LibTorch depends on the recipe's seed and info.step alone. The losses stay
  /// on the device: reading one would wait for it.
  Losses take(const Batch& batch, const StepInfo& info);

  /// @throws Error{Diverged} when the loss of a step since the last call was NaN, infinite or
  /// beyond 1e6 in magnitude. @param losses those of the latest step.
  void check(const Losses& losses, int64_t step);

 private:
  Task& task_;
  const Recipe& recipe_;
  const Compute& compute_;
  std::shared_ptr<torch::nn::Module> auxiliary_;
  std::vector<torch::Tensor> parameters_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  torch::Tensor largest_;  ///< magnitude of a loss since the last check; NaN once one was
  int64_t unchecked_ = 0;
};

}  // namespace veilnet::train
