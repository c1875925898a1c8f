// The discriminator of adversarial trainings.
#pragma once

#include <torch/nn/modules/container/sequential.h>

#include "nn/network.h"

namespace veilnet::nn {

/// Judges overlapping patches (PatchGAN, as CycleGAN uses it): 4x4 convolutions of stride 2 to `width` and 2 `width` channels,
/// instance normalisation from the second on, leaky ReLU 0.2, then a 3x3 convolution to one score a patch.
///
/// forward: [N, 3, H, W] in [0, 1], sides at least 8 -> [N, 1, H/4, W/4] scores, higher for real; no sigmoid.
class PatchDiscriminator : public Network {
 public:
  /// @param width 1 to 512. @throws Error{InvalidArgument} otherwise.
  explicit PatchDiscriminator(int64_t width);
  torch::Tensor forward(torch::Tensor input) override;

 private:
  torch::nn::Sequential layers_{nullptr};
};

}  // namespace veilnet::nn
