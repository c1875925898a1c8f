// What the schemes' files share: counting, checking explicit keys, and the three ways in which they
// work. Internal to this folder.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <memory>
#include <numbers>
#include <span>
#include <vector>

#include "cipher/scheme.h"
#include "cipher/tiles.h"
#include "core/error.h"

namespace veilnet::cipher {

inline double log2_factorial(double n) { return std::lgamma(n + 1) / std::numbers::ln2; }
inline double log2_choose(double n, double k) {
  return log2_factorial(n) - log2_factorial(k) - log2_factorial(n - k);
}
/// Of half of `n` (rounded down).
inline double log2_halves(double n) { return log2_choose(n, std::floor(n / 2)); }

inline std::size_t values_of(int block_size) {
  return 3 * static_cast<std::size_t>(block_size) * static_cast<std::size_t>(block_size);
}
inline std::size_t blocks_of(int height, int width, int block_size) {
  return Tiling::blocks(height, width, block_size).count;
}

/// A flag for each of `size` positions, set for exactly half of them (rounded down).
std::vector<std::uint8_t> draw_half(KeyStream& stream, std::size_t size);

// Checks of explicit keys; `what` names the part: "the LE key". @throws Error{InvalidArgument}

inline void check_count(const char* what, std::size_t count, std::size_t wanted) {
  if (count != wanted)
    fail(ErrorCode::InvalidArgument, "{} has {} entries; needed are {}", what, count, wanted);
}

template <class T>
void check_below(const char* what, const std::vector<T>& codes, std::size_t wanted,
                 unsigned bound) {
  check_count(what, codes.size(), wanted);
  T largest = 0;  // a plain loop, which the compiler makes vector code of
  for (const T code : codes) largest = std::max(largest, code);
  if (largest >= bound)
    fail(ErrorCode::InvalidArgument, "{} holds a code that is too large; allowed is 0 to {}", what,
         bound - 1);
}

template <class T>
void check_permutation(const char* what, std::span<const T> values, std::size_t wanted) {
  check_count(what, values.size(), wanted);
  std::vector<bool> seen(wanted);
  for (const auto value : values) {
    if (value >= wanted || seen[value])
      fail(ErrorCode::InvalidArgument, "{} is no permutation of 0 to {}", what, wanted - 1);
    seen[value] = true;
  }
}

/// Moves nibbles or bytes inside tiles, and tiles.
std::unique_ptr<Scheme> make_gather(const Scheme::Properties& properties, const Tiling& tiling,
                                    NibbleMap map);
/// out[i] = in[i] XOR mask[i], for each value of the padded picture.
std::unique_ptr<Scheme> make_mask(const Scheme::Properties& properties,
                                  std::vector<std::uint8_t> mask);

/// A flag for each value of a block, laid out over a picture of padded size.
std::vector<std::uint8_t> repeat_block(std::span<const std::uint8_t> flags, int block_size,
                                       int height, int width);

/// For plain versions: cuts the picture into blocks, transforms each (given with its index) and
/// puts them together; block i of the result is block location[i], or i where there is no location.
template <std::invocable<std::size_t, std::vector<std::uint8_t>> Transform>
void by_blocks(int height, int width, int block_size, std::span<const std::uint8_t> plain,
               std::span<std::uint8_t> cipher, std::span<const std::uint32_t> location,
               Transform transform) {
  const auto side = static_cast<std::size_t>(block_size), columns = static_cast<std::size_t>(width);
  const auto across = columns / side, blocks = static_cast<std::size_t>(height) / side * across;
  const auto at = [&](std::size_t block, std::size_t row, std::size_t column,
                      std::size_t component) {
    return ((block / across * side + row) * columns + block % across * side + column) * 3 +
           component;
  };
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t from = location.empty() ? i : location[i];
    std::vector<std::uint8_t> block;
    for (std::size_t row = 0; row < side; ++row)
      for (std::size_t column = 0; column < side; ++column)
        for (std::size_t c = 0; c < 3; ++c) block.push_back(plain[at(from, row, column, c)]);
    block = transform(from, std::move(block));
    auto value = block.begin();
    for (std::size_t row = 0; row < side; ++row)
      for (std::size_t column = 0; column < side; ++column)
        for (std::size_t c = 0; c < 3; ++c) cipher[at(i, row, column, c)] = *value++;
  }
}

/// SchemeSpec::make and reference of a scheme whose explicit key draw(options, key, height, width)
/// gives.
template <auto draw>
std::unique_ptr<Scheme> make_drawn(const SchemeOptions& options, const Key& key, int height,
                                   int width) {
  return make_scheme(draw(options, key, height, width), height, width);
}
template <auto draw>
void ref_drawn(const SchemeOptions& options, const Key& key, int height, int width,
               std::span<const std::uint8_t> plain, std::span<std::uint8_t> cipher) {
  ref_encrypt(draw(options, key, height, width), height, width, plain, cipher);
}

}  // namespace veilnet::cipher
