#include "cipher/tiles.h"

#include <algorithm>
#include <cstring>
#include <span>

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

std::vector<std::uint32_t> Tiling::offsets() const {
  std::vector<std::uint32_t> offsets(count);
  std::uint32_t column = 0, begin = 0;
  for (auto& offset : offsets) {
    offset = begin + column * row_bytes;
    if (++column == across) {
      column = 0;
      begin += rows * pitch;
    }
  }
  return offsets;
}

NibbleMap inverse(const NibbleMap& map, std::uint32_t tile_bytes) {
  const std::size_t entries = tile_bytes * std::size_t{map.whole_bytes ? 1u : 2u};
  const auto tables = map.source.size() / entries;
  NibbleMap undo;
  undo.whole_bytes = map.whole_bytes;
  undo.location.resize(map.location.size());
  for (std::uint32_t i = 0; i < map.location.size(); ++i) undo.location[map.location[i]] = i;
  undo.source.resize(map.source.size());
  undo.before.resize(map.after.size());
  undo.after.resize(map.before.size());
  for (std::size_t i = 0; i < tables; ++i) {
    const std::size_t to = tables > 1 && !map.location.empty() ? map.location[i] : i;
    const auto* source = &map.source[i * entries];
    auto* undo_source = &undo.source[to * entries];
    for (std::size_t j = 0; j < entries; ++j)
      undo_source[source[j]] = static_cast<std::uint16_t>(j);
    const auto move = [&](const std::vector<std::uint8_t>& mask,
                          std::vector<std::uint8_t>& target) {
      if (!mask.empty()) std::copy_n(&mask[i * tile_bytes], tile_bytes, &target[to * tile_bytes]);
    };
    move(map.after, undo.before);
    move(map.before, undo.after);
  }
  return undo;
}

