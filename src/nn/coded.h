// A transformation network whose output depends on the picture through an integer alone.
#pragma once

#include <torch/nn/modules/batchnorm.h>

#include "nn/unet.h"

namespace veilnet::nn {

/// h(x) = D(c(x)): the encoder c gives one of 2^bits integers, the decoder D draws the protected
/// picture of that integer. There is no other way from x to the output, so at most 2^bits different
/// pictures ever leave the client, and what any attacker learns is bounded (docs/bound.md).
///
/// c: the U-Net's encoder, averaged over its pixels, a linear layer, batch normalisation, and a
/// quantiser with a straight-through gradient (Bengio et al., arXiv 1308.3432):
/// - signs: a value for each bit, bit i of the code is 1 where value i is >= 0; the gradient of
/// tanh
/// - categorical: a value for each choice, the largest of 2^choice_bits is chosen, and its place is
///   so many bits of the code; the gradient of softmax.
///
/// D: the symbols of the code (model::symbols_of), a linear layer to 16 width channels on H/16 x
/// W/16 pixels, batch normalisation, ReLU, and four of the U-Net's up-samplings, without
/// connections to the encoder.
///
/// forward: [N, 3, H, W] in [0, 1], H and W those of the constructor -> [N, 3, H, W] unbounded.
class CodedTransform : public TransformNetwork {
 public:
  /// @param side H and W: a multiple of 16. @throws Error{InvalidArgument} for another side, for a
  /// width outside 1 to 256, and for bits outside 1 to 64.
  CodedTransform(int64_t width, int64_t bits, int64_t side, bool categorical = false);
  torch::Tensor forward(torch::Tensor input) override;

  /// Begins as what a classifier on the encoder's features names (UNetEncoder's): a value of a
  /// choice stands for a class, or where there are fewer values than classes, for those that have
  /// it as a digit. What stands for the same classes begins as nearly the same picture. Without
  /// effect on signs.
  /// @param classifier of 16 width features; its first `classes` logits count.
  /// @return [symbols, classes], 1 where a symbol stands for a class, else 0; undefined for signs.
  torch::Tensor start_from(const torch::nn::Linear& classifier, int64_t classes);

  /// The code of each picture, bit i of it in bit i: int64 [N].
  torch::Tensor encode(const torch::Tensor& pictures);
  /// The pictures that belong to codes, int64 [N], before the sigmoid: [N, 3, H, W].
  torch::Tensor decode(const torch::Tensor& codes);

  /// The bottleneck is the code's symbols, [N, symbols, 1, 1].
  Output forward_in_training(torch::Tensor input, bool train_encoder) override;
  int64_t bottleneck_size() const override { return symbols_; }
  std::vector<torch::Tensor> bottleneck_parameters() const override;
  int64_t width() const override { return width_; }
  int64_t bits() const { return bits_; }

 private:
  torch::Tensor values(const torch::Tensor& pictures, bool train_encoder);
  torch::Tensor draw(const torch::Tensor& symbols);
  /// [N, symbols, 1, 1] as [N, choices that are made, what each chooses of].
  torch::Tensor by_choice(const torch::Tensor& symbols) const;

  int64_t width_, bits_, side_;
  int64_t each_;  // bits of a choice; 0 for signs
  int64_t symbols_;
  std::vector<torch::nn::Sequential> encoder_;  // conv1..conv5
  torch::nn::Linear code_{nullptr};
  torch::nn::BatchNorm2d code_norm_{nullptr};
  torch::nn::Linear start_{nullptr};
  torch::nn::BatchNorm2d start_norm_{nullptr};
  std::vector<torch::nn::Sequential> up_;  // up5..up2
  torch::nn::Sequential last_{nullptr};
  torch::nn::Conv2d head_{nullptr};
};

}  // namespace veilnet::nn
