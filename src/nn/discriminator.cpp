#include "nn/discriminator.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>

#include "core/error.h"

namespace veilnet::nn {

PatchDiscriminator::PatchDiscriminator(int64_t width) {
  if (width < 1 || width > 512) {
    throw Error(ErrorCode::InvalidArgument, "discriminator width is " + std::to_string(width) + "; allowed: 1 to 512");
  }
  const auto halving = [](int64_t in, int64_t out) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 4).stride(2).padding(1));
  };
  const auto leaky = [] { return torch::nn::LeakyReLU(torch::nn::LeakyReLUOptions().negative_slope(0.2)); };
  // As many groups as channels: instance normalisation.
  layers_ = register_module(
      "layers", torch::nn::Sequential(halving(3, width), leaky(), halving(width, 2 * width),
                                      torch::nn::GroupNorm(torch::nn::GroupNormOptions(2 * width, 2 * width).affine(false)),
                                      leaky(), torch::nn::Conv2d(torch::nn::Conv2dOptions(2 * width, 1, 3).padding(1))));
}

torch::Tensor PatchDiscriminator::forward(torch::Tensor input) { return layers_->forward(2 * input - 1); }

}  // namespace veilnet::nn
