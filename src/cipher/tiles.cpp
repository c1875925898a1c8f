#include "cipher/tiles.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace veilnet::cipher {

Tiling Tiling::blocks(int height, int width, int block_size) {
  const auto side = static_cast<std::uint32_t>(block_size);
  const auto along = [&](int pixels) {
    return (static_cast<std::uint32_t>(pixels) + side - 1) / side;
  };
  const auto across = along(width);
  return {side, 3 * side, 3 * side * across, across, along(height) * across};
}

NibbleMap inverse(const NibbleMap& map, std::uint32_t tile_bytes) {
  const std::size_t nibbles = 2 * std::size_t{tile_bytes}, tables = map.source.size() / nibbles;
  NibbleMap undo;
  undo.location.resize(map.location.size());
  for (std::uint32_t i = 0; i < map.location.size(); ++i) undo.location[map.location[i]] = i;
  undo.source.resize(map.source.size());
  undo.mask.resize(map.mask.size());
  for (std::size_t i = 0; i < tables; ++i) {
    const std::size_t to = tables > 1 && !map.location.empty() ? map.location[i] : i;
    const auto* source = &map.source[i * nibbles];
    const auto* mask = &map.mask[i * tile_bytes];
    auto* undo_source = &undo.source[to * nibbles];
    auto* undo_mask = &undo.mask[to * tile_bytes];
    for (std::uint32_t j = 0; j < tile_bytes; ++j) {
      const auto place = [&](std::uint32_t nibble, int bits) {
        const auto origin = source[nibble];
        undo_source[origin] = static_cast<std::uint16_t>(nibble);
        undo_mask[origin % tile_bytes] |=
            static_cast<std::uint8_t>(origin < tile_bytes ? bits : bits << 4);
      };
      place(j, mask[j] & 15);
      place(j + tile_bytes, mask[j] >> 4);
    }
  }
  return undo;
}

bool has_vbmi() {
#if defined(__x86_64__)
  static const bool has =
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
  return has;
#else
  return false;
#endif
}

namespace {

constexpr std::uint32_t kLane = 16,
                        kLanes = 64;  // bytes of a run's place in a vector, and of a vector

}  // namespace

TileGather::TileGather(const Tiling& tiling, const NibbleMap& map, bool vbmi)
    : tiling_(tiling),
      map_(map),
      shared_(map.mask.size() == tiling.tile_bytes()),
      from_(tiling.count),
      to_(tiling.count) {
  for (std::uint32_t i = 0; i < tiling.count; ++i) {
    to_[i] = tiling.offset(i);
    from_[i] = map.location.empty() ? to_[i] : tiling.offset(map.location[i]);
  }
  if (!vbmi || tiling.rows > 4 || tiling.row_bytes > kLane) return;

  // Nibble j of a tile lies at place[j]: the low halves in the first vector, the high ones in the
  // second.
  const auto bytes = tiling.tile_bytes();
  std::array<std::uint8_t, 2 * kLanes> place{};
  for (std::uint32_t j = 0; j < bytes; ++j) {
    place[j] = static_cast<std::uint8_t>(j / tiling.row_bytes * kLane + j % tiling.row_bytes);
    place[bytes + j] = static_cast<std::uint8_t>(kLanes + place[j]);
  }
  const std::size_t tables = map.mask.size() / bytes;
  tables_.resize(tables);
  for (std::size_t i = 0; i < tables; ++i) {
    const auto* source = &map.source[i * 2 * bytes];
    const auto* mask = &map.mask[i * bytes];
    for (std::uint32_t j = 0; j < bytes; ++j) {
      tables_[i].low[place[j]] = place[source[j]];
      tables_[i].high[place[j]] = place[source[bytes + j]];
      tables_[i].mask[place[j]] = mask[j];
    }
  }
}

void TileGather::apply(const std::uint8_t* in, std::uint8_t* out) const {
  if (tables_.empty()) {
    apply_plain(in, out);
  } else {
    apply_vbmi(in, out);
  }
}

