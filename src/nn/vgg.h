// VGG16 with batch normalisation for CIFAR, and the feature extractor phi.
#pragma once

#include "model/card.h"
#include "nn/network.h"

namespace veilnet::nn {

/// VGG16-BN for 32x32 pictures: thirteen 3x3 convolutions
/// (64,64,M,128,128,M,256x3,M,512x3,M,512x3,M) with batch normalisation, then dropout, linear
/// 512-512, ReLU, dropout, linear 512-512, ReLU, linear 512-classes. 15,253,578 parameters with 10
/// classes.
///
/// Larger pictures are averaged over the last map, which at 32x32 is 1x1 as in the reference.
/// Convolutions start from N(0, sqrt(2 / (9 out))).
///
/// forward: [N, channels, H, W] normalised, H and W at least 32 -> [N, classes] logits.
class Vgg16Bn : public Network {
 public:
  /// @throws Error{InvalidArgument} unless classes >= 2.
  explicit Vgg16Bn(int64_t classes, int64_t channels = 3);
  torch::Tensor forward(torch::Tensor input) override;

  torch::nn::Sequential features{nullptr}, classifier{nullptr};
};

/// The frozen feature extractor phi: the first layers of a VGG without batch normalisation, ending
/// in one of relu1_1, relu1_2, relu2_1, relu2_2, relu3_1, relu3_2, relu3_3.
///
/// Layer indices and keys are torchvision's ("features.0.weight", ...). At relu2_2 (the papers'
/// choice): 260,160 parameters.
///
/// forward: [N, 3, H, W] normalised -> [N, C, H', W'], 128 x H/2 x W/2 at relu2_2.
class FeatureExtractor : public Network {
 public:
  /// @throws Error{InvalidArgument} for another layer name.
  explicit FeatureExtractor(const std::string& layer);
  torch::Tensor forward(torch::Tensor input) override;

  /// Cuts the same layers out of a trained VGG16-BN; batch normalisation is folded into the
  /// convolutions, so the result computes what the VGG computes in evaluation mode.
  static std::shared_ptr<FeatureExtractor> cut_from(const Vgg16Bn& vgg, const std::string& layer);

  static const std::vector<std::string>& layers();

  torch::nn::Sequential features{nullptr};
  /// Whose mean_rgb and std_rgb its input is normalised with; ImageNet's unless it was cut from a
  /// VGG of others.
  model::Card card;
};

}  // namespace veilnet::nn
