// Layers computed at once that LibTorch computes one after another.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>

namespace veilnet::nn {

/// relu(norm(x) + added), [N, C, H, W]; `added` may be undefined. Running statistics are kept as
/// `norm` itself keeps them, and errors are its.
///
/// In float32 on the CPU, for channels-last x, in two passes over the pictures forward and two back
/// instead of five and eight; sums over pixels are in double. Elsewhere LibTorch's operators. The
/// gradient has no derivative of its own there.
torch::Tensor norm_relu(torch::nn::BatchNorm2dImpl& norm, const torch::Tensor& x,
                        const torch::Tensor& added = {});

/// 2x2 maxima, [N, C, H, W] -> [N, C, H/2, W/2], an odd last row or column left out; in float32 on
/// the CPU without LibTorch's table of where they were.
torch::Tensor max_pool(const torch::Tensor& x);

/// What `layers` computes. Batch normalisation before a ReLU is norm_relu; a frozen 3x3 convolution
/// before a ReLU is computed with it where the runtime's way pays (nn/convolution.h).
torch::Tensor run_fused(torch::nn::SequentialImpl& layers, torch::Tensor x);

}  // namespace veilnet::nn