namespace {

using Part = std::array<std::uint8_t, 64>;

/// What a kernel works on.
struct Pass {
  const Tiling& tiling;
  const std::uint32_t *from, *to;
  const TileTable* tables;
  bool shared;  ///< one table for all tiles
  bool whole_bytes;
  const TileTable& shape;
};

// Codes of bytes and halves of bytes: `high` where a low half comes from a high one or the other
// way round.

/// vpshufb picks a byte of a lane of 16, or gives 0 where a code's top bit is set. The upper four
/// bits of a code are 2, 8 and 14 for the lanes 0, 1 and 2, so that after adding 0, 0xa0 and 0x60
/// just the codes of the one lane have no top bit; `high` is the lowest of the four.
constexpr unsigned kAvx2Lanes[] = {0, 0xa0, 0x60};
constexpr std::uint16_t avx2_code(std::uint16_t byte, std::uint16_t high) {
  return static_cast<std::uint16_t>((byte & 15) + (byte >> 4) * 0x60 + 0x20 + (high << 4));
}
/// vpermi2b picks a byte of 128: 64 low halves, then 64 high ones.
constexpr std::uint16_t vbmi_code(std::uint16_t byte, std::uint16_t high) {
  return static_cast<std::uint16_t>(byte + (high << 6));
}

/// Writes the 48 bytes of a tile's part, of which a small tile needs fewer.
void put(Simd level, std::vector<TileTable>& tables, Part TileTable::*part, std::size_t tile,
         const Part& values) {
  for (std::size_t r = 0; r < 3; ++r) {
    auto* to = level == Simd::Avx2
                   ? &(tables[tile / 2 * 2 + r / 2].*part)[r % 2 * 32 + tile % 2 * 16]
                   : &(tables[tile].*part)[16 * r];
    std::copy_n(&values[16 * r], 16, to);
  }
}

template <auto code>
Part encode(std::span<const std::uint16_t> sources, std::size_t bytes) {
  // 16-bit throughout, so that the compiler makes vector code of it.
  const auto half = static_cast<std::uint16_t>(bytes);
  const std::uint16_t* __restrict source = sources.data();
  Part codes{};
  for (std::size_t j = 0; j < bytes; ++j) {
    const std::uint16_t high = source[j] >= half;
    const auto byte = static_cast<std::uint16_t>(source[j] - (high ? half : 0));
    codes[j] = static_cast<std::uint8_t>(code(byte, high));
  }
  return codes;
}

/// Where the bytes of a tile of runs at every 16th byte stand in one without gaps (`high`), and the
/// other way round (`low`).
TileTable shape_of(const Tiling& tiling) {
  TileTable shape;
  std::uint8_t j = 0;
  for (std::uint32_t row = 0; row < tiling.rows; ++row) {
    for (std::uint32_t column = 0; column < tiling.row_bytes; ++column, ++j) {
      shape.low[j] = static_cast<std::uint8_t>(16 * row + column);
      shape.high[16 * row + column] = j;
    }
  }
  return shape;
}

#if defined(__x86_64__)

#define VEILNET_AVX2 __attribute__((target("avx2")))

struct Lanes {
  __m256i lane[3];  ///< 48 bytes of one tile in the lower halves, of another in the upper ones
};

VEILNET_AVX2 inline __m256i load_two(const std::uint8_t* first, const std::uint8_t* second) {
  const auto half = [](const std::uint8_t* at) VEILNET_AVX2 {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  };
  return _mm256_inserti128_si256(_mm256_castsi128_si256(half(first)), half(second), 1);
}

/// Two tiles of 4 runs of 12 bytes, without gaps. Each load of 16 bytes lies in its tile's rows.
VEILNET_AVX2 inline Lanes load_tiles(const std::uint8_t* a, const std::uint8_t* b,
                                     std::size_t pitch) {
  const auto at = [&](std::size_t offset) VEILNET_AVX2 { return load_two(a + offset, b + offset); };
  return {{_mm256_blend_epi32(at(0), at(pitch - 12), 0x88),
           _mm256_blend_epi32(at(pitch + 4), at(2 * pitch - 8), 0xcc),
           _mm256_blend_epi32(at(2 * pitch + 8), at(3 * pitch - 4), 0xee)}};
}

/// `wide`: the four bytes after each run are written later and may be spoilt.
VEILNET_AVX2 inline void store_tile(std::uint8_t* out, std::size_t pitch, const __m128i runs[4],
                                    bool wide) {
  for (std::size_t row = 0; row < 4; ++row) {
    auto* to = out + row * pitch;
    if (wide) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), runs[row]);
    } else {
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to), runs[row]);
      const int last = _mm_extract_epi32(runs[row], 2);
      std::memcpy(to + 8, &last, 4);
    }
  }
}

/// What makes 16 bytes of two tiles, ready to be used.
struct Codes {
  __m256i low[3], high[3];      ///< by lane
  __m256i low_tops, high_tops;  ///< top bit: comes from a high half
  __m256i mask;
};

template <bool whole_bytes>
VEILNET_AVX2 inline Codes read_codes(const TileTable* pair, std::size_t r) {
  const auto read = [&](const Part TileTable::*part) VEILNET_AVX2 {
    const auto* at = &(pair[r / 2].*part)[r % 2 * 32];
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(at));
  };
  const auto spread = [](__m256i codes, __m256i of[3], __m256i& tops) VEILNET_AVX2 {
    for (int i = 0; i < 3; ++i)
      of[i] = _mm256_add_epi8(codes, _mm256_set1_epi8(static_cast<char>(kAvx2Lanes[i])));
    tops = _mm256_slli_epi16(codes, 3);
  };
  Codes codes;
  spread(read(&TileTable::low), codes.low, codes.low_tops);
  if constexpr (!whole_bytes) spread(read(&TileTable::high), codes.high, codes.high_tops);
  codes.mask = read(&TileTable::mask);
  return codes;
}

