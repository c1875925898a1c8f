#include "nn/model.h"

#include <cstring>
#include <torch/serialize.h>

#include "core/error.h"
#include "core/safetensors.h"
#include "nn/adaptation.h"
#include "nn/coded.h"
#include "nn/densenet.h"
#include "nn/inverse.h"
#include "nn/resnet.h"
#include "nn/unet.h"

namespace veilnet::nn {
namespace {

void copy_values(std::span<const float> values, torch::Tensor target) {
  torch::NoGradGuard no_grad;
  target.copy_(torch::from_blob(const_cast<float*>(values.data()), target.sizes(), torch::kFloat));
}

torch::Tensor channel_constant(const std::array<double, 3>& values, const torch::Tensor& like) {
  return torch::tensor({values[0], values[1], values[2]}, torch::kFloat64)
      .to(like.options())
      .view({1, 3, 1, 1});
}

}  // namespace

Model make_model(const model::Card& card) {
  model::make_graph(card);  // refuses what no network is
  if (card.role == model::Role::Encoder)
    fail(ErrorCode::InvalidArgument,
         "the encoder of a coded network alone cannot be used here; "
         "allowed: the whole network");
  const auto classes = static_cast<int64_t>(card.class_names.size());
  const auto& name = card.architecture;
  std::shared_ptr<AdaptationNetwork> adaptation;
  if (!card.adaptation.empty())
    adaptation = make_adaptation(card.adaptation, card.block_size, card.height, card.width);
  const int64_t channels = adaptation ? adaptation->out_channels() : 3;
  std::shared_ptr<Network> net;
  if (name == "unet") {
    net = std::make_shared<UNet>(card.base_width);
  } else if (name == "coded") {
    net = std::make_shared<CodedTransform>(card.base_width, card.bits, card.height,
                                           card.quantiser == "categorical");
  } else if (name == "pixel_inverse") {
    net = std::make_shared<PixelInverse>();
  } else if (name == "block_inverse") {
    net = std::make_shared<BlockInverse>(card.block_size);
  } else if (name == "position_inverse") {
    net = std::make_shared<PositionInverse>(card.base_width, card.block_size, card.height,
                                            card.width);
  } else if (name == "resnet") {
    net = std::make_shared<ResNet>(card.depth, classes, channels);
  } else if (name == "resnet18") {
    net = std::make_shared<ResNet18>(classes, channels);
  } else if (name == "vgg16_bn") {
    net = std::make_shared<Vgg16Bn>(classes, channels);
  } else if (name == "densenet") {
    net = std::make_shared<DenseNet>(classes, channels);
  } else {
    net = std::make_shared<UNetEncoder>(card.base_width, classes);
  }
  if (adaptation) net = std::make_shared<AdaptedClassifier>(adaptation, net);
  return {card, net};
}

model::Model to_plain(const Model& model) {
  model::Model plain{model.card, model::make_graph(model.card), {}};
  for (const auto& [name, tensor] : state_tensors(*model.net)) {
    const auto values = tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
    const auto* begin = values.data_ptr<float>();
    plain.weights[name] = {values.sizes().vec(), {begin, begin + values.numel()}};
  }
  return plain;
}

Model from_plain(const model::Model& plain) {
  auto model = make_model(plain.card);
  for (auto& [name, tensor] : state_tensors(*model.net))
    copy_values(plain.weights.at(name).values, tensor);
  for (auto& p : model.net->parameters()) p.set_requires_grad(false);
  model.net->eval();
  return model;
}

std::string content_hash(const Model& model) { return content_hash(model.card, *model.net); }

std::string content_hash(const model::Card& card, const torch::nn::Module& module) {
  std::vector<torch::Tensor> kept;
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : state_tensors(module)) {
    kept.push_back(tensor.detach().to(torch::kCPU, torch::kFloat).contiguous());
    const auto& t = kept.back();
    views.push_back({name,
                     DType::F32,
                     t.sizes().vec(),
                     {static_cast<const uint8_t*>(t.data_ptr()), t.nbytes()}});
  }
  return model::content_hash(card, views);
}

