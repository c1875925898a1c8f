#include "nn/vgg.h"

#include <cmath>
#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include "core/error.h"
#include "nn/fused.h"

namespace veilnet::nn {
namespace {

// Output channels of the convolutions by group; a pooling ends each group.
const std::vector<std::vector<int64_t>> kGroups = {
    {64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}};
constexpr size_t kFeatureGroups = 3;  // phi never reaches deeper than group 3

torch::nn::Conv2d conv3x3_bias(int64_t in, int64_t out) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1));
}

torch::nn::ReLU relu() { return torch::nn::ReLU(torch::nn::ReLUOptions(true)); }

}  // namespace

Vgg16Bn::Vgg16Bn(int64_t classes, int64_t channels) {
  if (classes < 2) {
    throw Error(ErrorCode::InvalidArgument,
                "vgg16 classes is " + std::to_string(classes) + "; allowed: 2 or more");
  }
  torch::nn::Sequential body;
  int64_t in = channels;
  torch::NoGradGuard no_grad;
  for (const auto& group : kGroups) {
    for (const int64_t out : group) {
      auto conv = conv3x3_bias(in, out);
      torch::nn::init::normal_(conv->weight, 0.0,
                               std::sqrt(2.0 / (9.0 * static_cast<double>(out))));
      torch::nn::init::zeros_(conv->bias);
      body->push_back(conv);
      body->push_back(torch::nn::BatchNorm2d(out));
      body->push_back(relu());
      in = out;
    }
    body->push_back(torch::nn::MaxPool2d(torch::nn::MaxPool2dOptions(2).stride(2)));
  }
  features = register_module("features", body);
  classifier = register_module(
      "classifier",
      torch::nn::Sequential(torch::nn::Dropout(0.5), torch::nn::Linear(512, 512), relu(),
                            torch::nn::Dropout(0.5), torch::nn::Linear(512, 512), relu(),
                            torch::nn::Linear(512, classes)));
}

torch::Tensor Vgg16Bn::forward(torch::Tensor input) {
  return classifier->forward(run_fused(*features, input).mean({2, 3}));
}

const std::vector<std::string>& FeatureExtractor::layers() {
  static const std::vector<std::string> names = {"relu1_1", "relu1_2", "relu2_1", "relu2_2",
                                                 "relu3_1", "relu3_2", "relu3_3"};
  return names;
}

FeatureExtractor::FeatureExtractor(const std::string& layer) {
  torch::nn::Sequential body;
  int64_t in = 3;
  for (size_t g = 0; g < kFeatureGroups; ++g) {
    if (g > 0) body->push_back(torch::nn::MaxPool2d(torch::nn::MaxPool2dOptions(2).stride(2)));
    for (size_t c = 0; c < kGroups[g].size(); ++c) {
      body->push_back(conv3x3_bias(in, kGroups[g][c]));
      body->push_back(relu());
      in = kGroups[g][c];
      if (layer == "relu" + std::to_string(g + 1) + "_" + std::to_string(c + 1)) {
        features = register_module("features", body);
        for (auto& p : parameters()) p.set_requires_grad(false);
        eval();
        return;
      }
    }
  }
  std::string allowed;
  for (const auto& name : layers()) allowed += (allowed.empty() ? "" : ", ") + name;
  throw Error(ErrorCode::InvalidArgument,
              "feature layer is \"" + layer + "\"; allowed: " + allowed);
}

torch::Tensor FeatureExtractor::forward(torch::Tensor input) { return run_fused(*features, input); }

std::shared_ptr<FeatureExtractor> FeatureExtractor::cut_from(const Vgg16Bn& vgg,
                                                             const std::string& layer) {
  auto phi = std::make_shared<FeatureExtractor>(layer);
  torch::NoGradGuard no_grad;
  size_t source = 0;
  const auto modules = vgg.features->children();
  for (const auto& module : phi->features->children()) {
    auto* target = module->as<torch::nn::Conv2d>();
    if (!target) continue;
    while (!modules[source]->as<torch::nn::Conv2d>()) ++source;
    const auto* conv = modules[source]->as<torch::nn::Conv2d>();
    const auto* bn = modules[source + 1]->as<torch::nn::BatchNorm2d>();
    const auto scale = bn->weight / torch::sqrt(bn->running_var + bn->options.eps());
    target->weight.copy_(conv->weight * scale.view({-1, 1, 1, 1}));
    target->bias.copy_((conv->bias - bn->running_mean) * scale + bn->bias);
    ++source;
  }
  return phi;
}

}  // namespace veilnet::nn
