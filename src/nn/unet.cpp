#include "nn/unet.h"

#include <map>
#include <torch/nn/functional.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/upsampling.h>

#include "core/error.h"

namespace veilnet::nn {
namespace {

torch::nn::Conv2d conv3x3(int64_t in, int64_t out) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1));
}

// The reference wraps each Sequential in a module of its own; the wrapper only contributes "conv."
// or "up." to the key.
class Wrapped : public torch::nn::Module {
 public:
  Wrapped(const char* key, torch::nn::Sequential inner) { register_module(key, std::move(inner)); }
};

torch::nn::Sequential double_conv(int64_t in, int64_t out) {
  const auto relu = [] { return torch::nn::ReLU(torch::nn::ReLUOptions(true)); };
  return torch::nn::Sequential(conv3x3(in, out), torch::nn::BatchNorm2d(out), relu(),
                               conv3x3(out, out), torch::nn::BatchNorm2d(out), relu());
}

torch::nn::Sequential up_conv(int64_t in, int64_t out) {
  return torch::nn::Sequential(torch::nn::Upsample(torch::nn::UpsampleOptions()
                                                       .scale_factor(std::vector<double>{2, 2})
                                                       .mode(torch::kNearest)),
                               conv3x3(in, out), torch::nn::BatchNorm2d(out),
                               torch::nn::ReLU(torch::nn::ReLUOptions(true)));
}

torch::nn::Sequential add(torch::nn::Module& parent, const std::string& name, const char* key,
                          const torch::nn::Sequential& body) {
  parent.register_module(name, std::make_shared<Wrapped>(key, body));
  return body;
}

std::vector<torch::nn::Sequential> add_encoder(torch::nn::Module& parent, int64_t width) {
  if (width < 1 || width > 256) {
    throw Error(ErrorCode::InvalidArgument,
                "unet width is " + std::to_string(width) + "; allowed: 1 to 256");
  }
  std::vector<torch::nn::Sequential> levels;
  for (int64_t level = 0; level < 5; ++level) {
    const int64_t in = level == 0 ? 3 : width << (level - 1);
    levels.push_back(
        add(parent, "conv" + std::to_string(level + 1), "conv", double_conv(in, width << level)));
  }
  return levels;
}

// Outputs of all levels, the deepest last.
std::vector<torch::Tensor> encode(const std::vector<torch::nn::Sequential>& levels,
                                  torch::Tensor x) {
  std::vector<torch::Tensor> outputs;
  for (size_t level = 0; level < levels.size(); ++level) {
    if (level > 0) x = torch::max_pool2d(x, 2, 2);
    x = torch::nn::Sequential(levels[level])->forward(x);
    outputs.push_back(x);
  }
  return outputs;
}

}  // namespace

UNet::UNet(int64_t width) : width_(width), encoder_(add_encoder(*this, width)) {
  for (int64_t level = 4; level >= 1; --level) {
    const int64_t in = width << level, out = width << (level - 1);
    const auto suffix = std::to_string(level + 1);
    up_.push_back(add(*this, "up" + suffix, "up", up_conv(in, out)));
    up_conv_.push_back(add(*this, "up_conv" + suffix, "conv", double_conv(in, out)));
  }
  head_ = register_module("conv_1x1", torch::nn::Conv2d(torch::nn::Conv2dOptions(width, 3, 1)));
}

torch::Tensor UNet::forward(torch::Tensor input) {
  return forward_with_bottleneck(std::move(input)).picture;
}

UNet::Output UNet::forward_with_bottleneck(torch::Tensor input, bool train_encoder) {
  const int64_t height = input.size(2), width = input.size(3);
  const int64_t pad_bottom = (16 - height % 16) % 16, pad_right = (16 - width % 16) % 16;
  if (pad_bottom != 0 || pad_right != 0) {
    input = torch::replication_pad2d(input, {0, pad_right, 0, pad_bottom});
  }
  std::vector<torch::Tensor> levels;
  {
    torch::AutoGradMode gradients(train_encoder && torch::GradMode::is_enabled());
    levels = encode(encoder_, input);
  }
  auto x = levels.back();
  for (size_t i = 0; i < up_.size(); ++i) {
    x = up_[i]->forward(x);
    x = up_conv_[i]->forward(torch::cat({levels[3 - i], x}, 1));
  }
  x = head_(x);
  if (pad_bottom != 0 || pad_right != 0) x = x.slice(2, 0, height).slice(3, 0, width);
  return {x, levels.back()};
}

UNetEncoder::UNetEncoder(int64_t width, int64_t classes)
    : width_(width), encoder_(add_encoder(*this, width)) {
  if (classes < 2) {
    throw Error(ErrorCode::InvalidArgument,
                "unet_encoder classes is " + std::to_string(classes) + "; allowed: 2 or more");
  }
  linear_ = register_module("linear", torch::nn::Linear(16 * width, classes));
}

torch::Tensor UNetEncoder::forward(torch::Tensor input) {
  return linear_(encode(encoder_, input).back().mean({2, 3}));
}

void UNetEncoder::copy_into(UNet& unet) const {
  if (unet.width() != width_) {
    throw Error(ErrorCode::InvalidArgument, "the encoder has width " + std::to_string(width_) +
                                                ", the U-Net " + std::to_string(unet.width()));
  }
  torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> target;
  for (const auto& [name, tensor] : state_tensors(unet)) target[name] = tensor;
  for (const auto& [name, tensor] : state_tensors(*this)) {
    if (name.rfind("conv", 0) == 0) target.at(name).copy_(tensor);
  }
}

}  // namespace veilnet::nn