template <bool whole_bytes>
VEILNET_AVX2 inline __m256i translate(const Lanes& tiles, const Codes& codes) {
  const auto pick = [&](const __m256i of[3]) VEILNET_AVX2 {
    return _mm256_or_si256(_mm256_or_si256(_mm256_shuffle_epi8(tiles.lane[0], of[0]),
                                           _mm256_shuffle_epi8(tiles.lane[1], of[1])),
                           _mm256_shuffle_epi8(tiles.lane[2], of[2]));
  };
  auto value = pick(codes.low);
  if constexpr (!whole_bytes) {
    // A half that has to change sides is shifted there; what else the shift brings is cut off.
    auto high = pick(codes.high);
    value = _mm256_blendv_epi8(value, _mm256_srli_epi16(value, 4), codes.low_tops);
    high = _mm256_blendv_epi8(_mm256_slli_epi16(high, 4), high, codes.high_tops);
    const auto low_half = _mm256_set1_epi8(15);
    value = _mm256_or_si256(_mm256_and_si256(value, low_half), _mm256_andnot_si256(low_half, high));
  }
  return _mm256_xor_si256(value, codes.mask);
}

template <bool whole_bytes, bool shared>
VEILNET_AVX2 void run_avx2(const Pass& pass, const std::uint8_t* in, std::uint8_t* out) {
  // Copies, as the compiler has to suppose that what is written to `out` changes the originals.
  const std::uint32_t *const from = pass.from, *const to = pass.to;
  const auto* const tables = pass.tables;
  const std::size_t pitch = pass.tiling.pitch, count = pass.tiling.count,
                    across = pass.tiling.across;
  const bool contiguous = pitch == pass.tiling.row_bytes;
  std::size_t column = 0;
  const auto is_wide = [&](std::size_t tile) {
    if (++column == across) column = 0;
    return contiguous ? tile + 1 < count : column != 0;
  };
  Codes common[3];
  if constexpr (shared)
    for (std::size_t r = 0; r < 3; ++r) common[r] = read_codes<whole_bytes>(tables, r);
  for (std::size_t i = 0; i < count; i += 2) {
    const std::size_t k = std::min(i + 1, count - 1);  // of an odd number the last has no other
    const auto tiles = load_tiles(in + from[i], in + from[k], pitch);
    __m256i lane[3];
    for (std::size_t r = 0; r < 3; ++r) {
      if constexpr (shared) {
        lane[r] = translate<whole_bytes>(tiles, common[r]);
      } else {
        lane[r] = translate<whole_bytes>(tiles, read_codes<whole_bytes>(tables + i, r));
      }
    }
    const __m256i runs[] = {lane[0], _mm256_alignr_epi8(lane[1], lane[0], 12),
                            _mm256_alignr_epi8(lane[2], lane[1], 8), _mm256_srli_si256(lane[2], 4)};
    __m128i of_first[4], of_second[4];
    for (std::size_t row = 0; row < 4; ++row) {
      of_first[row] = _mm256_castsi256_si128(runs[row]);
      of_second[row] = _mm256_extracti128_si256(runs[row], 1);
    }
    store_tile(out + to[i], pitch, of_first, is_wide(i));
    if (k != i) store_tile(out + to[k], pitch, of_second, is_wide(k));
  }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC bug 105593, in its own header
template <bool whole_bytes>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi"))) void run_vbmi(
    const Pass& pass, const std::uint8_t* in, std::uint8_t* out) {
  const Tiling tiling = pass.tiling;
  // A run's bytes; loads and stores never touch those beyond, and none for a tile of fewer runs.
  const auto run = static_cast<__mmask16>((1u << tiling.row_bytes) - 1);
  const auto run_if = [&](std::uint32_t row) { return row < tiling.rows ? run : __mmask16{0}; };
  const __mmask16 run1 = run_if(1), run2 = run_if(2), run3 = run_if(3);
  // Runs begin at every 16th byte of a vector; a tile has no gaps.
  const __m512i pack = _mm512_load_si512(pass.shape.low.data()),
                spread = _mm512_load_si512(pass.shape.high.data());
  const __m512i low_half = _mm512_set1_epi8(15);
  const std::uint32_t *const from_offsets = pass.from, *const to_offsets = pass.to;
  const std::size_t pitch = tiling.pitch, step = pass.shared ? 0 : 1;
  const auto* table = pass.tables;
  for (std::uint32_t i = 0; i < tiling.count; ++i, table += step) {
    const auto* from = in + from_offsets[i];
    __m512i tile = _mm512_castsi128_si512(_mm_maskz_loadu_epi8(run, from));
    tile = _mm512_inserti32x4(tile, _mm_maskz_loadu_epi8(run1, from + pitch), 1);
    tile = _mm512_inserti32x4(tile, _mm_maskz_loadu_epi8(run2, from + 2 * pitch), 2);
    tile = _mm512_inserti32x4(tile, _mm_maskz_loadu_epi8(run3, from + 3 * pitch), 3);
    tile = _mm512_permutexvar_epi8(pack, tile);

    if constexpr (whole_bytes) {
      tile = _mm512_permutexvar_epi8(_mm512_load_si512(table->low.data()), tile);
    } else {
      const __m512i low = _mm512_and_si512(tile, low_half);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(tile, 4), low_half);
      const __m512i new_low =
          _mm512_permutex2var_epi8(low, _mm512_load_si512(table->low.data()), high);
      const __m512i new_high =
          _mm512_permutex2var_epi8(low, _mm512_load_si512(table->high.data()), high);
      // New nibbles are below 16, so the shift carries nothing into the neighbouring byte.
      tile = _mm512_or_si512(new_low, _mm512_slli_epi16(new_high, 4));
    }
    tile = _mm512_xor_si512(tile, _mm512_load_si512(table->mask.data()));
    tile = _mm512_permutexvar_epi8(spread, tile);

    auto* to = out + to_offsets[i];
    _mm_mask_storeu_epi8(to, run, _mm512_castsi512_si128(tile));
    _mm_mask_storeu_epi8(to + pitch, run1, _mm512_extracti32x4_epi32(tile, 1));
    _mm_mask_storeu_epi8(to + 2 * pitch, run2, _mm512_extracti32x4_epi32(tile, 2));
    _mm_mask_storeu_epi8(to + 3 * pitch, run3, _mm512_extracti32x4_epi32(tile, 3));
  }
}
#pragma GCC diagnostic pop

