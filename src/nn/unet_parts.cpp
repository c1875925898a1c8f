#include "nn/unet_parts.h"

#include <torch/nn/functional.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/upsampling.h>

#include "core/error.h"
#include "nn/fused.h"

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

}  // namespace

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

torch::nn::Sequential add_part(torch::nn::Module& parent, const std::string& name, const char* key,
                               const torch::nn::Sequential& body) {
  parent.register_module(name, std::make_shared<Wrapped>(key, body));
  return body;
}

std::vector<torch::nn::Sequential> add_unet_encoder(torch::nn::Module& parent, int64_t width) {
  if (width < 1 || width > 256)
    fail(ErrorCode::InvalidArgument, "unet width is {}; allowed: 1 to 256", width);
  std::vector<torch::nn::Sequential> levels;
  for (int64_t level = 0; level < 5; ++level) {
    const int64_t in = level == 0 ? 3 : width << (level - 1);
    levels.push_back(add_part(parent, "conv" + std::to_string(level + 1), "conv",
                              double_conv(in, width << level)));
  }
  return levels;
}

std::vector<torch::Tensor> encode(const std::vector<torch::nn::Sequential>& levels, torch::Tensor x,
                                  bool learns) {
  torch::AutoGradMode gradients(learns && torch::GradMode::is_enabled());
  std::vector<torch::Tensor> outputs;
  for (size_t level = 0; level < levels.size(); ++level) {
    if (level > 0) x = max_pool(x);
    if (!learns) levels[level].ptr()->eval();
    x = run_fused(*levels[level].ptr(), x);
    outputs.push_back(x);
  }
  return outputs;
}

}  // namespace veilnet::nn
