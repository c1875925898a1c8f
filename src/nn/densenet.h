// DenseNet-BC (Huang et al. 2017) for small pictures.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "nn/network.h"

namespace veilnet::nn {

/// DenseNet-BC-100-12: 3x3 stem with 24 channels, three dense blocks of 16 bottleneck layers (1x1
/// to 48, 3x3 to 12 channels), transitions that halve the channels, global average pooling. 769,162
/// parameters with 10 classes.
///
/// forward: [N, channels, H, W] normalised, H and W at least 4 -> [N, classes] logits.
class DenseNet : public Network {
 public:
  /// @throws Error{InvalidArgument} unless classes >= 2.
  explicit DenseNet(int64_t classes, int64_t channels = 3);
  torch::Tensor forward(torch::Tensor input) override;

 private:
  torch::nn::Conv2d conv1_{nullptr};
  std::vector<torch::nn::Sequential> stages_;  // dense1, trans1, dense2, trans2, dense3
  torch::nn::BatchNorm2d bn1_{nullptr};
  torch::nn::Linear fc_{nullptr};
};

}  // namespace veilnet::nn
