// A network together with everything needed to use it, and its file.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "model/model.h"
#include "nn/network.h"
#include "nn/vgg.h"

namespace veilnet::nn {

/// A network with its card. Move-only handle.
struct Model {
  model::Card card;
  std::shared_ptr<Network> net;
};

/// Builds the network a card describes, freshly initialised from LibTorch's global generator.
/// @throws Error{InvalidArgument} as model::make_graph.
Model make_model(const model::Card& card);

/// The same network and weights without LibTorch, and back: on the CPU, in evaluation mode,
/// gradients off.
model::Model to_plain(const Model& model);
Model from_plain(const model::Model& plain);

/// model::content_hash of a network in memory, or of a module's weights under a card.
std::string content_hash(const Model& model);
std::string content_hash(const model::Card& card, const torch::nn::Module& module);

/// Writes weights and card. @throws as model::save.
void save_model(const Model& model, const std::filesystem::path& path, Overwrite overwrite);

/// Reads a model as from_plain gives it. @throws as model::load.
Model load_model(const std::filesystem::path& path);
/// As load_model, also refusing another role; on `device`.
Model load_model(const std::filesystem::path& path, model::Role role,
                 const torch::Device& device = torch::kCPU);

/// Copies tensors of a file into a module by name, `prefix` prepended to each name of the module.
/// @param allow_extra whether the file may hold more tensors than the module. @throws
/// Error{BadData} as model::check_tensors.
void load_weights(const std::filesystem::path& path, torch::nn::Module& module,
                  const std::string& prefix, bool allow_extra);

/// Copies what has the same name and shape in both; the rest of `network` stays as it is.
/// @return how many tensors were copied.
size_t start_from(torch::nn::Module& network, const torch::nn::Module& other);

/// Loads phi from a safetensors file with torchvision's VGG-16 or VGG-19 key names
/// (features.N.weight, features.N.bias); tensors of deeper layers and of the classifier are
/// ignored. @throws Error{BadData} as load_weights.
std::shared_ptr<FeatureExtractor> load_feature_extractor(const std::filesystem::path& path,
                                                         const std::string& layer);

/// What losses are computed from: bfloat16 as float32, the rest as it is.
torch::Tensor at_least_float32(const torch::Tensor& x);

/// (x - mean) / std per channel. pictures: float [N, 3, H, W] in [0, 1].
torch::Tensor normalise(const torch::Tensor& pictures, const model::Card& card);

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
