#include "attack/unit_map.h"

#include <string>

#include "core/error.h"

namespace veilnet::attack {

namespace {

void check_cipher(const Geometry& geometry, const image::Image& image) {
  if (geometry.is_cipher(image)) return;
  throw Error(ErrorCode::InvalidArgument,
              "the encrypted picture is " + std::to_string(image.height) + "x" +
                  std::to_string(image.width) + "; what was recovered opens those of " +
                  std::to_string(geometry.padded_height()) + "x" +
                  std::to_string(geometry.padded_width()));
}

}  // namespace

Moves moves_of(const cipher::Structure& structure) {
  using Order = cipher::Structure::Order;
  const auto scope = structure.moves_blocks            ? Scope::Picture
                     : structure.order == Order::Kept  ? Scope::Value
                     : structure.order == Order::Pixel ? Scope::Pixel
                                                       : Scope::Block;
  return {static_cast<unsigned>(structure.unit_bits), scope};
}

Geometry breakable(const cipher::SchemeOptions& scheme, int height, int width) {
  const auto& spec = cipher::scheme_spec(scheme.id);
  if (!spec.keyed())
    fail(ErrorCode::InvalidArgument, "scheme \"{}\" has no key; a break recovers one", scheme.id);
  if (cipher::structure_of(scheme).loses_data)
    fail(ErrorCode::Unsupported, "{} loses data; what it made cannot be decrypted",
         cipher::describe(scheme));
  const int side = spec.blocks ? scheme.block_size : 1;
  cipher::check_geometry(height, width, side);
  const Geometry geometry{static_cast<std::size_t>(height), static_cast<std::size_t>(width),
                          static_cast<std::size_t>(side)};
  if (6 * geometry.padded_height() * geometry.padded_width() >= UnitMap::kUnknown) {
    throw Error(ErrorCode::InvalidArgument,
                "a picture of " + std::to_string(height) + "x" + std::to_string(width) +
                    " has more than the 2^32 nibbles that a break can number");
  }
  return geometry;
}

void refuse_answers(const cipher::SchemeOptions& scheme) {
  throw Error(ErrorCode::BadData, "the encrypted pictures are not those of scheme \"" + scheme.id +
                                      "\" with the given block size and options under one key");
}

Decrypt opener(const Geometry& geometry, unsigned bits, UnitMap map) {
  return [geometry, bits, map = std::move(map)](const image::Image& cipher) {
    check_cipher(geometry, cipher);
    auto plain = geometry.plain();
    Units out(plain.rgb, bits);
    const Units in(cipher.rgb, bits);
    for (std::size_t i = 0; i < map.from.size(); ++i)
      out.set(i, (in.get(map.from[i]) ^ map.mask[i]) & ((1u << bits) - 1));
    return plain;
  };
}

Decrypt opener(const Geometry& geometry, Substitution key) {
  return [geometry, key = std::move(key)](const image::Image& cipher) {
    check_cipher(geometry, cipher);
    auto plain = geometry.plain();
    for (std::size_t row = 0; row < geometry.rows(); ++row)
      for (std::size_t column = 0; column < geometry.columns(); ++column)
        for (std::size_t i = 0; i < key.selected.size(); ++i) {
          if (!geometry.real(row, column, i)) continue;
          const auto value = cipher.rgb[geometry.value(row, column, i, geometry.padded_width())];
          plain.rgb[geometry.value(row, column, i, geometry.width)] =
              key.selected[i] ? key.inverse[value] : value;
        }
    return plain;
  };
}

}  // namespace veilnet::attack
