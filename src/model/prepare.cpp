#include "model/prepare.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace veilnet::model {

image::Image fit(const image::Image& picture, const Card& card) {
  return image::resize_and_crop(picture, static_cast<int>(card.height),
                                static_cast<int>(card.width));
}

image::Image decode_fitted(std::span<const std::uint8_t> bytes, const std::string& name,
                           const Card& card) {
  return image::decode_fitted(bytes, name, static_cast<int>(card.height),
                              static_cast<int>(card.width));
}

InputLevels input_levels(const Card& card) {
  InputLevels levels;
  for (size_t c = 0; c < 3; ++c) {
    const auto mean = static_cast<float>(card.mean_rgb[c]);
    const auto std = static_cast<float>(card.std_rgb[c]);
    for (size_t v = 0; v < 256; ++v) {
      const float x = static_cast<float>(v) / 255.0f;
      levels[c][v] = card.role == Role::Classifier ? (x - mean) / std : x;
    }
  }
  return levels;
}

void write_input(const InputLevels& levels, const uint8_t* picture, int64_t height, int64_t width,
                 const Shape& padded, float* input) {
  for (int64_t y = 0; y < padded.height; ++y) {
    const auto* row = picture + std::min(y, height - 1) * width * 3;
    for (int64_t x = 0; x < padded.width; ++x) {
      const auto* pixel = row + std::min(x, width - 1) * 3;
      for (size_t c = 0; c < 3; ++c) *input++ = levels[c][pixel[c]];
    }
  }
}

Activations network_input(const Model& model, std::span<const uint8_t> images_nhwc, int64_t height,
                          int64_t width) {
  const auto padded = padded_shape(model.graph, height, width);
  const auto bytes = static_cast<size_t>(height * width * 3);
  if (images_nhwc.size() % bytes != 0) {
    fail(ErrorCode::InvalidArgument, "picture batch has {} bytes; expected a multiple of {}",
         images_nhwc.size(), bytes);
  }
  Activations input{
      static_cast<int64_t>(images_nhwc.size() / bytes), padded.height, padded.width, 3, {}};
  input.values.resize(static_cast<size_t>(input.count * padded.size()));
  const auto levels = input_levels(model.card);
  for (int64_t n = 0; n < input.count; ++n) {
    write_input(levels, images_nhwc.data() + static_cast<size_t>(n) * bytes, height, width, padded,
                input.values.data() + n * padded.size());
  }
  return input;
}

std::vector<uint8_t> pictures_of(const Activations& output, int64_t height, int64_t width) {
  std::vector<uint8_t> pictures;
  pictures.reserve(static_cast<size_t>(output.count * height * width * 3));
  for (int64_t n = 0; n < output.count; ++n) {
    for (int64_t y = 0; y < height; ++y) {
      const auto* row =
          output.values.data() + ((n * output.height + y) * output.width) * output.channels;
      for (int64_t i = 0; i < width * 3; ++i) {
        const float p = 1.0f / (1.0f + std::exp(-row[i]));
        if (!std::isfinite(row[i]))
          fail(ErrorCode::BadData, "the network's output for picture {} is not finite", n);
        pictures.push_back(static_cast<uint8_t>(std::nearbyint(p * 255.0f)));
      }
    }
  }
  return pictures;
}

}  // namespace veilnet::model
