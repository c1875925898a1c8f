// What is trained, and on which loss.
#pragma once

#include <memory>
#include <string>
#include <torch/nn/module.h>
#include <utility>
#include <vector>

#include "data/batches.h"
#include "nn/model.h"
#include "train/recipe.h"

namespace veilnet::train {

/// Position in a training, and what of its batches this process has.
struct StepInfo {
  int64_t step = 0;  ///< 0-based
  int64_t total_steps = 0;
  int64_t steps_per_epoch = 0;
  int64_t batch_size = 0;         ///< of the whole batch; given wherever `part` is not all of it
  uint64_t seed = Recipe{}.seed;  ///< the recipe's
  data::Part part;
};

/// Pictures of one step, on the compute device.
struct Batch {
  torch::Tensor pictures;  ///< float [N, 3, H, W] in [0, 1]; of pairs the protected ones
  torch::Tensor labels;    ///< int64 [N]; undefined for pairs
  torch::Tensor plain;     ///< as `pictures`: what belongs to them; undefined without pairs
};

/// The quantity to minimise and the named parts to log, all scalars on the compute device.
struct Losses {
  torch::Tensor total;
  std::vector<std::pair<std::string, torch::Tensor>> parts;
};

/// A loss may depend on weights, batch and step only, so that a training can be resumed.
class Task {
 public:
  virtual ~Task() = default;
  /// The model that is written at the end.
  virtual nn::Model& model() = 0;
  /// A module trained along with the model but not part of it, or null.
  virtual std::shared_ptr<torch::nn::Module> auxiliary() { return nullptr; }
  /// Which parameters of the model and of `auxiliary` learn at `rate` times the recipe's rate.
  struct Faster {
    std::vector<torch::Tensor> parameters;
    double rate = 1;
  };
  virtual Faster faster() { return {}; }
  /// Why the pictures of a batch cannot be divided among processes; empty where they can: where
  /// the loss is a mean over pictures, plus what depends on the weights alone.
  virtual std::string indivisible() const { return ""; }
  /// Called with the model in training mode, autocast set. Of a part of a batch: means over that
  /// part, such that the parts' losses, weighted by their numbers of pictures, add up to the whole
  /// batch's.
  virtual Losses training_losses(const Batch& batch, const StepInfo& info) = 0;
  /// Called with the model in evaluation mode and gradients off; means over the batch. A part named
  /// "loss" selects the epoch.
  virtual std::vector<std::pair<std::string, double>> validation_means(const Batch& batch,
                                                                       const StepInfo& info) = 0;
};

}  // namespace veilnet::train
