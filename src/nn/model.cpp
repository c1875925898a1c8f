#include "nn/model.h"

#include <fmt/ranges.h>
#include <set>
#include <torch/serialize.h>

#include "core/error.h"
#include "core/safetensors.h"
#include "nn/adaptation.h"
#include "nn/densenet.h"
#include "nn/inverse.h"
#include "nn/resnet.h"
#include "nn/unet.h"

namespace veilnet::nn {
namespace {

void copy_tensor(const Safetensors& file, const TensorView& view, torch::Tensor target) {
  const auto shape = target.sizes().vec();
  if (view.dtype != DType::F32) {
    fail(ErrorCode::BadData, "{}: tensor \"{}\" has dtype {}; expected F32", file.name(), view.name,
         dtype_name(view.dtype));
  }
  if (view.shape != shape) {
    fail(ErrorCode::BadData, "{}: tensor \"{}\" has shape {}; expected {}", file.name(), view.name,
         view.shape, shape);
  }
  auto values = torch::empty(shape);
  if (!view.bytes.empty())
    std::memcpy(values.data_ptr<float>(), view.bytes.data(), view.bytes.size());
  if (!torch::isfinite(values).all().item<bool>()) {
    fail(ErrorCode::BadData, "{}: tensor \"{}\" holds a value that is not finite (NaN or infinity)",
         file.name(), view.name);
  }
  torch::NoGradGuard no_grad;
  target.copy_(values);
}

void load_into(const Safetensors& file, torch::nn::Module& module, const std::string& prefix,
               bool allow_extra) {
  std::set<std::string> expected;
  for (auto& [name, tensor] : state_tensors(module)) {
    const auto* view = file.find(prefix + name);
    if (!view)
      fail(ErrorCode::BadData, "{}: tensor \"{}{}\" is missing", file.name(), prefix, name);
    copy_tensor(file, *view, tensor);
    expected.insert(prefix + name);
  }
  if (allow_extra) return;
  for (const auto& view : file.tensors()) {
    if (!expected.contains(view.name)) {
      fail(ErrorCode::BadData, "{}: tensor \"{}\" does not belong to this architecture",
           file.name(), view.name);
    }
  }
}

torch::Tensor channel_constant(const std::array<double, 3>& values, const torch::Tensor& like) {
  return torch::tensor({values[0], values[1], values[2]}, torch::kFloat64)
      .to(like.options())
      .view({1, 3, 1, 1});
}

}  // namespace

Model make_model(const model::Card& card) {
  const auto classes = static_cast<int64_t>(card.class_names.size());
  const auto& name = card.architecture;
  std::shared_ptr<AdaptationNetwork> adaptation;
  if (!card.adaptation.empty())
    adaptation = make_adaptation(card.adaptation, card.block_size, card.height, card.width);
  const int64_t channels = adaptation ? adaptation->out_channels() : 3;
  std::shared_ptr<Network> net;
  if (card.role != model::Role::Classifier) {
    const bool inverse = card.role == model::Role::Inverse;
    if (name == "unet") net = std::make_shared<UNet>(card.base_width);
    if (inverse && name == "pixel_inverse") net = std::make_shared<PixelInverse>();
    if (inverse && name == "block_inverse") net = std::make_shared<BlockInverse>(card.block_size);
    if (inverse && name == "position_inverse")
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
  } else if (name == "unet_encoder" && !adaptation) {
    net = std::make_shared<UNetEncoder>(card.base_width, classes);
  }
  if (!net || (adaptation && card.role != model::Role::Classifier)) {
    fail(ErrorCode::InvalidArgument, "architecture \"{}\"{} is not available for a {}; allowed: {}",
         name, adaptation ? " behind adaptation \"" + card.adaptation + "\"" : "",
         model::role_name(card.role),
         card.role == model::Role::Classifier ? "resnet, resnet18, vgg16_bn, densenet, unet_encoder"
         : card.role == model::Role::Transform ? "unet"
                                               : "unet, pixel_inverse, block_inverse, "
                                                 "position_inverse");
  }
  if (adaptation) net = std::make_shared<AdaptedClassifier>(adaptation, net);
  return {card, net};
}

void save_model(const Model& model, const std::filesystem::path& path, Overwrite overwrite) {
  std::vector<torch::Tensor> keep_alive;
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : state_tensors(*model.net)) {
    keep_alive.push_back(tensor.detach().to(torch::kCPU, torch::kFloat).contiguous());
    const auto& t = keep_alive.back();
    views.push_back({name,
                     DType::F32,
                     t.sizes().vec(),
                     {static_cast<const uint8_t*>(t.data_ptr()),
                      static_cast<size_t>(t.numel()) * sizeof(float)}});
  }
  save_safetensors(path, views, model::to_metadata(model.card), overwrite);
}

Model load_model(const std::filesystem::path& path) {
  const auto file = Safetensors::load(path);
  const auto card = model::card_of(file);
  Model model;
  try {
    model = make_model(card);
  } catch (const Error& e) {
    fail(ErrorCode::BadData, "{}: {}", file.name(), e.what());
  }
  load_into(file, *model.net, "", false);
  for (auto& p : model.net->parameters()) p.set_requires_grad(false);
  model.net->eval();
  return model;
}

Model load_model(const std::filesystem::path& path, model::Role role, const torch::Device& device) {
  auto model = load_model(path);
  if (model.card.role != role) {
    fail(ErrorCode::BadData, "{}: is a {} model; a {} model is needed here", path.string(),
         model::role_name(model.card.role), model::role_name(role));
  }
  move_to(*model.net, device);
  return model;
}

void load_weights(const std::filesystem::path& path, torch::nn::Module& module,
                  const std::string& prefix, bool allow_extra) {
  load_into(Safetensors::load(path), module, prefix, allow_extra);
}

std::shared_ptr<FeatureExtractor> load_feature_extractor(const std::filesystem::path& path,
                                                         const std::string& layer) {
  auto phi = std::make_shared<FeatureExtractor>(layer);
  load_weights(path, *phi, "", /*allow_extra=*/true);
  return phi;
}

torch::Tensor normalise(const torch::Tensor& pictures, const model::Card& card) {
  return (pictures - channel_constant(card.mean_rgb, pictures)) /
         channel_constant(card.std_rgb, pictures);
}

torch::Tensor classify(const Model& psi, const torch::Tensor& pictures) {
  return psi.net->forward(normalise(pictures, psi.card)).to(torch::kFloat);
}

torch::Tensor transform(const Model& h, const torch::Tensor& pictures) {
  return torch::sigmoid(h.net->forward(pictures).to(torch::kFloat));
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
