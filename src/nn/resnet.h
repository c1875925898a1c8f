// CIFAR ResNets (He et al. 2016, section 4.2) with parameter-free option-A shortcuts.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "nn/network.h"

namespace veilnet::nn {

/// ResNet-20/32/44/56/110 for small pictures: 3x3 stem with 16 channels, three stages of (depth-2)/6 basic blocks with
/// 16/32/64 channels, global average pooling, one linear layer.
///
/// Shortcuts are option A: every second pixel, zero-padded planes/4 channels on both sides. Weights of convolutions and the
/// linear layer start kaiming-normal (fan-in). Depth 20 with 10 classes has 269,722 parameters.
///
/// forward: [N, 3, H, W] normalised, H and W at least 4 -> [N, classes] logits.
class ResNet : public Network {
 public:
  /// @param depth 6n+2 with n >= 1. @param classes at least 2. @throws Error{InvalidArgument} otherwise.
  ResNet(int64_t depth, int64_t classes);
  torch::Tensor forward(torch::Tensor input) override;

 private:
  torch::nn::Sequential layer1_{nullptr}, layer2_{nullptr}, layer3_{nullptr};
  torch::nn::Conv2d conv1_{nullptr};
  torch::nn::BatchNorm2d bn1_{nullptr};
  torch::nn::Linear linear_{nullptr};
};

}  // namespace veilnet::nn
