#include "nn/adaptation.h"

#include <cmath>
#include <torch/nn/functional/normalization.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/pixelshuffle.h>

#include "core/error.h"
#include "nn/fused.h"

namespace veilnet::nn {
namespace {

torch::nn::Conv2d block_conv(int64_t block, int64_t out, bool bias) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(3, out, block).stride(block).bias(bias));
}

torch::nn::Conv2d conv1x1(int64_t in, int64_t out) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 1));
}

// Tanaka's, Madono's LE-AdaptNet and the pixel stack: plain sequences of layers.
class SequentialAdaptation : public AdaptationNetwork {
 public:
  SequentialAdaptation(torch::nn::Sequential layers, int64_t out_channels)
      : layers_(register_module("layers", std::move(layers))), out_channels_(out_channels) {}
  torch::Tensor forward(torch::Tensor input) override { return run_fused(*layers_, input); }
  int64_t out_channels() const override { return out_channels_; }

 private:
  torch::nn::Sequential layers_;
  int64_t out_channels_;
};

class EleAdaptation : public AdaptationNetwork {
 public:
  EleAdaptation(int64_t block, int64_t rows, int64_t columns)
      : block_(block), rows_(rows), columns_(columns), features_(kChannels * block * block) {
    const int64_t positions = rows * columns, inputs = 3 * block * block;
    weight_ = register_parameter("weight", torch::empty({positions, features_, inputs}));
    mixing_ = register_parameter("mixing", torch::empty({positions, positions}));
    left_ = register_buffer("left", torch::randn({positions, features_, 1}));
    right_ = register_buffer("right", torch::randn({positions, inputs, 1}));
    bn_ = register_module("bn", torch::nn::BatchNorm1d(positions * features_));
    torch::NoGradGuard no_grad;
    const double bound =
        1.0 / std::sqrt(static_cast<double>(inputs));  // LibTorch's default for a convolution
    weight_.uniform_(-bound, bound);
    const double mixing_bound = 1.0 / std::sqrt(static_cast<double>(positions));
    mixing_.uniform_(-mixing_bound, mixing_bound);
    for (int i = 0; i < 15; ++i) power_iteration();
  }

  torch::Tensor forward(torch::Tensor input) override {
    const int64_t n = input.size(0), positions = rows_ * columns_;
    if (is_training()) power_iteration();
    const auto sigma =
        left_.clone().transpose(1, 2).matmul(weight_).matmul(right_.clone());  // [positions, 1, 1]
    const auto blocks = input.contiguous()
                            .view({n, 3, rows_, block_, columns_, block_})
                            .permute({2, 4, 0, 1, 3, 5})
                            .reshape({positions, n, 3 * block_ * block_});
    auto x = torch::bmm(blocks, (weight_ / sigma).transpose(1, 2));  // [positions, n, features]
    x = x.transpose(0, 1).reshape({n, positions * features_});
    x = torch::leaky_relu(bn_(x), 0.2).view({n, positions, features_});
    x = torch::matmul(mixing_, x).transpose(1, 2).reshape({n, features_, rows_, columns_});
    return torch::pixel_shuffle(x, block_);
  }

  int64_t out_channels() const override { return kChannels; }

  torch::Tensor regularisation(const torch::Tensor& output) const override {
    const auto penalty = [&](int64_t dim) {
      return (mixing_.abs().sum(dim) - mixing_.square().sum(dim).sqrt()).sum();
    };
    const auto permutation = (penalty(0) + penalty(1)) / static_cast<double>(mixing_.numel());
    const auto seen = output.slice(1, 0, 3).to(torch::kFloat);
    const int64_t h = seen.size(2) - 1, w = seen.size(3) - 1;
    const auto inner = seen.slice(2, 0, h).slice(3, 0, w);
    const auto variation = ((seen.slice(2, 1).slice(3, 0, w) - inner).square() +
                            (seen.slice(2, 0, h).slice(3, 1) - inner).square())
                               .sum() /
                           static_cast<double>(h * (w + 1) * kChannels * output.size(0));
    return 1e-3 * permutation + 1e-1 * variation;
  }

 private:
  // One step towards the largest singular vectors of every position's weight matrix, as spectral
  // normalisation does.
  void power_iteration() {
    torch::NoGradGuard no_grad;
    namespace F = torch::nn::functional;
    const auto unit = F::NormalizeFuncOptions().dim(1);
    right_.copy_(F::normalize(torch::bmm(weight_.transpose(1, 2), left_), unit));
    left_.copy_(F::normalize(torch::bmm(weight_, right_), unit));
  }

  static constexpr int64_t kChannels = 16;
  int64_t block_, rows_, columns_, features_;
  torch::Tensor weight_, mixing_, left_, right_;
  torch::nn::BatchNorm1d bn_{nullptr};
};

}  // namespace

std::shared_ptr<AdaptationNetwork> make_adaptation(const std::string& kind, int64_t block,
                                                   int64_t height, int64_t width) {
  using namespace torch::nn;
  if (kind == "pixel") {
    return std::make_shared<SequentialAdaptation>(
        Sequential(conv1x1(3, 32), BatchNorm2d(32), ReLU(ReLUOptions(true)), conv1x1(32, 32),
                   BatchNorm2d(32), ReLU(ReLUOptions(true))),
        32);
  }
  if (kind != "tanaka" && kind != "le" && kind != "ele") {
    throw Error(ErrorCode::InvalidArgument,
                "adaptation is \"" + kind + "\"; allowed: tanaka, le, ele, pixel");
  }
  if (block < 1 || height % block != 0 || width % block != 0) {
    throw Error(ErrorCode::InvalidArgument,
                "adaptation \"" + kind + "\" with blocks of " + std::to_string(block) +
                    " does not fit pictures of " + std::to_string(height) + "x" +
                    std::to_string(width) + "; sides must be multiples of the block size");
  }
  if (kind == "ele") return std::make_shared<EleAdaptation>(block, height / block, width / block);
  const int64_t values = 3 * block * block;
  if (kind == "le") {
    return std::make_shared<SequentialAdaptation>(
        Sequential(block_conv(block, 16 * block * block, false), BatchNorm2d(16 * block * block),
                   LeakyReLU(LeakyReLUOptions().negative_slope(0.1)),
                   PixelShuffle(PixelShuffleOptions(block))),
        16);
  }
  return std::make_shared<SequentialAdaptation>(
      Sequential(BatchNorm2d(3), block_conv(block, values, true), ReLU(ReLUOptions(true)),
                 BatchNorm2d(values), conv1x1(values, values), ReLU(ReLUOptions(true)),
                 BatchNorm2d(values), conv1x1(values, 32 * block * block),
                 PixelShuffle(PixelShuffleOptions(block))),
      32);
}

AdaptedClassifier::AdaptedClassifier(std::shared_ptr<AdaptationNetwork> adaptation,
                                     std::shared_ptr<Network> classifier)
    : adaptation_(register_module("adaptation", std::move(adaptation))),
      classifier_(register_module("classifier", std::move(classifier))) {}

torch::Tensor AdaptedClassifier::forward(torch::Tensor input) {
  const auto adapted = adaptation_->forward(std::move(input));
  regularisation_ = is_training() ? adaptation_->regularisation(adapted) : torch::Tensor();
  return classifier_->forward(adapted.contiguous(torch::MemoryFormat::ChannelsLast));
}

}  // namespace veilnet::nn
