// Networks that attackers train besides the U-Net: protected picture -> reconstruction.
//
// As with the U-Net, the sigmoid that turns the output into a picture is outside (nn::transform).
// The papers use tanh and pictures in [-1, 1], which is the same function up to a factor of 2
// before it.
#pragma once

#include <torch/nn/modules/container/sequential.h>

#include "nn/network.h"

namespace veilnet::nn {

/// The published attack network for pixel-based encryption: 1x1 convolutions 3-64-128-256-3 with
/// batch normalisation and ReLU. The same weights for every pixel, so what differs between
/// positions is beyond it.
///
/// forward: [N, 3, H, W] in [0, 1] -> [N, 3, H, W] unbounded.
class PixelInverse : public Network {
 public:
  PixelInverse();
  torch::Tensor forward(torch::Tensor input) override;

 private:
  torch::nn::Sequential layers_{nullptr};
};

/// The published attack network for block schemes: a BxB convolution of stride B to 3BB channels,
/// two 1x1 convolutions (to 3BB and 32BB), each with batch normalisation and ReLU, pixel shuffle,
/// 1x1 to 3. The same weights for every block.
///
/// forward: as PixelInverse; sides multiples of B.
class BlockInverse : public Network {
 public:
  /// @throws Error{InvalidArgument} unless 1 <= block_size <= 64.
  explicit BlockInverse(int64_t block_size);
  torch::Tensor forward(torch::Tensor input) override;

 private:
  torch::nn::Sequential layers_{nullptr};
};

/// A position-aware inverse: weights of their own for every block position, then convolutions that
/// know what pictures look like. After the generator of SIA-GAN (IEEE Access 2021), with two
/// differences that make it stronger: it sees the eight bits of each value apart, in which all the
/// keyed schemes but FFX are affine, and its convolutions are not spectrally normalised.
///
/// Per block 24BB bits to 16BB features, batch normalisation, leaky ReLU 0.1, pixel shuffle to 16
/// channels; 3x3 convolutions to `width` channels, three residual blocks, one more, and one to 3
/// channels, to which a linear image of the bits of the same block is added.
///
/// forward: as PixelInverse, for pictures of exactly height x width. Gradients do not reach the
/// input.
class PositionInverse : public Network {
 public:
  /// @param width 1 to 256; 64 in the paper. @throws Error{InvalidArgument} otherwise, or unless
  /// the sides are multiples of block_size.
  PositionInverse(int64_t width, int64_t block_size, int64_t height, int64_t image_width);
  torch::Tensor forward(torch::Tensor input) override;

 private:
  int64_t block_, rows_, columns_;
  torch::Tensor weight_, direct_, direct_bias_;
  torch::nn::Sequential after_blocks_{nullptr}, head_{nullptr};
  std::vector<torch::nn::Sequential> residual_;
};

}  // namespace veilnet::nn
