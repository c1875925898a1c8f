#include "nn/resnet.h"

#include <torch/nn/init.h>

#include "core/error.h"
#include "nn/fused.h"

namespace veilnet::nn {
namespace {

torch::nn::Conv2d strided3x3(int64_t in, int64_t out, int64_t stride) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, 3).stride(stride).padding(1).bias(false));
}

enum class Shortcut {
  Padding,     // option A: every second pixel, zero channels on both sides
  Projection,  // option B: 1x1 convolution with batch normalisation
};

class BasicBlock : public torch::nn::Module {
 public:
  BasicBlock(int64_t in, int64_t out, int64_t stride, Shortcut shortcut)
      : stride_(stride), pad_(out == in ? 0 : out / 4) {
    conv1_ = register_module("conv1", strided3x3(in, out, stride));
    bn1_ = register_module("bn1", torch::nn::BatchNorm2d(out));
    conv2_ = register_module("conv2", strided3x3(out, out, 1));
    bn2_ = register_module("bn2", torch::nn::BatchNorm2d(out));
    if (shortcut == Shortcut::Projection && (in != out || stride != 1)) {
      const auto projection = torch::nn::Conv2dOptions(in, out, 1).stride(stride).bias(false);
      downsample_ = register_module(
          "downsample",
          torch::nn::Sequential(torch::nn::Conv2d(projection), torch::nn::BatchNorm2d(out)));
    }
  }

  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = norm_relu(*bn1_, conv1_(x));
    return norm_relu(*bn2_, conv2_(y), shortcut(x));
  }

 private:
  torch::Tensor shortcut(const torch::Tensor& x) {
    if (downsample_) return downsample_->forward(x);
    if (stride_ == 1 && pad_ == 0) return x;
    auto sub = x.slice(2, 0, x.size(2), stride_).slice(3, 0, x.size(3), stride_);
    return torch::constant_pad_nd(sub, {0, 0, 0, 0, pad_, pad_});
  }

  int64_t stride_, pad_;
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr};
  torch::nn::BatchNorm2d bn1_{nullptr}, bn2_{nullptr};
  torch::nn::Sequential downsample_{nullptr};
};

torch::nn::Sequential make_stage(int64_t in, int64_t out, int64_t blocks, int64_t first_stride,
                                 Shortcut shortcut) {
  torch::nn::Sequential stage;
  for (int64_t i = 0; i < blocks; ++i) {
    stage->push_back(BasicBlock(i == 0 ? in : out, out, i == 0 ? first_stride : 1, shortcut));
  }
  return stage;
}

void require_classes(int64_t classes) {
  if (classes >= 2) return;
  throw Error(ErrorCode::InvalidArgument,
              "resnet classes is " + std::to_string(classes) + "; allowed: 2 or more");
}

void kaiming_start(torch::nn::Module& network) {
  torch::NoGradGuard no_grad;
  for (const auto& m : network.modules(/*include_self=*/false)) {
    if (auto* conv = m->as<torch::nn::Conv2d>()) torch::nn::init::kaiming_normal_(conv->weight);
    if (auto* linear = m->as<torch::nn::Linear>()) torch::nn::init::kaiming_normal_(linear->weight);
  }
}

}  // namespace

ResNet::ResNet(int64_t depth, int64_t classes, int64_t channels) {
  if (depth < 8 || (depth - 2) % 6 != 0 || depth > 1202) {
    throw Error(ErrorCode::InvalidArgument,
                "resnet depth is " + std::to_string(depth) +
                    "; allowed: 6n+2, for instance 20, 32, 44, 56, 110");
  }
  require_classes(classes);
  const int64_t blocks = (depth - 2) / 6;
  conv1_ = register_module("conv1", strided3x3(channels, 16, 1));
  bn1_ = register_module("bn1", torch::nn::BatchNorm2d(16));
  layer1_ = register_module("layer1", make_stage(16, 16, blocks, 1, Shortcut::Padding));
  layer2_ = register_module("layer2", make_stage(16, 32, blocks, 2, Shortcut::Padding));
  layer3_ = register_module("layer3", make_stage(32, 64, blocks, 2, Shortcut::Padding));
  linear_ = register_module("linear", torch::nn::Linear(64, classes));
  kaiming_start(*this);
}

torch::Tensor ResNet::forward(torch::Tensor input) {
  auto x = norm_relu(*bn1_, conv1_(input));
  x = layer3_->forward(layer2_->forward(layer1_->forward(x)));
  return linear_(x.mean({2, 3}));
}

ResNet18::ResNet18(int64_t classes, int64_t channels) {
  require_classes(classes);
  conv1_ = register_module("conv1", strided3x3(channels, 64, 1));
  bn1_ = register_module("bn1", torch::nn::BatchNorm2d(64));
  for (int64_t stage = 0, in = 64; stage < 4; ++stage) {
    const int64_t out = 64 << stage;
    stages_.push_back(
        register_module("layer" + std::to_string(stage + 1),
                        make_stage(in, out, 2, stage == 0 ? 1 : 2, Shortcut::Projection)));
    in = out;
  }
  fc_ = register_module("fc", torch::nn::Linear(512, classes));
  kaiming_start(*this);
}

torch::Tensor ResNet18::forward(torch::Tensor input) {
  auto x = norm_relu(*bn1_, conv1_(input));
  for (auto& stage : stages_) x = stage->forward(x);
  return fc_(x.mean({2, 3}));
}

}  // namespace veilnet::nn
