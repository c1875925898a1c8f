// A network together with everything needed to use it, and its file.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "nn/network.h"
#include "nn/vgg.h"

namespace veilnet::nn {

enum class Role {
  Classifier,  ///< psi: picture -> logits
  Transform,   ///< h: plain picture -> protected picture
  Inverse      ///< an attacker's: protected picture -> reconstruction
};
std::string role_name(Role role);

/// What a network is, apart from its weights. Stored as the metadata of its file.
struct ModelCard {
  Role role = Role::Classifier;
  std::string architecture;  ///< "resnet", "resnet18", "vgg16_bn", "densenet", "unet_encoder";
                             ///< "unet"; nn/inverse.h
  int64_t depth = 0;         ///< resnet only
  std::string adaptation;    ///< front end of a classifier of encrypted pictures: see
                             ///< nn/adaptation.h; or empty
  int64_t block_size = 0;    ///< of the adaptation network or the attack network
  int64_t base_width = 0;    ///< unet, unet_encoder and position_inverse only
  std::vector<std::string> class_names;  ///< of the data set; empty for Inverse
  int64_t height = 0, width = 0;         ///< input size it was trained on
  std::array<double, 3> mean_rgb{0.485, 0.456, 0.406};
  std::array<double, 3> std_rgb{
      0.229, 0.224, 0.225};  ///< a classifier's input is (x - mean) / std; unused by U-Nets
  /// Provenance and headline metrics: "config_sha256", "data_sha256", "commit", "metric.<name>",
  /// "alpha", "phi", "classifier_sha256", ...
  std::map<std::string, std::string> notes;
};

/// "resnet-20", "resnet-20 behind adaptation pixel", "unet width 16".
std::string describe(const ModelCard& card);

/// A network with its card. Move-only handle.
struct Model {
  ModelCard card;
  std::shared_ptr<Network> net;
};

/// Builds the network a card describes, freshly initialised from LibTorch's global generator.
/// @throws Error{InvalidArgument} for an unknown architecture or bad parameters.
Model make_model(const ModelCard& card);

/// Writes weights (keys of the reference state dicts, float32) and card. @throws as
/// save_safetensors.
void save_model(const Model& model, const std::filesystem::path& path, Overwrite overwrite);

/// Reads a model written by save_model, on the CPU, in evaluation mode, gradients off.
/// @throws Error{BadData} if the file is no model of this format, a tensor is missing, surplus, of
/// the wrong dtype or shape, or holds a value that is not finite; Error{NotFound, Io} as read_file.
Model load_model(const std::filesystem::path& path);
/// As load_model, also refusing another role; on `device`.
Model load_model(const std::filesystem::path& path, Role role,
                 const torch::Device& device = torch::kCPU);

/// Copies tensors of a file into a module by name, `prefix` prepended to each name of the module.
/// @param allow_extra whether the file may hold more tensors than the module. @throws
/// Error{BadData} as load_model.
void load_weights(const std::filesystem::path& path, torch::nn::Module& module,
                  const std::string& prefix, bool allow_extra);

/// Loads phi from a safetensors file with torchvision's VGG-16 or VGG-19 key names
/// (features.N.weight, features.N.bias); tensors of deeper layers and of the classifier are
/// ignored. @throws Error{BadData} as load_weights.
std::shared_ptr<FeatureExtractor> load_feature_extractor(const std::filesystem::path& path,
                                                         const std::string& layer);

/// (x - mean) / std per channel. pictures: float [N, 3, H, W] in [0, 1].
torch::Tensor normalise(const torch::Tensor& pictures, const ModelCard& card);

/// Logits [N, classes] of a classifier for pictures in [0, 1]; normalisation included.
torch::Tensor classify(const Model& psi, const torch::Tensor& pictures);

/// Protected (or, for an Inverse, reconstructed) pictures sigmoid(net(x)) in [0, 1], same shape as
/// the input.
torch::Tensor transform(const Model& h, const torch::Tensor& pictures);

/// uint8 NHWC bytes -> float NCHW in [0, 1] (channels-last memory) on `device`. And back, rounding
/// to the nearest of 256 levels.
torch::Tensor to_tensor(std::span<const uint8_t> images_nhwc, int64_t count, int64_t height,
                        int64_t width, const torch::Device& device = torch::kCPU);
std::vector<uint8_t> to_bytes(const torch::Tensor& pictures);

}  // namespace veilnet::nn
