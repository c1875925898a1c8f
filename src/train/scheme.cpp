#include "train/scheme.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace veilnet::train {
namespace {

std::unique_ptr<cipher::Scheme> open_scheme(const KeyedScheme& scheme, const data::Dataset& plain,
                                            const cipher::Key& key) {
  auto opened =
      cipher::make_scheme(scheme.options, key, plain.pictures.height(), plain.pictures.width());
  if (opened->padded_height() != plain.pictures.height() ||
      opened->padded_width() != plain.pictures.width()) {
    fail(ErrorCode::InvalidArgument,
         "scheme.block_size is {}; the pictures of {} are {}x{}, and their sides must be multiples "
         "of it",
         scheme.options.block_size, plain.name, plain.pictures.height(), plain.pictures.width());
  }
  return opened;
}

}  // namespace

std::string KeyedScheme::label() const {
  const auto& id = options.id;
  std::string label = id;
  if (id == "pe") label += independent_keys ? "-independent" : "-same";  // published with both
  if (id == "gan" || id.empty()) return label;
  const cipher::SchemeOptions defaults;
  const auto& traits = cipher::scheme_traits(id);
  if (id == "pe" && options.shuffle_components) label += "-shuffled";
  if (id == "etc" && options.as_published) label += "-as-published";
  if (traits.blocks && options.block_size != defaults.block_size)
    label += "-block" + std::to_string(options.block_size);
  if (traits.default_strength > 0 && options.strength != 0 &&
      options.strength != traits.default_strength)
    label += "-strength" + nlohmann::json(options.strength).dump();
  if (key_seed != KeyedScheme{}.key_seed) label += "-seed" + std::to_string(key_seed);
  return label;
}

std::vector<uint8_t> encrypt_pictures(const KeyedScheme& scheme, const data::Dataset& plain,
                                      uint64_t first_key) {
  const auto master = cipher::key_from_seed(scheme.key_seed);
  auto keyed = open_scheme(scheme, plain, master);
  const bool own_keys =
      scheme.independent_keys || scheme.options.id == "noise";  // the noise of a picture is its own
  std::vector<uint8_t> out(plain.pictures.pixels().size());
  for (size_t i = 0; i < plain.size(); ++i) {
    if (own_keys) keyed = open_scheme(scheme, plain, cipher::derive_key(master, first_key + i));
    keyed->encrypt(plain.image(i),
                   std::span(out).subspan(i * plain.image_bytes(), plain.image_bytes()));
  }
  return out;
}

EncryptedTraining encrypted_training(const KeyedScheme& scheme, const data::Dataset& plain,
                                     const data::Split& split) {
  EncryptedTraining training{plain, nullptr};
  if (scheme.options.id == "pe" || scheme.options.id == "noise") {
    training.pictures.pictures = image::Batch(plain.pictures.height(), plain.pictures.width(),
                                              encrypt_pictures(scheme, plain));
    return training;
  }
  const std::shared_ptr<cipher::Scheme> keyed =
      open_scheme(scheme, plain, cipher::key_from_seed(scheme.key_seed));
  for (const auto index : split.validation) {
    keyed->encrypt(plain.image(index), training.pictures.pictures.picture(index));
  }
  training.encrypt = [keyed, buffer = std::vector<uint8_t>(plain.image_bytes())](
                         std::span<uint8_t> picture) mutable {
    std::ranges::copy(picture, buffer.begin());
    keyed->encrypt(buffer, picture);
  };
  return training;
}

}  // namespace veilnet::train
