#include "train/scheme.h"

#include <algorithm>

#include "core/error.h"

namespace veilnet::train {
namespace {

std::unique_ptr<cipher::Scheme> open_scheme(const Experiment::Scheme& scheme,
                                            const data::Dataset& plain, const cipher::Key& key) {
  auto opened = cipher::make_scheme(scheme.options, key, plain.height, plain.width);
  if (opened->padded_height() != plain.height || opened->padded_width() != plain.width) {
    throw Error(ErrorCode::InvalidArgument,
                "scheme.block_size is " + std::to_string(scheme.options.block_size) +
                    "; the pictures of " + plain.name + " are " + std::to_string(plain.height) +
                    "x" + std::to_string(plain.width) +
                    ", and their sides must be multiples of it");
  }
  return opened;
}

}  // namespace

std::vector<uint8_t> encrypt_pictures(const Experiment::Scheme& scheme, const data::Dataset& plain,
                                      uint64_t first_key) {
  const auto master = cipher::key_from_seed(scheme.key_seed);
  auto keyed = open_scheme(scheme, plain, master);
  const bool own_keys =
      scheme.independent_keys || scheme.options.id == "noise";  // the noise of a picture is its own
  std::vector<uint8_t> out(plain.images_nhwc.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    if (own_keys) keyed = open_scheme(scheme, plain, cipher::derive_key(master, first_key + i));
    keyed->encrypt(plain.image(i),
                   std::span(out).subspan(i * plain.image_bytes(), plain.image_bytes()));
  }
  return out;
}

EncryptedTraining encrypted_training(const Experiment::Scheme& scheme, const data::Dataset& plain,
                                     const data::Split& split) {
  EncryptedTraining training{plain, nullptr};
  if (scheme.options.id == "pe" || scheme.options.id == "noise") {
    training.pictures.images_nhwc = encrypt_pictures(scheme, plain);
    return training;
  }
  const std::shared_ptr<cipher::Scheme> keyed =
      open_scheme(scheme, plain, cipher::key_from_seed(scheme.key_seed));
  for (const auto index : split.validation) {
    keyed->encrypt(plain.image(index),
                   std::span(training.pictures.images_nhwc)
                       .subspan(index * plain.image_bytes(), plain.image_bytes()));
  }
  training.encrypt = [keyed, buffer = std::vector<uint8_t>(plain.image_bytes())](
                         std::span<uint8_t> picture) mutable {
    std::ranges::copy(picture, buffer.begin());
    keyed->encrypt(buffer, picture);
  };
  return training;
}

}  // namespace veilnet::train
