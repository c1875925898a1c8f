// Pictures and keys for the cipher tests.
#pragma once

#include <cstdint>
#include <vector>

#include "cipher/key.h"
#include "cipher/scheme.h"
#include "core/random.h"

namespace veilnet::test {

using Bytes = std::vector<std::uint8_t>;

/// Noise, so that a value in a wrong place shows.
inline Bytes noise_picture(int height, int width, std::uint64_t seed) {
  Random random(seed);
  Bytes picture(3 * static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
  for (auto& value : picture) value = static_cast<std::uint8_t>(random.below(256));
  return picture;
}

inline cipher::Key test_key(std::uint64_t seed = 1) { return cipher::key_from_seed(seed); }

inline Bytes encrypt(const cipher::Scheme& scheme, const Bytes& plain) {
  Bytes out(3 * static_cast<std::size_t>(scheme.padded_height()) *
            static_cast<std::size_t>(scheme.padded_width()));
  scheme.encrypt(plain, out);
  return out;
}

inline Bytes decrypt(const cipher::Scheme& scheme, const Bytes& encrypted) {
  Bytes out(3 * static_cast<std::size_t>(scheme.height()) *
            static_cast<std::size_t>(scheme.width()));
  scheme.decrypt(encrypted, out);
  return out;
}

}  // namespace veilnet::test
