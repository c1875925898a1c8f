#include "train/batch_source.h"

#include <torch/utils.h>

namespace veilnet::train {
namespace {

torch::Tensor to_tensor(const image::Batch& pictures, const torch::Device& device) {
  return nn::to_tensor(pictures.pixels(), static_cast<int64_t>(pictures.count()), pictures.height(),
                       pictures.width(), device);
}

}  // namespace

Batch to_device(const data::Minibatch& batch, const torch::Device& device) {
  Batch out;
  out.pictures = to_tensor(batch.pictures, device);
  if (batch.plain.empty()) {
    out.labels = torch::tensor(batch.labels, torch::kInt).to(device, torch::kLong);
  } else {
    out.plain = to_tensor(batch.plain, device);
  }
  return out;
}

int64_t TrainingSet::batch_size(const Recipe& recipe) const {
  return std::min<int64_t>(recipe.batch_size, static_cast<int64_t>(split_.train.size()));
}

int64_t TrainingSet::steps_per_epoch(const Recipe& recipe) const {
  return static_cast<int64_t>(split_.train.size()) / batch_size(recipe);
}

data::BatchLoader TrainingSet::loader(const Recipe& recipe, int64_t start_step,
                                      const data::Part& part) const {
  data::BatchLoader::Options options;
  options.batch_size = static_cast<size_t>(batch_size(recipe));
  options.augmentation = recipe.augmentation();
  options.encrypt = encrypt_;
  options.seed = recipe.seed;
  options.drop_last = true;
  options.start_step = static_cast<uint64_t>(start_step);
  options.part = part;
  if (pairs_) return {*pairs_, split_.train, options};
  return {*pictures_, split_.train, options};
}

void TrainingSet::for_each_validation_batch(const Recipe& recipe, const torch::Device& device,
                                            const std::function<void(const Batch&)>& fn,
                                            const data::Part& part) const {
  const std::span<const uint32_t> all = split_.validation;
  const auto size = static_cast<size_t>(2 * recipe.batch_size);
  const auto stride = size * static_cast<size_t>(part.step);
  for (size_t begin = size * static_cast<size_t>(part.first); begin < all.size(); begin += stride) {
    const auto some = all.subspan(begin, std::min(size, all.size() - begin));
    data::Minibatch batch;
    if (pairs_) {
      batch.pictures = pairs_->protected_pictures().subset(some);
      batch.plain = pairs_->plain().subset(some);
    } else {
      batch.pictures = pictures_->pictures.subset(some);
      for (const auto i : some) batch.labels.push_back(pictures_->labels[i]);
    }
    fn(to_device(batch, device));
  }
}

}  // namespace veilnet::train