void save_model(const Model& model, const std::filesystem::path& path, Overwrite overwrite) {
  model::save(to_plain(model), path, overwrite);
}

Model load_model(const std::filesystem::path& path) { return from_plain(model::load(path)); }

Model load_model(const std::filesystem::path& path, model::Role role, const torch::Device& device) {
  auto model = from_plain(model::load(path, role));
  move_to(*model.net, device);
  return model;
}

size_t start_from(torch::nn::Module& network, const torch::nn::Module& other) {
  torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> given;
  for (const auto& [name, tensor] : state_tensors(other)) given[name] = tensor;
  size_t taken = 0;
  for (auto& [name, tensor] : state_tensors(network)) {
    const auto found = given.find(name);
    if (found == given.end() || found->second.sizes() != tensor.sizes()) continue;
    torch::Tensor(tensor).copy_(found->second);
    ++taken;
  }
  return taken;
}

void load_weights(const std::filesystem::path& path, torch::nn::Module& module,
                  const std::string& prefix, bool allow_extra) {
  const auto file = Safetensors::load(path);
  std::vector<model::TensorSpec> expected;
  for (const auto& [name, tensor] : state_tensors(module))
    expected.push_back({prefix + name, tensor.sizes().vec()});
  model::check_tensors(file.name(), file.tensors(), expected, allow_extra);
  for (auto& [name, tensor] : state_tensors(module)) {
    const auto& view = file.at(prefix + name);
    // The data begins at a multiple of 8 only where the header's length says so.
    std::vector<float> values(view.bytes.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    copy_values(values, tensor);
  }
}

std::shared_ptr<FeatureExtractor> load_feature_extractor(const std::filesystem::path& path,
                                                         const std::string& layer) {
  auto phi = std::make_shared<FeatureExtractor>(layer);
  load_weights(path, *phi, "", /*allow_extra=*/true);
  return phi;
}

torch::Tensor at_least_float32(const torch::Tensor& x) {
  return x.scalar_type() == torch::kDouble ? x : x.to(torch::kFloat);
}

torch::Tensor normalise(const torch::Tensor& pictures, const model::Card& card) {
  return (pictures - channel_constant(card.mean_rgb, pictures)) /
         channel_constant(card.std_rgb, pictures);
}

torch::Tensor classify(const Model& psi, const torch::Tensor& pictures) {
  return at_least_float32(psi.net->forward(normalise(pictures, psi.card)));
}

torch::Tensor transform(const Model& h, const torch::Tensor& pictures) {
  return torch::sigmoid(at_least_float32(h.net->forward(pictures)));
}

torch::Tensor to_tensor(std::span<const uint8_t> images_nhwc, int64_t count, int64_t height,
                        int64_t width, const torch::Device& device) {
  if (static_cast<int64_t>(images_nhwc.size()) != count * height * width * 3) {
    fail(ErrorCode::InvalidArgument, "picture batch has {} bytes; expected {}", images_nhwc.size(),
         count * height * width * 3);
  }
  // from_blob does not take const; the tensor is copied before it leaves this function.
  const auto bytes = torch::from_blob(const_cast<uint8_t*>(images_nhwc.data()),
                                      {count, height, width, 3}, torch::kUInt8);
  return bytes.permute({0, 3, 1, 2})
      .to(device, torch::kFloat, /*non_blocking=*/false, /*copy=*/true)
      .div_(255.0);
}

std::vector<uint8_t> to_bytes(const torch::Tensor& pictures) {
  const auto bytes = pictures.detach()
                         .mul(255.0)
                         .round_()
                         .clamp_(0, 255)
                         .to(torch::kCPU, torch::kUInt8)
                         .permute({0, 2, 3, 1})
                         .contiguous();
  const auto* begin = bytes.data_ptr<uint8_t>();
  return {begin, begin + bytes.numel()};
}

}  // namespace veilnet::nn
