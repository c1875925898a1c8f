#include "nn/inverse.h"

#include <cmath>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/pixelshuffle.h>

#include "core/error.h"
#include "nn/fused.h"

namespace veilnet::nn {
namespace {

using namespace torch::nn;

void append(Sequential& layers, int64_t in, int64_t out, int64_t kernel = 1, int64_t stride = 1) {
  layers->push_back(Conv2d(Conv2dOptions(in, out, kernel).stride(stride)));
  layers->push_back(BatchNorm2d(out));
  layers->push_back(ReLU(ReLUOptions(true)));
}

Conv2d conv3x3(int64_t in, int64_t out, bool bias = false) {
  return Conv2d(Conv2dOptions(in, out, 3).padding(1).bias(bias));
}

LeakyReLU leaky_relu() { return LeakyReLU(LeakyReLUOptions().negative_slope(0.1).inplace(true)); }

// [N, 3, H, W] in [0, 1] -> the eight bits of each 8-bit value as -1 or 1, [N, 24, H, W].
torch::Tensor bit_planes(const torch::Tensor& pictures) {
  torch::NoGradGuard no_grad;
  const auto bytes = (pictures * 255).round().to(torch::kInt);
  std::vector<torch::Tensor> planes;
  for (int bit = 7; bit >= 0; --bit)
    planes.push_back(bytes.bitwise_right_shift(torch::tensor(bit, bytes.options())) % 2);
  return torch::cat(planes, 1).to(torch::kFloat) * 2 - 1;
}

}  // namespace

PixelInverse::PixelInverse() : layers_(register_module("layers", Sequential())) {
  append(layers_, 3, 64);
  append(layers_, 64, 128);
  append(layers_, 128, 256);
  layers_->push_back(Conv2d(Conv2dOptions(256, 3, 1)));
}

torch::Tensor PixelInverse::forward(torch::Tensor input) { return run_fused(*layers_, input); }

BlockInverse::BlockInverse(int64_t block) : layers_(register_module("layers", Sequential())) {
  if (block < 1 || block > 64) {
    throw Error(ErrorCode::InvalidArgument, "the block size of a block inverse is " +
                                                std::to_string(block) + "; allowed: 1 to 64");
  }
  const int64_t values = 3 * block * block;
  append(layers_, 3, values, block, block);
  append(layers_, values, values);
  append(layers_, values, 32 * block * block);
  layers_->push_back(PixelShuffle(PixelShuffleOptions(block)));
  layers_->push_back(Conv2d(Conv2dOptions(32, 3, 1)));
}

torch::Tensor BlockInverse::forward(torch::Tensor input) { return run_fused(*layers_, input); }

PositionInverse::PositionInverse(int64_t width, int64_t block, int64_t height, int64_t image_width)
    : block_(block) {
  if (width < 1 || width > 256 || block < 1 || height % block != 0 || image_width % block != 0) {
    throw Error(ErrorCode::InvalidArgument,
                "a position-aware inverse of width " + std::to_string(width) + " with blocks of " +
                    std::to_string(block) + " for pictures of " + std::to_string(height) + "x" +
                    std::to_string(image_width) +
                    "; allowed: width 1 to 256, sides multiples of the block size");
  }
  rows_ = height / block;
  columns_ = image_width / block;
  const int64_t positions = rows_ * columns_, inputs = 24 * block * block,
                features = 16 * block * block;
  weight_ = register_parameter("weight", torch::empty({positions, inputs, features}));
  direct_ = register_parameter("direct", torch::zeros({positions, inputs, 3 * block * block}));
  direct_bias_ = register_parameter("direct_bias", torch::zeros({positions, 1, 3 * block * block}));
  {
    torch::NoGradGuard no_grad;
    const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
    weight_.uniform_(-bound, bound);
  }
  after_blocks_ = register_module(
      "after_blocks",
      Sequential(BatchNorm2d(features), leaky_relu(), PixelShuffle(PixelShuffleOptions(block)),
                 conv3x3(16, width), BatchNorm2d(width), leaky_relu()));
  for (int i = 0; i < 3; ++i) {
    residual_.push_back(
        register_module("residual" + std::to_string(i),
                        Sequential(conv3x3(width, width), BatchNorm2d(width), leaky_relu(),
                                   conv3x3(width, width), BatchNorm2d(width))));
  }
  head_ = register_module("head", Sequential(conv3x3(width, width), BatchNorm2d(width),
                                             leaky_relu(), conv3x3(width, 3, true)));
}

torch::Tensor PositionInverse::forward(torch::Tensor input) {
  const int64_t n = input.size(0), positions = rows_ * columns_;
  // [positions, N, 24BB], and the way back to maps of one row and column per block.
  const auto bits = bit_planes(input)
                        .view({n, 24, rows_, block_, columns_, block_})
                        .permute({2, 4, 0, 1, 3, 5})
                        .reshape({positions, n, 24 * block_ * block_});
  const auto to_map = [&](const torch::Tensor& per_block) {
    return per_block.permute({1, 2, 0}).reshape({n, per_block.size(2), rows_, columns_});
  };
  auto x = after_blocks_->forward(
      to_map(torch::bmm(bits, weight_)).contiguous(torch::MemoryFormat::ChannelsLast));
  for (auto& block : residual_) x = torch::leaky_relu(block->forward(x) + x, 0.1);
  const auto direct =
      torch::pixel_shuffle(to_map(torch::bmm(bits, direct_) + direct_bias_), block_);
  return head_->forward(x) + direct;
}

}  // namespace veilnet::nn