void TileGather::apply_plain(const std::uint8_t* in, std::uint8_t* out) const {
  const auto bytes = tiling_.tile_bytes();
  std::vector<std::uint8_t> nibbles(2 * std::size_t{bytes});
  for (std::uint32_t i = 0; i < tiling_.count; ++i) {
    const std::size_t table = shared_ ? 0 : i;
    const auto* source = &map_.source[table * 2 * bytes];
    const auto* mask = &map_.mask[table * bytes];
    std::uint32_t j = 0;
    for (std::uint32_t row = 0; row < tiling_.rows; ++row) {
      const auto* run = in + from_[i] + std::size_t{row} * tiling_.pitch;
      for (std::uint32_t column = 0; column < tiling_.row_bytes; ++column, ++j) {
        nibbles[j] = run[column] & 15;
        nibbles[bytes + j] = run[column] >> 4;
      }
    }
    j = 0;
    for (std::uint32_t row = 0; row < tiling_.rows; ++row) {
      auto* run = out + to_[i] + std::size_t{row} * tiling_.pitch;
      for (std::uint32_t column = 0; column < tiling_.row_bytes; ++column, ++j)
        run[column] = static_cast<std::uint8_t>(
            (nibbles[source[j]] | nibbles[source[bytes + j]] << 4) ^ mask[j]);
    }
  }
}

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC bug 105593, in its own header
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi"))) void TileGather::apply_vbmi(
    const std::uint8_t* in, std::uint8_t* out) const {
  // A run's bytes; loads and stores never touch those beyond, and none for a tile of fewer runs.
  const auto run = static_cast<__mmask16>((1u << tiling_.row_bytes) - 1);
  const auto run_if = [&](std::uint32_t row) { return row < tiling_.rows ? run : __mmask16{0}; };
  const __mmask16 run1 = run_if(1), run2 = run_if(2), run3 = run_if(3);
  const std::size_t pitch = tiling_.pitch, step = shared_ ? 0 : 1;
  const __m512i low_half = _mm512_set1_epi8(15);
  const Table* table = tables_.data();
  for (std::uint32_t i = 0; i < tiling_.count; ++i, table += step) {
    const auto* from = in + from_[i];
    __m512i tile = _mm512_castsi128_si512(_mm_maskz_loadu_epi8(run, from));
    tile = _mm512_inserti32x4(tile, _mm_maskz_loadu_epi8(run1, from + pitch), 1);
    tile = _mm512_inserti32x4(tile, _mm_maskz_loadu_epi8(run2, from + 2 * pitch), 2);
    tile = _mm512_inserti32x4(tile, _mm_maskz_loadu_epi8(run3, from + 3 * pitch), 3);

    const __m512i low = _mm512_and_si512(tile, low_half);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(tile, 4), low_half);
    const __m512i new_low =
        _mm512_permutex2var_epi8(low, _mm512_load_si512(table->low.data()), high);
    const __m512i new_high =
        _mm512_permutex2var_epi8(low, _mm512_load_si512(table->high.data()), high);
    // New nibbles are below 16, so the shift carries nothing into the neighbouring byte.
    tile = _mm512_xor_si512(_mm512_or_si512(new_low, _mm512_slli_epi16(new_high, 4)),
                            _mm512_load_si512(table->mask.data()));

    auto* to = out + to_[i];
    _mm_mask_storeu_epi8(to, run, _mm512_castsi512_si128(tile));
    _mm_mask_storeu_epi8(to + pitch, run1, _mm512_extracti32x4_epi32(tile, 1));
    _mm_mask_storeu_epi8(to + 2 * pitch, run2, _mm512_extracti32x4_epi32(tile, 2));
    _mm_mask_storeu_epi8(to + 3 * pitch, run3, _mm512_extracti32x4_epi32(tile, 3));
  }
}
#pragma GCC diagnostic pop
#else
void TileGather::apply_vbmi(const std::uint8_t* in, std::uint8_t* out) const {
  apply_plain(in, out);
}
#endif

}  // namespace veilnet::cipher
