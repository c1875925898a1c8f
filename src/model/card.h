// What a network is, apart from its weights: the card that its file carries.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/safetensors.h"

namespace veilnet::model {

enum class Role {
  Classifier,  ///< psi: picture -> logits
  Transform,   ///< h: plain picture -> protected picture
  Inverse,     ///< an attacker's: protected picture -> reconstruction
  Encoder      ///< of a coded h: plain picture -> the bits of its code; the rest is a codebook
};
inline constexpr std::array kRoles = {Role::Classifier, Role::Transform, Role::Inverse,
                                      Role::Encoder};
std::string_view role_name(Role role);
/// @throws Error{InvalidArgument} for a word that is none of these names.
Role role_of(std::string_view name);

/// The metadata of a model's file, in the program's types.
struct Card {
  Role role = Role::Classifier;
  /// "resnet", "resnet18", "vgg16_bn", "densenet", "unet_encoder" (classifiers); "unet" (Transform,
  /// Inverse); "coded" (Transform, Encoder); "pixel_inverse", "block_inverse", "position_inverse"
  /// (Inverse).
  std::string architecture;
  int64_t depth = 0;       ///< resnet only
  std::string adaptation;  ///< front end of a classifier of encrypted pictures, or empty
  int64_t block_size = 0;  ///< of the adaptation network or the attack network
  int64_t base_width = 0;  ///< unet, coded, unet_encoder and position_inverse only
  int64_t bits = 0;        ///< of a coded h's code
  std::string quantiser;   ///< of that code: "categorical"; else each bit is a sign
  std::vector<std::string> class_names;  ///< of the data set; empty for Inverse
  int64_t height = 0, width = 0;         ///< input size it was trained on
  std::array<double, 3> mean_rgb{0.485, 0.456, 0.406};
  std::array<double, 3> std_rgb{
      0.229, 0.224, 0.225};  ///< a classifier's input is (x - mean) / std; unused by U-Nets
  /// Provenance and headline metrics: "config_sha256", "data_sha256", "commit", "metric.<name>",
  /// "alpha", "phi", "classifier_sha256", ...
  std::map<std::string, std::string> notes;
};

/// The note of an Encoder that names the h it is of, by its content_hash.
inline constexpr const char* kWholeNote = "transform_sha256";

/// The note of a transformation network that says whether it hides pictures, "protects: ..." or
/// "does not protect: ..." (measure/hiding.h), and of a classifier, "learned: ..." or "did not
/// learn: ..." (measure/learning.h). Absent where nobody looked.
inline constexpr const char* kVerdictNote = "verdict";
/// The note of a coded h that says what no attack on its pictures can do (docs/bound.md), measured
/// on the test pictures of its training.
inline constexpr const char* kBoundNote = "bound";

/// "resnet-20", "resnet-20 behind adaptation pixel", "unet width 16".
std::string describe(const Card& card);

/// @throws Error{InvalidArgument} for what cannot name a class: nothing, more than 100 bytes, or
/// with control characters, since it is shown as it stands.
void check_class_name(const std::string& name);

/// Refuses a picture size, a normalisation or class names that no model can have. @throws
/// Error{InvalidArgument}.
void check(const Card& card);

/// The card as the metadata of a safetensors file, format version 1 (docs/architecture.md).
std::map<std::string, std::string> to_metadata(const Card& card);

/// The card in a file's metadata. Reads format version 1.
/// @throws Error{BadData}, naming the file, if a field is missing or malformed, and as check.
Card card_of(const Safetensors& file);

/// SHA-256 over what a model computes: everything in the card but the notes, and the tensors by
/// name, whatever their order. Two files of the same model trained and noted differently agree.
std::string content_hash(const Card& card, std::span<const TensorView> tensors);

/// As above, of a model's file. @throws as Safetensors::load and card_of.
std::string content_hash(const std::filesystem::path& path);

}  // namespace veilnet::model
