#include "nn/coded.h"

#include <algorithm>
#include <torch/nn/functional.h>

#include "core/error.h"
#include "model/graph.h"
#include "nn/fused.h"
#include "nn/unet_parts.h"

namespace veilnet::nn {
namespace {

// The positions of bits 0 to bits - 1, or of every `each`-th of them: int64.
torch::Tensor positions(int64_t bits, int64_t each, const torch::Tensor& like) {
  return torch::arange(0, bits, each, torch::dtype(torch::kLong).device(like.device()));
}

// How many symbols stand for so many bits: model::symbols_of.
int64_t symbols_for(int64_t bits, int64_t each) {
  return each == 0 ? bits : bits / each * (int64_t{1} << each);
}

}  // namespace

CodedTransform::CodedTransform(int64_t width, int64_t bits, int64_t side, bool categorical)
    : width_(width),
      bits_(bits),
      side_(side),
      each_(categorical && bits > 0 ? model::choice_bits(bits) : 0),
      symbols_(symbols_for(bits, each_)),
      encoder_(add_unet_encoder(*this, width)) {
  if (bits < 1 || bits > 64)
    fail(ErrorCode::InvalidArgument, "the code's bits are {}; allowed: 1 to 64", bits);
  if (side < 16 || side % 16 != 0)
    fail(ErrorCode::InvalidArgument,
         "a coded transformation is for square pictures with a side that is a multiple of 16, not "
         "{}",
         side);
  const int64_t start = side / 16;
  code_ = register_module("code", torch::nn::Linear(16 * width, symbols_));
  code_norm_ = register_module("code_norm", torch::nn::BatchNorm2d(symbols_));
  start_ = register_module("start", torch::nn::Linear(symbols_, 16 * width * start * start));
  start_norm_ = register_module("start_norm", torch::nn::BatchNorm2d(16 * width * start * start));
  for (int64_t level = 4; level >= 1; --level) {
    up_.push_back(add_part(*this, "up" + std::to_string(level + 1), "up",
                           up_conv(width << level, width << (level - 1))));
  }
  last_ = add_part(*this, "up_conv2", "conv", double_conv(width, width));
  head_ = register_module("conv_1x1", torch::nn::Conv2d(torch::nn::Conv2dOptions(width, 3, 1)));
}

torch::Tensor CodedTransform::start_from(const torch::nn::Linear& classifier, int64_t classes) {
  if (each_ == 0) return {};
  // So little that a class stays, and enough that its symbols part pictures where that helps.
  constexpr double kApart = 0.1;
  torch::NoGradGuard no_grad;
  const int64_t values = int64_t{1} << each_;
  const auto count = std::max(values, classes);
  const auto all = torch::arange(count);
  auto stands_for = torch::zeros({symbols_, classes});
  for (int64_t first = 0, unit = 1; first < symbols_; first += values) {
    const auto value = all.div(unit, "floor").remainder(values) + first;
    stands_for.index_put_({value, all.remainder(classes)}, torch::ones({count}));
    unit = unit * values >= classes ? 1 : unit * values;
  }
  const auto begin = [&](torch::Tensor target, const torch::Tensor& of_class) {
    target.copy_(of_class + torch::randn_like(of_class) * of_class.std() * kApart);
  };
  begin(code_->weight, stands_for.mm(classifier->weight.slice(0, 0, classes).cpu()));
  code_->bias.zero_();
  begin(start_->weight, torch::randn({start_->weight.size(0), classes}).mm(stands_for.t()));
  return stands_for;
}

torch::Tensor CodedTransform::values(const torch::Tensor& pictures, bool train_encoder) {
  if (pictures.size(2) != side_ || pictures.size(3) != side_)
    fail(ErrorCode::InvalidArgument, "pictures are {}x{}; this network is for {}x{}",
         pictures.size(2), pictures.size(3), side_, side_);
  const auto features = nn::encode(encoder_, pictures, train_encoder).back().mean({2, 3});
  return code_norm_(code_(features).unsqueeze(2).unsqueeze(3));
}

torch::Tensor CodedTransform::by_choice(const torch::Tensor& symbols) const {
  return symbols.reshape({symbols.size(0), bits_ / each_, int64_t{1} << each_});
}

torch::Tensor CodedTransform::draw(const torch::Tensor& symbols) {
  auto x = start_(symbols.flatten(1)).unsqueeze(2).unsqueeze(3);
  x = torch::pixel_shuffle(torch::relu(start_norm_(x)), side_ / 16);
  for (auto& up : up_) x = run_fused(*up, x);
  return head_(run_fused(*last_, x));
}

torch::Tensor CodedTransform::encode(const torch::Tensor& pictures) {
  const auto of = values(pictures, false);
  const auto parts = each_ > 0 ? by_choice(of).argmax(2) : (of.flatten(1) >= 0).to(torch::kLong);
  return torch::bitwise_left_shift(parts, positions(bits_, std::max<int64_t>(each_, 1), parts))
      .sum(1);
}

torch::Tensor CodedTransform::decode(const torch::Tensor& codes) {
  const auto each = std::max<int64_t>(each_, 1), most = (int64_t{1} << each) - 1;
  const auto parts = torch::bitwise_right_shift(codes.unsqueeze(1), positions(bits_, each, codes))
                         .bitwise_and(most);
  return draw(each_ > 0 ? torch::one_hot(parts, most + 1).to(torch::kFloat)
                        : parts.mul(2).sub(1).to(torch::kFloat));
}

torch::Tensor CodedTransform::forward(torch::Tensor input) { return decode(encode(input)); }

std::vector<torch::Tensor> CodedTransform::bottleneck_parameters() const {
  auto parameters = code_->parameters();
  for (const auto& p : code_norm_->parameters()) parameters.push_back(p);
  return parameters;
}

TransformNetwork::Output CodedTransform::forward_in_training(torch::Tensor input,
                                                             bool train_encoder) {
  const auto of = values(input, train_encoder).to(torch::kFloat);
  torch::Tensor soft, hard;
  if (each_ > 0) {
    const auto choices = by_choice(of);
    soft = choices.softmax(2).view_as(of);
    hard = torch::one_hot(choices.argmax(2), choices.size(2)).to(torch::kFloat).view_as(of);
  } else {
    soft = torch::tanh(of);
    hard = soft.detach().ge(0).to(torch::kFloat).mul(2).sub(1);
  }
  const auto symbols = soft + (hard - soft).detach();
  return {draw(symbols), symbols};
}

}  // namespace veilnet::nn
