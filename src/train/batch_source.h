// The pictures of a training, as batches on the compute device.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/batches.h"
#include "train/device_pictures.h"
#include "train/recipe.h"
#include "train/task.h"

namespace veilnet::train {

/// Batches as tensors on the compute device. Where that is not the processor, the pictures are kept
/// on it if a set of them (of pairs, each of the two) has at most kMostKept bytes, and only which
/// they are and how they are turned is sent to it; the batches are the same.
class BatchSource {
 public:
  static constexpr size_t kMostKept = size_t{4} << 30;
  /// What is given must outlive it.
  BatchSource(const data::Dataset& pictures, const std::vector<uint32_t>& indices,
              data::BatchLoader::Options options, const torch::Device& device);
  BatchSource(const data::Pairs& pairs, const std::vector<uint32_t>& indices,
              data::BatchLoader::Options options, const torch::Device& device);
  Batch next();

 private:
  torch::Device device_;
  std::optional<DevicePictures> pictures_, plain_;
  data::BatchLoader loader_;
};

/// What a training learns from and what validates it: labelled pictures, or pairs. All of it must
/// outlive the training.
class TrainingSet {
 public:
  /// @param encrypt applied to every augmented training picture:
  /// data::BatchLoader::Options::encrypt.
  TrainingSet(const data::Dataset& pictures, const data::Split& split,
              std::function<void(std::span<uint8_t>)> encrypt = {})
      : pictures_(&pictures), split_(split), encrypt_(std::move(encrypt)) {}
  TrainingSet(const data::Pairs& pairs, const data::Split& split) : pairs_(&pairs), split_(split) {}

  /// Pictures a step: the recipe's, or all there are if that is fewer.
  int64_t batch_size(const Recipe& recipe) const;
  /// Whole batches only: a last one of a few pictures would give batch normalisation useless
  /// statistics.
  int64_t steps_per_epoch(const Recipe& recipe) const;

  /// Endless batches, shuffled and augmented by (seed, epoch, position) alone, prepared by a thread
  /// of their own. @param start_step how many to skip. @param part which pictures of each.
  BatchSource batches(const Recipe& recipe, const torch::Device& device, int64_t start_step,
                      const data::Part& part = {}) const;

  /// The validation pictures in order, twice the recipe's batch size at a time. @param part which
  /// of these batches.
  void for_each_validation_batch(const Recipe& recipe, const torch::Device& device,
                                 const std::function<void(const Batch&)>& fn,
                                 const data::Part& part = {}) const;

 private:
  const data::Dataset* pictures_ = nullptr;
  const data::Pairs* pairs_ = nullptr;
  const data::Split& split_;
  std::function<void(std::span<uint8_t>)> encrypt_;
};

}  // namespace veilnet::train
