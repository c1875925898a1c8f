#include "nn/discriminator.h"

#include <cmath>
#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>

#include "core/error.h"

namespace veilnet::nn {
namespace {

// A convolution whose weight is divided by its largest singular value, followed by one step of
// power iteration a forward in training mode (Miyato et al. 2018).
class SpectralConv2d : public Network {
 public:
  SpectralConv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding,
                 bool bias)
      : stride_(stride), padding_(padding) {
    weight_ = register_parameter("weight", torch::empty({out, in, kernel, kernel}));
    torch::nn::init::kaiming_uniform_(weight_,
                                      std::sqrt(5.0));  // LibTorch's default for a convolution
    if (bias) bias_ = register_parameter("bias", torch::zeros({out}));
    left_ = register_buffer("left", torch::randn({out}));
    for (int i = 0; i < 15; ++i) power_iteration();
  }

  torch::Tensor forward(torch::Tensor input) override {
    if (is_training()) power_iteration();
    const auto rows = weight_.flatten(1);
    const auto right = normalised(rows.detach().t().mv(left_));
    const auto sigma = left_.clone().dot(rows.mv(right));
    return torch::conv2d(input, weight_ / sigma, bias_, stride_, padding_);
  }

 private:
  static torch::Tensor normalised(const torch::Tensor& v) { return v / v.norm().clamp_min(1e-12); }
  void power_iteration() {
    torch::NoGradGuard no_grad;
    const auto rows = weight_.flatten(1);
    left_.copy_(normalised(rows.mv(normalised(rows.t().mv(left_)))));
  }

  int64_t stride_, padding_;
  torch::Tensor weight_, bias_, left_;
};

torch::nn::LeakyReLU leaky_relu(double slope) {
  return torch::nn::LeakyReLU(torch::nn::LeakyReLUOptions().negative_slope(slope));
}

// Self-attention over the positions of a map (Zhang et al. 2019): queries and keys of an eighth of
// the channels, weight from 0.
class SelfAttention : public Network {
 public:
  explicit SelfAttention(int64_t channels)
      : query_(register_module(
            "query", std::make_shared<SpectralConv2d>(channels, std::max<int64_t>(1, channels / 8),
                                                      1, 1, 0, true))),
        key_(register_module(
            "key", std::make_shared<SpectralConv2d>(channels, std::max<int64_t>(1, channels / 8), 1,
                                                    1, 0, true))),
        value_(register_module(
            "value", std::make_shared<SpectralConv2d>(channels, channels, 1, 1, 0, true))),
        weight_(register_parameter("weight", torch::zeros({1}))) {}

  torch::Tensor forward(torch::Tensor input) override {
    const auto attention =
        torch::softmax(torch::bmm(query_->forward(input).flatten(2).transpose(1, 2),
                                  key_->forward(input).flatten(2)),
                       2);
    return input +
           weight_ * torch::bmm(value_->forward(input).flatten(2), attention.transpose(1, 2))
                         .view_as(input);
  }

 private:
  std::shared_ptr<SpectralConv2d> query_, key_, value_;
  torch::Tensor weight_;
};

class GanAttackDiscriminator : public Network {
 public:
  explicit GanAttackDiscriminator(int64_t width)
      : layers_(register_module(
            "layers",
            torch::nn::Sequential(
                torch::nn::Conv2d(
                    torch::nn::Conv2dOptions(3, width, 4).stride(2).padding(1).bias(false)),
                leaky_relu(0.2), SpectralConv2d(width, 2 * width, 4, 2, 1, false), leaky_relu(0.2),
                torch::nn::Conv2d(torch::nn::Conv2dOptions(2 * width, 1, 4).bias(false))))) {
    for (auto& p : parameters()) torch::nn::init::normal_(p, 0, 0.02);
  }
  torch::Tensor forward(torch::Tensor input) override {
    return layers_->forward(2 * input - 1).flatten(1).amax(1);
  }

 private:
  torch::nn::Sequential layers_;
};

class SiaDiscriminator : public Network {
 public:
  SiaDiscriminator(int64_t width, int64_t height, int64_t image_width) {
    layers_ = register_module("layers", torch::nn::Sequential());
    int64_t in = 3;
    for (const int64_t out : {width, 2 * width, 4 * width}) {
      layers_->push_back(SpectralConv2d(in, out, 3, 1, 1, true));
      layers_->push_back(leaky_relu(0.1));
      layers_->push_back(SpectralConv2d(out, out, 4, 2, 1, true));
      layers_->push_back(leaky_relu(0.1));
      in = out;
    }
    layers_->push_back(SelfAttention(in));
    layers_->push_back(SpectralConv2d(in, 8 * width, 3, 1, 1, true));
    layers_->push_back(leaky_relu(0.1));
    layers_->push_back(SelfAttention(8 * width));
    linear_ = register_module(
        "linear", std::make_shared<SpectralConv2d>(8 * width * (height / 8) * (image_width / 8), 1,
                                                   1, 1, 0, true));
  }
  torch::Tensor forward(torch::Tensor input) override {
    const auto map = layers_->forward(2 * input - 1);
    return linear_->forward(map.reshape({map.size(0), -1, 1, 1})).flatten();
  }

 private:
  torch::nn::Sequential layers_{nullptr};
  std::shared_ptr<SpectralConv2d> linear_;
};

}  // namespace

PatchDiscriminator::PatchDiscriminator(int64_t width) {
  if (width < 1 || width > 512) {
    throw Error(ErrorCode::InvalidArgument,
                "discriminator width is " + std::to_string(width) + "; allowed: 1 to 512");
  }
  const auto halving = [](int64_t in, int64_t out) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 4).stride(2).padding(1));
  };
  const auto leaky = [] {
    return torch::nn::LeakyReLU(torch::nn::LeakyReLUOptions().negative_slope(0.2));
  };
  // As many groups as channels: instance normalisation.
  layers_ = register_module(
      "layers",
      torch::nn::Sequential(
          halving(3, width), leaky(), halving(width, 2 * width),
          torch::nn::GroupNorm(torch::nn::GroupNormOptions(2 * width, 2 * width).affine(false)),
          leaky(), torch::nn::Conv2d(torch::nn::Conv2dOptions(2 * width, 1, 3).padding(1))));
}

torch::Tensor PatchDiscriminator::forward(torch::Tensor input) {
  return layers_->forward(2 * input - 1);
}

std::shared_ptr<Network> make_attack_discriminator(const std::string& kind, int64_t width,
                                                   int64_t height, int64_t image_width) {
  if (width < 1 || width > 512 || (kind != "gan" && kind != "sia") || height < 16 ||
      image_width < 16 || height % 8 != 0 || image_width % 8 != 0) {
    throw Error(ErrorCode::InvalidArgument,
                "discriminator \"" + kind + "\" of width " + std::to_string(width) +
                    " for pictures of " + std::to_string(height) + "x" +
                    std::to_string(image_width) +
                    "; allowed: gan or sia, width 1 to 512, sides of at least 16 that are "
                    "multiples of 8");
  }
  if (kind == "gan") return std::make_shared<GanAttackDiscriminator>(width);
  return std::make_shared<SiaDiscriminator>(width, height, image_width);
}

}  // namespace veilnet::nn
