#include "nn/unet.h"

#include <map>
#include <torch/nn/functional.h>

#include "core/error.h"
#include "nn/fused.h"
#include "nn/unet_parts.h"

namespace veilnet::nn {

UNet::UNet(int64_t width) : width_(width), encoder_(add_unet_encoder(*this, width)) {
  for (int64_t level = 4; level >= 1; --level) {
    const int64_t in = width << level, out = width << (level - 1);
    const auto suffix = std::to_string(level + 1);
    up_.push_back(add_part(*this, "up" + suffix, "up", up_conv(in, out)));
    up_conv_.push_back(add_part(*this, "up_conv" + suffix, "conv", double_conv(in, out)));
  }
  head_ = register_module("conv_1x1", torch::nn::Conv2d(torch::nn::Conv2dOptions(width, 3, 1)));
}

torch::Tensor UNet::forward(torch::Tensor input) {
  return forward_in_training(std::move(input), true).picture;
}

TransformNetwork::Output UNet::forward_in_training(torch::Tensor input, bool train_encoder) {
  const int64_t height = input.size(2), width = input.size(3);
  const int64_t pad_bottom = (16 - height % 16) % 16, pad_right = (16 - width % 16) % 16;
  if (pad_bottom != 0 || pad_right != 0) {
    input = torch::replication_pad2d(input, {0, pad_right, 0, pad_bottom});
  }
  const auto levels = encode(encoder_, input, train_encoder);
  auto x = levels.back();
  for (size_t i = 0; i < up_.size(); ++i) {
    x = run_fused(*up_[i], x);
    x = run_fused(*up_conv_[i], torch::cat({levels[3 - i], x}, 1));
  }
  x = head_(x);
  if (pad_bottom != 0 || pad_right != 0) x = x.slice(2, 0, height).slice(3, 0, width);
  return {x, levels.back()};
}

UNetEncoder::UNetEncoder(int64_t width, int64_t classes)
    : width_(width), encoder_(add_unet_encoder(*this, width)) {
  if (classes < 2)
    fail(ErrorCode::InvalidArgument, "unet_encoder classes is {}; allowed: 2 or more", classes);
  linear_ = register_module("linear", torch::nn::Linear(16 * width, classes));
}

torch::Tensor UNetEncoder::forward(torch::Tensor input) {
  return linear_(encode(encoder_, input).back().mean({2, 3}));
}

void UNetEncoder::copy_into(TransformNetwork& network) const {
  if (network.width() != width_)
    fail(ErrorCode::InvalidArgument, "the encoder has width {}, the transformation network {}",
         width_, network.width());
  torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> target;
  for (const auto& [name, tensor] : state_tensors(network)) target[name] = tensor;
  for (const auto& [name, tensor] : state_tensors(*this)) {
    if (name.rfind("conv", 0) == 0) target.at(name).copy_(tensor);
  }
}

}  // namespace veilnet::nn
