#include "attack/pairs.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "train/loop.h"

namespace veilnet::attack {

data::Dataset stack_pairs(std::span<const uint8_t> protected_nhwc, const data::Dataset& plain) {
  if (protected_nhwc.size() != plain.pictures.pixels().size()) {
    fail(ErrorCode::InvalidArgument,
         "the protected pictures have {} bytes, the plain ones {}; pairs need the same number",
         protected_nhwc.size(), plain.pictures.pixels().size());
  }
  data::Dataset pairs;
  pairs.name = plain.name + " pairs";
  pairs.class_names = plain.class_names;
  pairs.labels = plain.labels;
  pairs.pictures = image::Batch(2 * plain.pictures.height(), plain.pictures.width(), plain.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto above = protected_nhwc.subspan(i * plain.image_bytes(), plain.image_bytes()),
               below = plain.image(i);
    std::ranges::copy(below, std::ranges::copy(above, pairs.pictures.picture(i).begin()).out);
  }
  return pairs;
}

Guess guess_upper(const nn::Model& model, const torch::Tensor& stacked) {
  const int64_t height = stacked.size(2) / 2;
  return {nn::transform(model,
                        stacked.slice(2, 0, height).contiguous(torch::MemoryFormat::ChannelsLast)),
          stacked.slice(2, height).contiguous(torch::MemoryFormat::ChannelsLast)};
}

data::Split tenth_validates(size_t count) {
  if (count < 20) {
    throw Error(ErrorCode::InvalidArgument,
                "a trained attack has " + std::to_string(count) +
                    " pictures to learn from; allowed: 20 or more (attacks.known)");
  }
  data::Split split;
  for (uint32_t i = 0; i < count; ++i) (i % 10 == 9 ? split.validation : split.train).push_back(i);
  return split;
}

data::Dataset subset(const data::Dataset& from, std::span<const uint32_t> positions) {
  auto out = from;
  out.pictures = from.pictures.subset(positions);
  out.labels.clear();
  for (const auto i : positions) out.labels.push_back(from.labels[i]);
  return out;
}

std::vector<uint8_t> transform_to_bytes(const nn::Model& model, const data::Dataset& pictures,
                                        const train::Compute& compute) {
  torch::NoGradGuard no_grad;
  std::vector<uint32_t> all(pictures.size());
  std::iota(all.begin(), all.end(), 0u);
  std::vector<uint8_t> out;
  out.reserve(pictures.pictures.pixels().size());
  train::for_each_batch(pictures, all, 256, compute.device,
                        [&](const torch::Tensor& batch, const torch::Tensor&, size_t) {
                          const auto bytes = nn::to_bytes(nn::transform(model, batch));
                          out.insert(out.end(), bytes.begin(), bytes.end());
                        });
  return out;
}

data::Dataset unlabelled(std::span<const uint8_t> images_nhwc, int height, int width) {
  data::Dataset out;
  out.class_names = {"?", "??"};
  out.pictures =
      image::Batch(height, width, std::vector<uint8_t>(images_nhwc.begin(), images_nhwc.end()));
  out.labels.assign(out.pictures.count(), 0);
  return out;
}

}  // namespace veilnet::attack
