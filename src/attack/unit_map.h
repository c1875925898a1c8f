// What the exact breaks share: how far a scheme moves the units of a picture, which is public, and
// how pictures are opened once it is known where the units went. Internal to this folder.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "cipher/scheme.h"
#include "image/image.h"

namespace veilnet::attack {

/// How far a unit can move.
enum class Scope { Value, Pixel, Block, Picture };

/// The public part of a scheme, as a break sees it.
struct Moves {
  unsigned bits;  ///< of a unit: 4 or 8
  Scope scope;    ///< Block: alike in every block
};
Moves moves_of(const cipher::Structure& structure);

/// Sizes of plain and encrypted pictures, and where blocks lie in them.
struct Geometry {
  std::size_t height, width, side;

  std::size_t rows() const { return (height + side - 1) / side; }  ///< of blocks
  std::size_t columns() const { return (width + side - 1) / side; }
  std::size_t padded_height() const { return rows() * side; }
  std::size_t padded_width() const { return columns() * side; }
  std::size_t block_values() const { return 3 * side * side; }
  /// Index in the encrypted picture of value `index` of a block; with `row_width` the width of the
  /// plain picture, in that one.
  std::size_t value(std::size_t row, std::size_t column, std::size_t index,
                    std::size_t row_width) const {
    return 3 * ((row * side + index / (3 * side)) * row_width + column * side) + index % (3 * side);
  }
  /// Whether that value is in the plain picture as well.
  bool real(std::size_t row, std::size_t column, std::size_t index) const {
    return row * side + index / (3 * side) < height &&
           column * side + index % (3 * side) / 3 < width;
  }

  image::Image plain() const {
    return {static_cast<int>(height), static_cast<int>(width),
            std::vector<std::uint8_t>(3 * height * width)};
  }
  bool is_plain(const image::Image& image) const { return is_size(image, height, width); }
  bool is_cipher(const image::Image& image) const {
    return is_size(image, padded_height(), padded_width());
  }

 private:
  static bool is_size(const image::Image& image, std::size_t height, std::size_t width) {
    return image.height == static_cast<int>(height) && image.width == static_cast<int>(width) &&
           image.rgb.size() == 3 * height * width;
  }
};

/// The geometry of pictures whose key a break can recover.
/// @throws Error{InvalidArgument} for a scheme without a key, options or sides that are not
/// allowed, and pictures of more than 2^32 nibbles; Error{Unsupported} for etc as published.
Geometry breakable(const cipher::SchemeOptions& scheme, int height, int width);

/// @throws Error{BadData}, always.
[[noreturn]] void refuse_answers(const cipher::SchemeOptions& scheme);

/// A picture's units in order: its bytes, or its nibbles, the low one of a byte first.
template <class Bytes>
class Units {
 public:
  Units(Bytes& bytes, unsigned bits) : bytes_(bytes), bits_(bits) {}
  unsigned get(std::size_t i) const {
    return bits_ == 8 ? bytes_[i] : bytes_[i / 2] >> (4 * (i % 2)) & 15u;
  }
  /// Where the picture is 0.
  void set(std::size_t i, unsigned value) {
    bits_ == 8 ? bytes_[i] = static_cast<std::uint8_t>(value)
               : bytes_[i / 2] |= static_cast<std::uint8_t>(value << (4 * (i % 2)));
  }

 private:
  Bytes& bytes_;
  unsigned bits_;
};

/// Plain unit i is encrypted unit from[i] XOR mask[i].
struct UnitMap {
  static constexpr auto kUnknown = std::numeric_limits<std::uint32_t>::max();
  explicit UnitMap(std::size_t units) : from(units, kUnknown), mask(units) {}

  void set(std::size_t plain, std::size_t cipher, bool complemented) {
    from[plain] = static_cast<std::uint32_t>(cipher);
    mask[plain] = complemented ? 0xff : 0;
  }

  std::vector<std::uint32_t> from;
  std::vector<std::uint8_t> mask;
};

/// What FFX does: inverse[v] at the selected values of a block.
struct Substitution {
  std::vector<bool> selected;
  std::array<std::uint8_t, 256> inverse;
};

/// Encrypted picture to plain one. @throws Error{InvalidArgument} for pictures of another size.
using Decrypt = std::function<image::Image(const image::Image&)>;
Decrypt opener(const Geometry& geometry, unsigned bits, UnitMap map);
Decrypt opener(const Geometry& geometry, Substitution key);

}  // namespace veilnet::attack
