// Exact pairs of protected and plain pictures, as the trained attacks take them.
#pragma once

#include "data/batches.h"
#include "data/dataset.h"
#include "nn/model.h"
#include "train/compute.h"

namespace veilnet::attack {

/// Both halves of a pair as one picture of twice the height, the protected picture above the plain
/// one, so that one flip acts on both. The order of the pictures is kept.
/// @param protected_nhwc as many pictures as `plain` has, of the same size. @throws
/// Error{InvalidArgument} otherwise.
data::Dataset stack_pairs(std::span<const uint8_t> protected_nhwc, const data::Dataset& plain);

/// A network's output for the upper halves of stacked pictures, float [N, 3, 2H, W] in [0, 1],
/// beside the lower halves; each [N, 3, H, W].
struct Guess {
  torch::Tensor made, plain;
};
Guess guess_upper(const nn::Model& model, const torch::Tensor& stacked);

/// Every tenth of `count` pictures validates. @throws Error{InvalidArgument} for fewer than 20.
data::Split tenth_validates(size_t count);

/// A set of the pictures at these positions, which may repeat.
data::Dataset subset(const data::Dataset& from, std::span<const uint32_t> positions);

/// 8-bit pictures of a data set, NHWC, through a network in evaluation mode: protected ones, or
/// reconstructions.
std::vector<uint8_t> transform_to_bytes(const nn::Model& model, const data::Dataset& pictures,
                                        const train::Compute& compute);

/// A data set without labels, for pictures that came from elsewhere.
data::Dataset unlabelled(std::span<const uint8_t> images_nhwc, int height, int width);

}  // namespace veilnet::attack
