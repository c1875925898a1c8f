// The transformation network h_theta of arXiv 2008.03143, and the inverse network of its
// ITN-Attack.
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "nn/network.h"

namespace veilnet::nn {

/// A network that turns pictures into protected ones, on top of the U-Net's encoder.
class TransformNetwork : public Network {
 public:
  struct Output {
    torch::Tensor picture;     ///< as forward
    torch::Tensor bottleneck;  ///< [N, bottleneck_size, h, w]: all or most of what the picture is
                               ///< drawn from
  };
  /// @param train_encoder false leaves the encoder as it is, running statistics too, so that a
  /// training changes the rest alone.
  virtual Output forward_in_training(torch::Tensor input, bool train_encoder) = 0;
  virtual int64_t bottleneck_size() const = 0;
  /// What makes the bottleneck of the encoder's features, and learns even where the encoder does
  /// not; empty where the bottleneck is the encoder's own.
  virtual std::vector<torch::Tensor> bottleneck_parameters() const = 0;
  virtual int64_t width() const = 0;
};

/// U-Net with four poolings, nearest-neighbour up-sampling and batch normalisation.
///
/// Layer for layer the authors' released network at base width 64 (34,527,171 parameters); `width`
/// scales every channel count. The sigmoid that turns the output into a picture is outside: see
/// `transform`.
///
/// forward: [N, 3, H, W] in [0, 1], not normalised -> [N, 3, H, W] unbounded. Sides that are not
/// multiples of 16 are padded by replicating the last row and column, and the output is cropped
/// back.
class UNet : public TransformNetwork {
 public:
  /// @param width channels of the first level, 1 to 256. @throws Error{InvalidArgument} otherwise.
  explicit UNet(int64_t width);
  torch::Tensor forward(torch::Tensor input) override;

  /// The bottleneck is the deepest encoder level, [N, 16 width, H/16, W/16].
  Output forward_in_training(torch::Tensor input, bool train_encoder) override;
  int64_t bottleneck_size() const override { return 16 * width_; }
  std::vector<torch::Tensor> bottleneck_parameters() const override { return {}; }
  int64_t width() const override { return width_; }

 private:
  int64_t width_;
  std::vector<torch::nn::Sequential> encoder_;       // conv1..conv5
  std::vector<torch::nn::Sequential> up_, up_conv_;  // up5..up2, up_conv5..up_conv2
  torch::nn::Conv2d head_{nullptr};
};

/// The encoder half of a UNet (conv1..conv5, same keys) under a linear classifier on its
/// average-pooled deepest level: what the `quick` recipe trains first, so that h starts from an
/// encoder that knows the classes.
///
/// forward: [N, 3, H, W] in [0, 1], not normalised, as a UNet's; sides at least 16 -> [N, classes]
/// logits.
class UNetEncoder : public Network {
 public:
  /// @throws Error{InvalidArgument} as UNet, and unless classes >= 2.
  UNetEncoder(int64_t width, int64_t classes);
  torch::Tensor forward(torch::Tensor input) override;

  /// Copies the encoder levels into a network of the same width. @throws Error{InvalidArgument} for
  /// another width.
  void copy_into(TransformNetwork& network) const;
  const torch::nn::Linear& linear() const { return linear_; }

 private:
  int64_t width_;
  std::vector<torch::nn::Sequential> encoder_;
  torch::nn::Linear linear_{nullptr};
};

}  // namespace veilnet::nn
