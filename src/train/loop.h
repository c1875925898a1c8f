// The one training loop: psi, h and attack networks all go through it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <torch/nn/module.h>
#include <utility>
#include <vector>

#include "data/batches.h"
#include "nn/model.h"
#include "train/compute.h"
#include "train/recipe.h"
#include "train/run.h"

namespace veilnet::train {

/// Position in a training.
struct StepInfo {
  int64_t step = 0;  ///< 0-based
  int64_t total_steps = 0;
  int64_t steps_per_epoch = 0;
};

/// The quantity to minimise and the named parts to log, all scalars on the compute device.
struct Losses {
  torch::Tensor total;
  std::vector<std::pair<std::string, torch::Tensor>> parts;
};

/// What is trained and on which loss. A loss may depend on weights, batch and step only, so that a
/// training can be resumed.
class Task {
 public:
  virtual ~Task() = default;
  /// The model that is written at the end.
  virtual nn::Model& model() = 0;
  /// A module trained along with the model but not part of it, or null.
  virtual std::shared_ptr<torch::nn::Module> auxiliary() { return nullptr; }
  /// pictures: float [N, 3, H, W] in [0, 1]; labels: int64 [N]. Called with the model in training
  /// mode, autocast set.
  virtual Losses training_losses(const torch::Tensor& pictures, const torch::Tensor& labels,
                                 const StepInfo& info) = 0;
  /// Called with the model in evaluation mode and gradients off; means over the batch. A part named
  /// "loss" selects the epoch.
  virtual std::vector<std::pair<std::string, double>> validation_means(
      const torch::Tensor& pictures, const torch::Tensor& labels, const StepInfo& info) = 0;
};

/// The pictures of a training.
struct TrainingSet {
  const data::Dataset& pictures;
  const data::Split& split;
  /// Applied to every augmented training picture: data::BatchLoader::Options::encrypt.
  std::function<void(std::span<uint8_t>)> encrypt;
};

/// Trains `task` and leaves model.safetensors, log.jsonl and checkpoint/state.pt in the folder of
/// the run; the card's notes have the validation figures of the kept epoch.
///
/// The order of pictures, augmentation and every draw inside LibTorch depend only on the recipe's
/// seed and the step, so a training resumed from a checkpoint ends with bit for bit the weights of
/// an uninterrupted one on the same machine, LibTorch and thread count. Epoch validation figures
/// are unweighted means of batch means, as in the reference.
///
/// @throws Error{Diverged} when a loss is NaN, infinite or beyond 1e6 in magnitude, naming step and
/// part; Error{Interrupted} after a signal, state saved; as load_checkpoint when resuming.
void run_training(Task& task, const TrainingSet& set, const Recipe& recipe, const Compute& compute,
                  const Run& run);

/// Calls fn(pictures, labels, first_index) for consecutive batches of the given pictures, on the
/// compute device.
template <class Fn>
void for_each_batch(const data::Dataset& dataset, std::span<const uint32_t> indices,
                    int64_t batch_size, const torch::Device& device, Fn&& fn) {
  std::vector<uint8_t> bytes;
  for (size_t begin = 0; begin < indices.size(); begin += static_cast<size_t>(batch_size)) {
    const size_t count = std::min(static_cast<size_t>(batch_size), indices.size() - begin);
    bytes.clear();
    std::vector<int64_t> labels;
    for (size_t i = begin; i < begin + count; ++i) {
      const auto image = dataset.image(indices[i]);
      bytes.insert(bytes.end(), image.begin(), image.end());
      labels.push_back(dataset.labels[indices[i]]);
    }
    fn(nn::to_tensor(bytes, static_cast<int64_t>(count), dataset.pictures.height(),
                     dataset.pictures.width(), device),
       torch::tensor(labels, torch::kLong).to(device), begin);
  }
}

}  // namespace veilnet::train
