// One step of a training: loss, gradients, optimiser.
#pragma once

#include <memory>
#include <torch/optim/optimizer.h>
#include <vector>

#include "train/compute.h"
#include "train/gradients.h"
#include "train/recipe.h"
#include "train/task.h"

namespace veilnet::train {

class Step {
 public:
  /// Moves the task's modules to the compute device and makes their parameters trainable.
  /// With a group: gives all processes the weights of the first.
  /// @throws Error{Unsupported} for a group and a task that is indivisible.
  Step(Task& task, const Recipe& recipe, const Compute& compute);

  torch::optim::Optimizer& optimizer() { return *optimizer_; }
  torch::nn::Module* auxiliary() { return auxiliary_.get(); }

  /// Every draw inside LibTorch depends on the recipe's seed and info.step alone, and in a group on
  /// the process. The losses stay on the device: reading one would wait for it. With a group: they
  /// and the gradients are those of the whole batch, of which `batch` is info.part.
  Losses take(const Batch& batch, const StepInfo& info);
  /// After a step that threw: as if it had not begun.
  void undo();

  /// @throws Error{Diverged} when the loss of a step since the last call was NaN, infinite or
  /// beyond 1e6 in magnitude. @param losses those of the latest step.
  void check(const Losses& losses, int64_t step);

 private:
  std::vector<torch::Tensor> buffers() const;
  void share_weights();
  void keep_buffers();
  Losses of_whole_batch(Losses losses, double share) const;

  Task& task_;
  const Recipe& recipe_;
  const Compute& compute_;
  std::shared_ptr<torch::nn::Module> auxiliary_;
  std::vector<torch::Tensor> parameters_;
  double faster_rate_;
  std::vector<std::pair<torch::Tensor, torch::Tensor>> before_;  ///< buffers, while a step is taken
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  std::unique_ptr<GradientSum> gradients_;  ///< with a group
  torch::Tensor largest_;  ///< magnitude of a loss since the last check; NaN once one was
  int64_t unchecked_ = 0;
};

}  // namespace veilnet::train
