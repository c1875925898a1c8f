// The state of a training on disk.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <torch/nn/module.h>
#include <torch/optim/optimizer.h>

namespace veilnet::train {

/// Where a training is, besides its weights.
struct TrainingState {
  std::int64_t step = 0;
  /// Epochs that were validated: where the last of a step was not, that comes first.
  std::int64_t validated = 0;
  std::int64_t best_epoch = 0;  ///< 0: no epoch has ended yet
  /// Validation figures of the best epoch so far; "loss" is among them.
  std::map<std::string, double> best_figures;
  std::map<std::string, torch::Tensor> best;  ///< its weights
};

/// What a checkpoint is about.
struct Checkpoint {
  std::string key;  ///< Run::key
  torch::nn::Module& model;
  torch::nn::Module* auxiliary;  ///< or null
  torch::optim::Optimizer& optimizer;
};

/// Writes a line with a SHA-256 over all that follows it, then LibTorch's archive of the weights
/// (batch normalisation's counters included, which the model's own format drops), the optimiser and
/// the state. @throws as write_file.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& what,
                     const TrainingState& state);

/// Reads it back into `what`. @param total_steps the last step there can be.
/// @throws Error{NotFound} without one; Error{BadData} for a file that is damaged or of another
/// format, a step outside 0 to total_steps, figures or tensors that are not finite or do not fit;
/// Error{InvalidArgument} for the checkpoint of another training (another key).
TrainingState load_checkpoint(const std::filesystem::path& path, const Checkpoint& what,
                              std::int64_t total_steps, const torch::Device& device);

}  // namespace veilnet::train
