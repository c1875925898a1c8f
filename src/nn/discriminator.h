// The discriminators of adversarial trainings: pictures in, higher scores for real ones.
#pragma once

#include <memory>
#include <string>
#include <torch/nn/modules/container/sequential.h>

#include "nn/network.h"

namespace veilnet::nn {

/// Judges overlapping patches (PatchGAN, as CycleGAN uses it): 4x4 convolutions of stride 2 to
/// `width` and 2 `width` channels, instance normalisation from the second on, leaky ReLU 0.2, then
/// a 3x3 convolution to one score a patch.
///
/// forward: [N, 3, H, W] in [0, 1], sides at least 8 -> [N, 1, H/4, W/4] scores, higher for real;
/// no sigmoid.
class PatchDiscriminator : public Network {
 public:
  /// @param width 1 to 512. @throws Error{InvalidArgument} otherwise.
  explicit PatchDiscriminator(int64_t width);
  torch::Tensor forward(torch::Tensor input) override;

 private:
  torch::nn::Sequential layers_{nullptr};
};

/// The discriminators of the attacks on protected pictures.
///
/// "gan" (after the repository learnable_encryption_robustness, 64 channels): 4x4
/// convolutions of stride 2 to 64 and, spectrally normalised, 128 channels without bias, leaky ReLU
/// 0.2, a 4x4 convolution to one channel, maximum over the map.
///
/// "sia" (after SIA-GAN, IEEE Access 2021, `width` 128): three stages of a spectrally normalised
/// 3x3 and a 4x4 convolution of stride 2, to width, 2 width and 4 width channels, leaky ReLU 0.1;
/// self-attention; 3x3 to 8 width channels; self-attention; linear. All spectrally normalised.
///
/// forward: [N, 3, H, W] in [0, 1], sides at least 16 and multiples of 8 -> [N] scores, no sigmoid.
/// @throws Error{InvalidArgument} for another kind or a width outside 1 to 512.
std::shared_ptr<Network> make_attack_discriminator(const std::string& kind, int64_t width,
                                                   int64_t height, int64_t image_width);

}  // namespace veilnet::nn
