// The fast way of every scheme that moves nibbles or bytes inside blocks, moves blocks, and
// complements.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/cpu.h"

namespace veilnet::cipher {

/// How a picture's bytes are cut into tiles of `rows` runs of `row_bytes` bytes.
struct Tiling {
  std::uint32_t rows, row_bytes;
  std::uint32_t pitch;   ///< bytes from a tile's run to its next
  std::uint32_t across;  ///< tiles side by side
  std::uint32_t count;   ///< tiles in all

  /// Square blocks of a picture, its sides rounded up to multiples of block_size.
  static Tiling blocks(int height, int width, int block_size);
  /// Runs of 16 pixels, in order.
  static Tiling runs(std::uint32_t count) { return {4, 12, 12, 1, count}; }

  std::uint32_t tile_bytes() const { return rows * row_bytes; }
  /// Where each tile begins.
  std::vector<std::uint32_t> offsets() const;
};

/// Tile i of the result comes from tile location[i]: that tile XOR `before`, its nibbles permuted
/// so that nibble j is nibble source[j], XOR `after`. A tile's nibbles are its bytes' low halves in
/// order, then the high ones. The three tables are those of each tile of the result in turn, or one
/// for all tiles.
struct NibbleMap {
  std::vector<std::uint32_t> location;  ///< empty: tiles stay
  bool whole_bytes = false;             ///< byte j is byte source[j]
  std::vector<std::uint16_t> source;    ///< 2 tile_bytes a tile; tile_bytes where bytes stay whole
  std::vector<std::uint8_t> before;     ///< tile_bytes a tile; empty: nothing
  std::vector<std::uint8_t> after;      ///< likewise
};

/// The map that undoes a map of tiles of this size. `source` (of each tile) and `location` must be
/// permutations.
NibbleMap inverse(const NibbleMap& map, std::uint32_t tile_bytes);

/// A tile's sources and mask in the form that vector code reads. AVX2 does two tiles at once and
/// reads two tables as one: bytes 0 to 15 of the one and the other tile, then 16 to 31, then in the
/// second table 32 to 47.
struct alignas(64) TileTable {
  std::array<std::uint8_t, 64> low{}, high{};  ///< codes of what becomes the halves of each byte
  std::array<std::uint8_t, 64> mask{};
};

/// A NibbleMap made ready for pictures of one tiling.
class TileGather {
 public:
  /// AVX2 does tiles of 4 runs of 12 bytes (blocks of 4x4), AVX-512 those of up to 4 runs of up to
  /// 16 and 48 bytes in all; plain code the others, several times slower.
  TileGather(const Tiling& tiling, NibbleMap map, Simd level = simd_level());
  /// in and out must not overlap.
  void apply(const std::uint8_t* in, std::uint8_t* out) const;

  const NibbleMap& map() const { return map_; }

 private:
  void make_tables();
  void apply_plain(const std::uint8_t* in, std::uint8_t* out) const;

  Tiling tiling_;
  NibbleMap map_;
  Simd level_;
  std::vector<std::uint32_t> to_, from_;  ///< offsets by tile of the result
  bool shared_ = true;                    ///< one map for all tiles
  std::vector<TileTable> tables_;         ///< for vector code
  TileTable shape_;                       ///< for AVX-512
};

}  // namespace veilnet::cipher
