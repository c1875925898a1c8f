// Pictures that stay on the compute device, where they are flipped and cropped.
#pragma once

#include <span>
#include <torch/types.h>

#include "data/batches.h"
#include "image/batch.h"

namespace veilnet::train {

class DevicePictures {
 public:
  DevicePictures(const image::Batch& pictures, const torch::Device& device);
  /// These pictures as data::augment turns them: float [N, 3, H, W] in [0, 1], the same values.
  /// @param draws as many as indices, or none for pictures as they are.
  torch::Tensor take(std::span<const uint32_t> indices, std::span<const data::Draw> draws) const;

 private:
  int64_t height_, width_;
  torch::Tensor bytes_;  // uint8 [pictures, H W, 3]
};

}  // namespace veilnet::train
