// What a model does to pictures before and after its layers, the same for every back end.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/image.h"
#include "model/model.h"

namespace veilnet::model {

/// A picture of the size that the model was trained on: scaled until it covers that, centre
/// cropped.
image::Image fit(const image::Image& picture, const Card& card);
/// The same of a picture file's bytes. Most JPEGs of four times that size or more are decoded
/// at a fraction of their own, and so differ by rounding. @throws as image::decode.
image::Image decode_fitted(std::span<const std::uint8_t> bytes, const std::string& name,
                           const Card& card);

/// Float activations of `count` pictures, NHWC: channels vary fastest.
struct Activations {
  int64_t count = 0, height = 0, width = 0, channels = 0;
  std::vector<float> values;
};

/// What each of the 256 levels of each channel is in a network's input: level / 255, for a
/// classifier then (x - mean_rgb) / std_rgb.
using InputLevels = std::array<std::array<float, 256>, 3>;
InputLevels input_levels(const Card& card);

/// Writes one uint8 HWC picture as a network's input, [padded.height, padded.width, 3]: below and
/// to the right of the picture its last row and column are repeated.
void write_input(const InputLevels& levels, const uint8_t* picture, int64_t height, int64_t width,
                 const Shape& padded, float* input);

/// The network's input for uint8 NHWC pictures of one size, padded to padded_shape.
/// @throws Error{InvalidArgument} unless images_nhwc holds whole pictures, and as padded_shape.
Activations network_input(const Model& model, std::span<const uint8_t> images_nhwc, int64_t height,
                          int64_t width);

/// Pictures from the output of a Transform or an Inverse: cropped to height x width, sigmoid, times
/// 255, rounded half to even. uint8 NHWC.
/// @throws Error{BadData} for an output that is not finite.
std::vector<uint8_t> pictures_of(const Activations& output, int64_t height, int64_t width);

}  // namespace veilnet::model
