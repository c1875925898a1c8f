#include "nn/coded.h"

#include <torch/nn/functional.h>

#include "core/error.h"
#include "nn/fused.h"
#include "nn/unet_parts.h"

namespace veilnet::nn {
namespace {

// The positions of bits 0 to bits - 1: int64 [bits].
torch::Tensor positions(int64_t bits, const torch::Tensor& like) {
  return torch::arange(bits, torch::dtype(torch::kLong).device(like.device()));
}

}  // namespace

CodedTransform::CodedTransform(int64_t width, int64_t bits, int64_t side)
    : width_(width), bits_(bits), side_(side), encoder_(add_unet_encoder(*this, width)) {
  if (bits < 1 || bits > 64)
    fail(ErrorCode::InvalidArgument, "the code's bits are {}; allowed: 1 to 64", bits);
  if (side < 16 || side % 16 != 0)
    fail(ErrorCode::InvalidArgument,
         "a coded transformation is for square pictures with a side that is a multiple of 16, not "
         "{}",
         side);
  const int64_t start = side / 16;
  code_ = register_module("code", torch::nn::Linear(16 * width, bits));
  code_norm_ = register_module("code_norm", torch::nn::BatchNorm2d(bits));
  start_ = register_module("start", torch::nn::Linear(bits, 16 * width * start * start));
  start_norm_ = register_module("start_norm", torch::nn::BatchNorm2d(16 * width * start * start));
  for (int64_t level = 4; level >= 1; --level) {
    up_.push_back(add_part(*this, "up" + std::to_string(level + 1), "up",
                           up_conv(width << level, width << (level - 1))));
  }
  last_ = add_part(*this, "up_conv2", "conv", double_conv(width, width));
  head_ = register_module("conv_1x1", torch::nn::Conv2d(torch::nn::Conv2dOptions(width, 3, 1)));
}

torch::Tensor CodedTransform::values(const torch::Tensor& pictures, bool train_encoder) {
  if (pictures.size(2) != side_ || pictures.size(3) != side_)
    fail(ErrorCode::InvalidArgument, "pictures are {}x{}; this network is for {}x{}",
         pictures.size(2), pictures.size(3), side_, side_);
  torch::Tensor features;
  {
    torch::AutoGradMode gradients(train_encoder && torch::GradMode::is_enabled());
    features = nn::encode(encoder_, pictures).back().mean({2, 3});
  }
  return code_norm_(code_(features).unsqueeze(2).unsqueeze(3));
}

torch::Tensor CodedTransform::draw(const torch::Tensor& signs) {
  auto x = start_(signs.flatten(1)).unsqueeze(2).unsqueeze(3);
  x = torch::pixel_shuffle(torch::relu(start_norm_(x)), side_ / 16);
  for (auto& up : up_) x = run_fused(*up, x);
  return head_(run_fused(*last_, x));
}

torch::Tensor CodedTransform::encode(const torch::Tensor& pictures) {
  const auto bits = (values(pictures, false).flatten(1) >= 0).to(torch::kLong);
  return torch::bitwise_left_shift(bits, positions(bits_, bits)).sum(1);
}

torch::Tensor CodedTransform::decode(const torch::Tensor& codes) {
  const auto bits =
      torch::bitwise_right_shift(codes.unsqueeze(1), positions(bits_, codes)).bitwise_and(1);
  return draw(bits.mul(2).sub(1).to(torch::kFloat));
}

torch::Tensor CodedTransform::forward(torch::Tensor input) { return decode(encode(input)); }

std::vector<torch::Tensor> CodedTransform::bottleneck_parameters() const {
  auto parameters = code_->parameters();
  for (const auto& p : code_norm_->parameters()) parameters.push_back(p);
  return parameters;
}

TransformNetwork::Output CodedTransform::forward_in_training(torch::Tensor input,
                                                             bool train_encoder) {
  const auto soft = torch::tanh(values(input, train_encoder).to(torch::kFloat));
  const auto hard = soft.detach().ge(0).to(torch::kFloat).mul(2).sub(1);
  const auto signs = soft + (hard - soft).detach();
  return {draw(signs), signs};
}

}  // namespace veilnet::nn