void run(Simd level, const Pass& pass, const std::uint8_t* in, std::uint8_t* out) {
  if (level == Simd::Avx2) {
    (pass.whole_bytes ? pass.shared ? run_avx2<true, true> : run_avx2<true, false>
     : pass.shared ? run_avx2<false, true>
                      : run_avx2<false, false>)(pass, in, out);
  } else {
    (pass.whole_bytes ? run_vbmi<true> : run_vbmi<false>)(pass, in, out);
  }
}

/// The widest level up to this one that does tiles of this shape.
Simd level_for(const Tiling& tiling, Simd level) {
  if (level == Simd::Avx512Vbmi &&
      (tiling.rows > 4 || tiling.row_bytes > 16 || tiling.tile_bytes() > 48))
    level = Simd::Avx2;
  if (level == Simd::Avx2 && (tiling.rows != 4 || tiling.row_bytes != 12)) level = Simd::Plain;
  return level;
}

#else

void run(Simd, const Pass&, const std::uint8_t*, std::uint8_t*) {}
Simd level_for(const Tiling&, Simd) { return Simd::Plain; }

#endif

}  // namespace

TileGather::TileGather(const Tiling& tiling, NibbleMap map, Simd level)
    : tiling_(tiling),
      map_(std::move(map)),
      level_(level_for(tiling, level)),
      to_(tiling.offsets()),
      from_(to_) {
  for (std::size_t i = 0; i < map_.location.size(); ++i) from_[i] = to_[map_.location[i]];
  if (level_ == Simd::Plain) return;

  shape_ = shape_of(tiling_);
  make_tables();
}

