// Pictures under a conventional scheme, as training and evaluation see them.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "cipher/scheme.h"
#include "core/settings.h"
#include "data/batches.h"

namespace veilnet::train {

/// A conventional scheme with its keys.
struct KeyedScheme {
  cipher::SchemeOptions options;
  bool independent_keys =
      false;              ///< every picture has a key of its own ("no key management"); pe only
  uint64_t key_seed = 1;  ///< keys of an experiment are reproducible, those of `keygen` are not
  /// When a classifier's training pictures are flipped and shifted: "published"
  /// (encrypted_training), "encrypted" (after they were encrypted, whatever the scheme) or "none"
  /// (never).
  std::string augmentation = "published";
  /// "le", "pe-same", "pe-independent", ...: names its run folder and its row of the comparison
  /// table. Whatever changes the encrypted pictures and is not at its default is part of it:
  /// "le-block8", "pe-same-shuffled-seed2", "etc-augmented-encrypted", "le-augmented-none".
  std::string label() const;
};

/// All that decides what it makes of pictures, by configuration key.
Settings settings_of(const KeyedScheme& scheme);

/// The pictures, encrypted: with the one key of the scheme, or, under independent keys and for
/// noise, each with its own, which is derived from the scheme's key and `first_key` plus the
/// picture's position.
/// @throws Error{InvalidArgument} when the sides are not multiples of the scheme's block size: a
/// classifier sees pictures of one size.
image::Batch encrypt_pictures(const KeyedScheme& scheme, const image::Batch& plain,
                              uint64_t first_key = 0);

/// What the training loop needs to learn from encrypted pictures.
///
/// Pixel-based encryption (and noise) is augmented in the encrypted domain: all pictures are
/// encrypted once, then flipped and shifted. Every other scheme is applied after the augmentation,
/// because flipping or shifting its output moves pixels across blocks (tests/train/scheme_test.cpp
/// shows which orders commute): `pictures` then holds plain training pictures and encrypted
/// validation pictures, and `encrypt` is applied to each augmented picture.
struct EncryptedTraining {
  data::Dataset pictures;
  std::function<void(std::span<uint8_t>)> encrypt;
};
EncryptedTraining encrypted_training(const KeyedScheme& scheme, const data::Dataset& plain,
                                     const data::Split& split);

}  // namespace veilnet::train
