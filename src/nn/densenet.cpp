#include "nn/densenet.h"

#include <torch/nn/init.h>

#include "core/error.h"
#include "nn/fused.h"

namespace veilnet::nn {
namespace {

constexpr int64_t kGrowth = 12, kLayers = 16, kBlocks = 3;

torch::nn::Conv2d conv(int64_t in, int64_t out, int64_t kernel) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, kernel).padding(kernel / 2).bias(false));
}

class DenseLayer : public torch::nn::Module {
 public:
  explicit DenseLayer(int64_t in) {
    bn1_ = register_module("bn1", torch::nn::BatchNorm2d(in));
    conv1_ = register_module("conv1", conv(in, 4 * kGrowth, 1));
    bn2_ = register_module("bn2", torch::nn::BatchNorm2d(4 * kGrowth));
    conv2_ = register_module("conv2", conv(4 * kGrowth, kGrowth, 3));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    return torch::cat({x, conv2_(norm_relu(*bn2_, conv1_(norm_relu(*bn1_, x))))}, 1);
  }

 private:
  torch::nn::BatchNorm2d bn1_{nullptr}, bn2_{nullptr};
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr};
};

class Transition : public torch::nn::Module {
 public:
  Transition(int64_t in, int64_t out) {
    bn1_ = register_module("bn1", torch::nn::BatchNorm2d(in));
    conv1_ = register_module("conv1", conv(in, out, 1));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    return torch::avg_pool2d(conv1_(norm_relu(*bn1_, x)), 2);
  }

 private:
  torch::nn::BatchNorm2d bn1_{nullptr};
  torch::nn::Conv2d conv1_{nullptr};
};

}  // namespace

DenseNet::DenseNet(int64_t classes, int64_t channels) {
  if (classes < 2) {
    throw Error(ErrorCode::InvalidArgument,
                "densenet classes is " + std::to_string(classes) + "; allowed: 2 or more");
  }
  int64_t width = 2 * kGrowth;
  conv1_ = register_module("conv1", conv(channels, width, 3));
  for (int64_t block = 1; block <= kBlocks; ++block) {
    torch::nn::Sequential dense;
    for (int64_t i = 0; i < kLayers; ++i, width += kGrowth) dense->push_back(DenseLayer(width));
    stages_.push_back(register_module("dense" + std::to_string(block), dense));
    if (block == kBlocks) break;
    stages_.push_back(register_module("trans" + std::to_string(block),
                                      torch::nn::Sequential(Transition(width, width / 2))));
    width /= 2;
  }
  bn1_ = register_module("bn1", torch::nn::BatchNorm2d(width));
  fc_ = register_module("fc", torch::nn::Linear(width, classes));
  torch::NoGradGuard no_grad;
  for (const auto& m : modules(/*include_self=*/false)) {
    if (auto* c = m->as<torch::nn::Conv2d>()) torch::nn::init::kaiming_normal_(c->weight);
  }
}

torch::Tensor DenseNet::forward(torch::Tensor input) {
  auto x = conv1_(input);
  for (auto& stage : stages_) x = stage->forward(x);
  return fc_(norm_relu(*bn1_, x).mean({2, 3}));
}

}  // namespace veilnet::nn