void TileGather::make_tables() {
  const std::size_t bytes = tiling_.tile_bytes(), entries = map_.whole_bytes ? bytes : 2 * bytes;
  const auto maps = static_cast<std::uint32_t>(map_.source.size() / entries);
  shared_ = maps == 1;
  // The pairs of AVX2: a map that all share stands twice, one without neighbour beside zeros.
  tables_.resize(level_ == Simd::Avx2 ? (maps + 1) / 2 * 2 : maps);
  const auto put_map = [&](Part TileTable::*part, std::size_t i, const Part& values) {
    put(level_, tables_, part, i, values);
    if (shared_ && level_ == Simd::Avx2) put(level_, tables_, part, 1, values);
  };
  const auto put_masks = [&](const std::vector<std::uint8_t>& masks) {
    for (std::size_t i = 0; i < maps && !masks.empty(); ++i) {
      Part mask{};
      std::copy_n(&masks[i * bytes], bytes, mask.data());
      put_map(&TileTable::mask, i, mask);
    }
  };
  const auto codes = level_ == Simd::Avx2 ? encode<avx2_code> : encode<vbmi_code>;
  const std::span sources(map_.source);
  for (std::size_t i = 0; i < maps; ++i) {
    put_map(&TileTable::low, i, codes(sources.subspan(i * entries, bytes), bytes));
    if (!map_.whole_bytes)
      put_map(&TileTable::high, i, codes(sources.subspan(i * entries + bytes, bytes), bytes));
  }
  put_masks(map_.after);
  if (map_.before.empty()) return;
  // One mask instead of two: what becomes of `before` itself. It lies there tile by tile.
  const Tiling in_turn{tiling_.rows, tiling_.row_bytes, tiling_.row_bytes, 1, maps};
  const auto places = in_turn.offsets();
  std::vector<std::uint8_t> masks(map_.before.size());
  run(level_,
      {in_turn, places.data(), places.data(), tables_.data(), shared_, map_.whole_bytes, shape_},
      map_.before.data(), masks.data());
  put_masks(masks);
}

void TileGather::apply(const std::uint8_t* in, std::uint8_t* out) const {
  if (level_ == Simd::Plain) return apply_plain(in, out);
  // Tiles that are read out of order come slowly from beyond the first cache.
  constexpr std::size_t kLine = 64, kFits = 24 << 10;
  const std::size_t size = std::size_t{tiling_.count} * tiling_.tile_bytes();
  if (!map_.location.empty() && size <= kFits)
    for (std::size_t at = 0; at < size; at += kLine) __builtin_prefetch(in + at);
  run(level_,
      {tiling_, from_.data(), to_.data(), tables_.data(), shared_, map_.whole_bytes, shape_}, in,
      out);
}

void TileGather::apply_plain(const std::uint8_t* in, std::uint8_t* out) const {
  const std::size_t bytes = tiling_.tile_bytes(), entries = map_.whole_bytes ? bytes : 2 * bytes;
  const bool shared = map_.source.size() == entries;
  // The tile, then, unless its bytes stay whole, its low and its high halves.
  std::vector<std::uint8_t> buffer(3 * bytes);
  auto *const tile = buffer.data(), *const nibbles = tile + bytes;
  for (std::uint32_t i = 0; i < tiling_.count; ++i) {
    const std::size_t table = shared ? 0 : i;
    for (std::uint32_t row = 0; row < tiling_.rows; ++row)
      std::copy_n(in + from_[i] + std::size_t{row} * tiling_.pitch, tiling_.row_bytes,
                  tile + std::size_t{row} * tiling_.row_bytes);
    if (!map_.before.empty())
      for (std::size_t j = 0; j < bytes; ++j) tile[j] ^= map_.before[table * bytes + j];
    const auto* source = &map_.source[table * entries];
    const auto* after = map_.after.empty() ? nullptr : &map_.after[table * bytes];
    if (!map_.whole_bytes) {
      for (std::size_t j = 0; j < bytes; ++j) {
        nibbles[j] = tile[j] & 15;
        nibbles[bytes + j] = tile[j] >> 4;
      }
    }
    std::size_t j = 0;
    for (std::uint32_t row = 0; row < tiling_.rows; ++row) {
      auto* to = out + to_[i] + std::size_t{row} * tiling_.pitch;
      for (std::uint32_t column = 0; column < tiling_.row_bytes; ++column, ++j) {
        const unsigned value = map_.whole_bytes
                                   ? tile[source[j]]
                                   : nibbles[source[j]] | nibbles[source[bytes + j]] << 4;
        to[column] = static_cast<std::uint8_t>(value ^ (after ? after[j] : 0));
      }
    }
  }
}

}  // namespace veilnet::cipher
