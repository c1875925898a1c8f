#include "train/batch_source.h"

#include <torch/utils.h>

namespace veilnet::train {
namespace {

torch::Tensor to_tensor(const image::Batch& pictures, const torch::Device& device) {
  return nn::to_tensor(pictures.pixels(), static_cast<int64_t>(pictures.count()), pictures.height(),
                       pictures.width(), device);
}

torch::Tensor to_tensor(const std::vector<int32_t>& labels, const torch::Device& device) {
  return torch::tensor(labels, torch::kInt).to(device, torch::kLong);
}

Batch to_device(const data::Minibatch& batch, const torch::Device& device) {
  Batch out;
  out.pictures = to_tensor(batch.pictures, device);
  if (batch.plain.empty())
    out.labels = to_tensor(batch.labels, device);
  else
    out.plain = to_tensor(batch.plain, device);
  return out;
}

// Encrypted pictures change every time, and are made by the processor.
std::optional<DevicePictures> kept_on(const image::Batch& pictures,
                                      const data::BatchLoader::Options& options,
                                      const torch::Device& device) {
  if (device.is_cpu() || options.encrypt || pictures.pixels().size() > BatchSource::kMostKept)
    return std::nullopt;
  return DevicePictures(pictures, device);
}

data::BatchLoader::Options with_pixels(data::BatchLoader::Options options, bool pixels) {
  options.pixels = pixels;
  return options;
}

}  // namespace

BatchSource::BatchSource(const data::Dataset& set, const std::vector<uint32_t>& indices,
                         data::BatchLoader::Options options, const torch::Device& device)
    : device_(device),
      pictures_(kept_on(set.pictures, options, device)),
      loader_(set, indices, with_pixels(std::move(options), !pictures_)) {}

BatchSource::BatchSource(const data::Pairs& pairs, const std::vector<uint32_t>& indices,
                         data::BatchLoader::Options options, const torch::Device& device)
    : device_(device),
      pictures_(kept_on(pairs.protected_pictures(), options, device)),
      plain_(kept_on(pairs.plain(), options, device)),
      loader_(pairs, indices, with_pixels(std::move(options), !pictures_)) {}

Batch BatchSource::next() {
  const auto batch = loader_.next();
  if (!pictures_) return to_device(batch, device_);
  Batch out;
  out.pictures = pictures_->take(batch.indices, batch.draws);
  if (plain_)
    out.plain = plain_->take(batch.indices, batch.draws);
  else
    out.labels = to_tensor(batch.labels, device_);
  return out;
}

int64_t TrainingSet::batch_size(const Recipe& recipe) const {
  return std::min<int64_t>(recipe.batch_size, static_cast<int64_t>(split_.train.size()));
}

int64_t TrainingSet::steps_per_epoch(const Recipe& recipe) const {
  return static_cast<int64_t>(split_.train.size()) / batch_size(recipe);
}

BatchSource TrainingSet::batches(const Recipe& recipe, const torch::Device& device,
                                 int64_t start_step, const data::Part& part) const {
  data::BatchLoader::Options options;
  options.batch_size = static_cast<size_t>(batch_size(recipe));
  options.augmentation = recipe.augmentation();
  options.encrypt = encrypt_;
  options.seed = recipe.seed;
  options.drop_last = true;
  options.start_step = static_cast<uint64_t>(start_step);
  options.part = part;
  if (pairs_) return {*pairs_, split_.train, std::move(options), device};
  return {*pictures_, split_.train, std::move(options), device};
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
