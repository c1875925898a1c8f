#include "nn/model.h"

#include <set>
#include <torch/serialize.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/safetensors.h"
#include "nn/adaptation.h"
#include "nn/densenet.h"
#include "nn/inverse.h"
#include "nn/resnet.h"
#include "nn/unet.h"

namespace veilnet::nn {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "veilnet-model";
constexpr const char* kFormatVersion = "1";

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

[[noreturn]] void bad(const std::string& file, const std::string& what) {
  throw Error(ErrorCode::BadData, file + ": " + what);
}

void copy_tensor(const Safetensors& file, const TensorView& view, torch::Tensor target) {
  const auto shape = target.sizes().vec();
  if (view.dtype != DType::F32) {
    bad(file.name(), "tensor \"" + view.name + "\" has dtype " +
                         std::string(dtype_name(view.dtype)) + "; expected F32");
  }
  if (view.shape != shape) {
    bad(file.name(), "tensor \"" + view.name + "\" has shape " + shape_text(view.shape) +
                         "; expected " + shape_text(shape));
  }
  auto values = torch::empty(shape);
  if (!view.bytes.empty())
    std::memcpy(values.data_ptr<float>(), view.bytes.data(), view.bytes.size());
  if (!torch::isfinite(values).all().item<bool>()) {
    bad(file.name(),
        "tensor \"" + view.name + "\" holds a value that is not finite (NaN or infinity)");
  }
  torch::NoGradGuard no_grad;
  target.copy_(values);
}

std::map<std::string, std::string> card_to_metadata(const ModelCard& card) {
  json parameters = json::object();
  if (card.depth) parameters["depth"] = card.depth;
  if (card.base_width) parameters["base_width"] = card.base_width;
  if (!card.adaptation.empty()) parameters["adaptation"] = card.adaptation;
  if (card.block_size) parameters["block_size"] = card.block_size;
  return {{"format", kFormat},
          {"format_version", kFormatVersion},
          {"role", role_name(card.role)},
          {"architecture", card.architecture},
          {"parameters", parameters.dump()},
          {"input_size", json{card.height, card.width}.dump()},
          {"mean_rgb", json(card.mean_rgb).dump()},
          {"std_rgb", json(card.std_rgb).dump()},
          {"class_names", json(card.class_names).dump()},
          {"notes", json(card.notes).dump()}};
}

ModelCard card_from_metadata(const Safetensors& file) {
  const auto& metadata = file.metadata();
  const auto text = [&](const char* key) -> const std::string& {
    const auto it = metadata.find(key);
    if (it == metadata.end())
      bad(file.name(),
          std::string("metadata lacks \"") + key + "\": not a model written by Veilnet");
    return it->second;
  };
  if (text("format") != kFormat)
    bad(file.name(), "metadata format is \"" + text("format") + "\"; expected \"" + kFormat + "\"");
  if (text("format_version") != kFormatVersion) {
    bad(file.name(), "format_version is \"" + text("format_version") + "\"; this build reads \"" +
                         kFormatVersion + "\"");
  }
  ModelCard card;
  const auto& role = text("role");
  if (role == "classifier") {
    card.role = Role::Classifier;
  } else if (role == "transform") {
    card.role = Role::Transform;
  } else if (role == "inverse") {
    card.role = Role::Inverse;
  } else {
    bad(file.name(), "role is \"" + role + "\"; allowed: classifier, transform, inverse");
  }
  card.architecture = text("architecture");
  const char* key = "parameters";
  try {
    const auto parameters = json::parse(text(key));
    card.depth = parameters.value("depth", int64_t{0});
    card.base_width = parameters.value("base_width", int64_t{0});
    card.adaptation = parameters.value("adaptation", std::string());
    card.block_size = parameters.value("block_size", int64_t{0});
    const auto size = json::parse(text(key = "input_size")).get<std::array<int64_t, 2>>();
    card.height = size[0];
    card.width = size[1];
    card.mean_rgb = json::parse(text(key = "mean_rgb")).get<std::array<double, 3>>();
    card.std_rgb = json::parse(text(key = "std_rgb")).get<std::array<double, 3>>();
    card.class_names = json::parse(text(key = "class_names")).get<std::vector<std::string>>();
    card.notes = json::parse(text(key = "notes")).get<std::map<std::string, std::string>>();
  } catch (const json::exception& e) {
    bad(file.name(), std::string("metadata \"") + key + "\" is malformed: " + e.what());
  }
  if (card.height < 1 || card.width < 1 || card.height > 8192 || card.width > 8192) {
    bad(file.name(), "input_size is " + text("input_size") + "; allowed: sides of 1 to 8192");
  }
  for (size_t i = 0; i < 3; ++i) {
    if (!std::isfinite(card.mean_rgb[i]) || !(card.std_rgb[i] > 0) ||
        !std::isfinite(card.std_rgb[i])) {
      bad(file.name(),
          "mean_rgb or std_rgb is not usable: " + text("mean_rgb") + ", " + text("std_rgb"));
    }
  }
  if (card.role == Role::Classifier &&
      (card.class_names.size() < 2 || card.class_names.size() > 100'000)) {
    bad(file.name(),
        "has " + std::to_string(card.class_names.size()) + " class names; allowed: 2 to 100000");
  }
  return card;
}

void load_into(const Safetensors& file, torch::nn::Module& module, const std::string& prefix,
               bool allow_extra) {
  std::set<std::string> expected;
  for (auto& [name, tensor] : state_tensors(module)) {
    const auto* view = file.find(prefix + name);
    if (!view) bad(file.name(), "tensor \"" + prefix + name + "\" is missing");
    copy_tensor(file, *view, tensor);
    expected.insert(prefix + name);
  }
  if (allow_extra) return;
  for (const auto& view : file.tensors()) {
    if (!expected.contains(view.name))
      bad(file.name(), "tensor \"" + view.name + "\" does not belong to this architecture");
  }
}

torch::Tensor channel_constant(const std::array<double, 3>& values, const torch::Tensor& like) {
  return torch::tensor({values[0], values[1], values[2]}, torch::kFloat64)
      .to(like.options())
      .view({1, 3, 1, 1});
}

}  // namespace

std::string role_name(Role role) {
  switch (role) {
    case Role::Classifier: return "classifier";
    case Role::Transform: return "transform";
    case Role::Inverse: return "inverse";
  }
  return "unknown";
}

Model make_model(const ModelCard& card) {
  const auto classes = static_cast<int64_t>(card.class_names.size());
  const auto& name = card.architecture;
  std::shared_ptr<AdaptationNetwork> adaptation;
  if (!card.adaptation.empty())
    adaptation = make_adaptation(card.adaptation, card.block_size, card.height, card.width);
  const int64_t channels = adaptation ? adaptation->out_channels() : 3;
  std::shared_ptr<Network> net;
  if (card.role != Role::Classifier) {
    const bool inverse = card.role == Role::Inverse;
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
  if (!net || (adaptation && card.role != Role::Classifier)) {
    throw Error(
        ErrorCode::InvalidArgument,
        "architecture \"" + name + "\"" +
            (adaptation ? " behind adaptation \"" + card.adaptation + "\"" : "") +
            " is not available for a " + role_name(card.role) + "; allowed: " +
            (card.role == Role::Classifier ? "resnet, resnet18, vgg16_bn, densenet, unet_encoder"
             : card.role == Role::Transform
                 ? "unet"
                 : "unet, pixel_inverse, block_inverse, position_inverse"));
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
  save_safetensors(path, views, card_to_metadata(model.card), overwrite);
}

std::string describe(const ModelCard& card) {
  auto text = card.architecture;
  if (card.depth > 0) text += "-" + std::to_string(card.depth);
  if (card.base_width > 0) text += " width " + std::to_string(card.base_width);
  if (!card.adaptation.empty()) text += " behind adaptation " + card.adaptation;
  return text;
}

Model load_model(const std::filesystem::path& path) {
  const auto file = Safetensors::load(path);
  const auto card = card_from_metadata(file);
  Model model;
  try {
    model = make_model(card);
  } catch (const Error& e) {
    bad(file.name(), e.what());
  }
  load_into(file, *model.net, "", false);
  for (auto& p : model.net->parameters()) p.set_requires_grad(false);
  model.net->eval();
  return model;
}

Model load_model(const std::filesystem::path& path, Role role, const torch::Device& device) {
  auto model = load_model(path);
  if (model.card.role != role) {
    bad(path.string(), "is a " + role_name(model.card.role) + " model; a " + role_name(role) +
                           " model is needed here");
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

torch::Tensor normalise(const torch::Tensor& pictures, const ModelCard& card) {
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
    throw Error(ErrorCode::InvalidArgument,
                "picture batch has " + std::to_string(images_nhwc.size()) + " bytes; expected " +
                    std::to_string(count * height * width * 3));
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
