// The fast way of every scheme that moves nibbles or bytes inside blocks, moves blocks, and
// complements.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

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
  std::uint32_t offset(std::uint32_t tile) const {
    return tile / across * rows * pitch + tile % across * row_bytes;
  }
};

/// out nibble j of tile i = (nibble source[j] of tile location[i]) XOR mask. A tile's nibbles are
/// its bytes' low halves in order, then the high ones. `source` and `mask` are those of output tile
/// i, or the same for all tiles.
struct NibbleMap {
  std::vector<std::uint32_t> location;  ///< by output tile; empty: tiles stay
  std::vector<std::uint16_t> source;    ///< 2 tile_bytes a tile
  std::vector<std::uint8_t> mask;       ///< tile_bytes a tile
};

/// The map that undoes a map of tiles of this size. `source` (of each tile) and `location` must be
/// permutations.
NibbleMap inverse(const NibbleMap& map, std::uint32_t tile_bytes);

/// Whether this processor has the instructions of the fast way (AVX-512 VBMI).
bool has_vbmi();

/// A NibbleMap made ready for pictures of one tiling.
class TileGather {
 public:
  /// Without `vbmi`, and for tiles above 4 runs of 16 bytes, plain code does it. The map must
  /// outlive this.
  TileGather(const Tiling& tiling, const NibbleMap& map, bool vbmi = has_vbmi());
  /// in and out must not overlap.
  void apply(const std::uint8_t* in, std::uint8_t* out) const;

 private:
  void apply_plain(const std::uint8_t* in, std::uint8_t* out) const;
  void apply_vbmi(const std::uint8_t* in, std::uint8_t* out) const;

  Tiling tiling_;
  const NibbleMap& map_;
  bool shared_;
  std::vector<std::uint32_t> from_, to_;  ///< offsets by output tile
  /// For apply_vbmi: sources of a tile's low nibbles, of the high ones, and the mask, run r from
  /// byte 16 r on. Aligned, as loads across cache lines cost half of the speed.
  struct alignas(64) Table {
    std::array<std::uint8_t, 64> low{}, high{}, mask{};
  };
  std::vector<Table> tables_;
};

}  // namespace veilnet::cipher
