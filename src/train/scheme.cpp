#include "train/scheme.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace veilnet::train {
namespace {

std::unique_ptr<cipher::Scheme> open_scheme(const KeyedScheme& scheme, const image::Batch& plain,
                                            const cipher::Key& key) {
  auto opened = cipher::make_scheme(scheme.options, key, plain.height(), plain.width());
  if (opened->padded_height() != plain.height() || opened->padded_width() != plain.width())
    fail(ErrorCode::InvalidArgument,
         "scheme.block_size is {}; the pictures are {}x{}, and their sides must be multiples of it",
         scheme.options.block_size, plain.width(), plain.height());
  return opened;
}

}  // namespace

std::string KeyedScheme::label() const {
  const auto& id = options.id;
  if (id == "gan" || id.empty()) return id;
  const KeyedScheme usual;
  const auto& spec = cipher::scheme_spec(id);
  std::string label = id;
  if (spec.own_keys) label += independent_keys ? "-independent" : "-same";  // published with both
  if (options.variant && !spec.variant.name.empty()) label += "-" + std::string(spec.variant.label);
  if (spec.blocks && options.block_size != usual.options.block_size)
    label += "-block" + std::to_string(options.block_size);
  if (spec.strength.usual != 0 && options.strength != 0 && options.strength != spec.strength.usual)
    label += "-strength" + nlohmann::json(options.strength).dump();
  if (augmentation != usual.augmentation) label += "-augmented-" + augmentation;
  if (key_seed != usual.key_seed) label += "-seed" + std::to_string(key_seed);
  return label;
}

Settings settings_of(const KeyedScheme& scheme) {
  const auto& o = scheme.options;
  Settings settings{{"scheme.id", o.id},
                    {"scheme.block_size", std::to_string(o.block_size)},
                    {"scheme.variant", fmt::format("{}", o.variant)},
                    {"scheme.strength", fmt::format("{}", o.strength)},
                    {"scheme.key_mode", scheme.independent_keys ? "independent" : "same"},
                    {"scheme.key_seed", std::to_string(scheme.key_seed)}};
  if (scheme.augmentation != KeyedScheme{}.augmentation)
    settings["scheme.augmentation"] = scheme.augmentation;
  return settings;
}

image::Batch encrypt_pictures(const KeyedScheme& scheme, const image::Batch& plain,
                              uint64_t first_key) {
  const auto master = cipher::key_from_seed(scheme.key_seed);
  auto keyed = open_scheme(scheme, plain, master);
  const bool own_keys =
      scheme.independent_keys || cipher::scheme_spec(scheme.options.id).drawn_anew;
  image::Batch out(plain.height(), plain.width(), plain.count());
  for (size_t i = 0; i < plain.count(); ++i) {
    if (own_keys) keyed = open_scheme(scheme, plain, cipher::derive_key(master, first_key + i));
    keyed->encrypt(plain.picture(i), out.picture(i));
  }
  return out;
}

EncryptedTraining encrypted_training(const KeyedScheme& scheme, const data::Dataset& plain,
                                     const data::Split& split) {
  EncryptedTraining training{plain, nullptr};
  if (cipher::scheme_spec(scheme.options.id).augment_encrypted ||
      scheme.augmentation == "encrypted") {
    training.pictures.pictures = encrypt_pictures(scheme, plain.pictures);
    return training;
  }
  const std::shared_ptr<cipher::Scheme> keyed =
      open_scheme(scheme, plain.pictures, cipher::key_from_seed(scheme.key_seed));
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
