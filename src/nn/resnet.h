// Residual networks for small pictures: the CIFAR family of He et al. 2016 (section 4.2), and
// ResNet-18 with a CIFAR stem.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "nn/network.h"

namespace veilnet::nn {

/// ResNet-20/32/44/56/110 for small pictures: 3x3 stem with 16 channels, three stages of
/// (depth-2)/6 basic blocks with 16/32/64 channels, global average pooling, one linear layer.
///
/// Shortcuts are option A: every second pixel, zero-padded planes/4 channels on both sides. Weights
/// of convolutions and the linear layer start kaiming-normal (fan-in). Depth 20 with 10 classes has
/// 269,722 parameters.
///
/// forward: [N, channels, H, W] normalised, H and W at least 4 -> [N, classes] logits.
class ResNet : public Network {
 public:
  /// @param depth 6n+2 with n >= 1. @param classes at least 2. @throws Error{InvalidArgument}
  /// otherwise.
  ResNet(int64_t depth, int64_t classes, int64_t channels = 3);
  torch::Tensor forward(torch::Tensor input) override;

 private:
  torch::nn::Sequential layer1_{nullptr}, layer2_{nullptr}, layer3_{nullptr};
  torch::nn::Conv2d conv1_{nullptr};
  torch::nn::BatchNorm2d bn1_{nullptr};
  torch::nn::Linear linear_{nullptr};
};

/// ResNet-18 with a 3x3 stem of stride 1 and no pooling after it, as is usual for CIFAR; keys are
/// torchvision's. Four stages of two basic blocks with 64/128/256/512 channels, 1x1 convolutions
/// with batch normalisation as shortcuts where the shape changes (option B). 11,173,962 parameters
/// with 10 classes.
///
/// forward: [N, channels, H, W] normalised, H and W at least 8 -> [N, classes] logits.
class ResNet18 : public Network {
 public:
  /// @throws Error{InvalidArgument} unless classes >= 2.
  explicit ResNet18(int64_t classes, int64_t channels = 3);
  torch::Tensor forward(torch::Tensor input) override;

 private:
  torch::nn::Conv2d conv1_{nullptr};
  torch::nn::BatchNorm2d bn1_{nullptr};
  std::vector<torch::nn::Sequential> stages_;
  torch::nn::Linear fc_{nullptr};
};

}  // namespace veilnet::nn
