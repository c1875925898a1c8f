#include "cipher/tiles.h"

#include <algorithm>
#include <cstring>

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

/// What a kernel works on.
struct Pass {
  const Tiling& tiling;
  const std::uint32_t *from, *to;
  const TileTable* tables;
  std::size_t step;  ///< tables from a tile to the next: 1, or 0 where all share one
  bool whole_bytes;
};

#if defined(__x86_64__)

// Codes of bytes and halves of bytes: `high` where a low half comes from a high one or the other
// way round.

/// vpshufb picks a byte of a lane of 16, or gives 0 where a code's top bit is set. The upper four
/// bits of a code are 2, 8 and 14 for the lanes 0, 1 and 2, so that after adding 0, 0xa0 and 0x60
/// just the codes of the one lane have no top bit; `high` is the lowest of the four.
constexpr unsigned kAvx2Lanes[] = {0, 0xa0, 0x60};
constexpr unsigned avx2_code(unsigned byte, unsigned high) {
  return (byte & 15) + (byte >> 4) * 0x60 + 0x20 + high * 0x10;
}
/// vpermi2b picks a byte of 128: 64 low halves, then 64 high ones.
constexpr unsigned vbmi_code(unsigned byte, unsigned high) { return byte + high * 64; }

template <auto code>
void encode(const NibbleMap& map, std::uint32_t bytes, std::vector<TileTable>& tables) {
  const std::size_t entries = bytes * std::size_t{map.whole_bytes ? 1u : 2u};
  const auto put = [&](const std::uint16_t* source, std::uint8_t* codes) {
    for (std::uint32_t j = 0; j < bytes; ++j) {
      const unsigned high = source[j] >= bytes;
      codes[j] = static_cast<std::uint8_t>(code(source[j] - (high ? bytes : 0), high));
    }
  };
  for (std::size_t i = 0; i < tables.size(); ++i) {
    put(&map.source[i * entries], tables[i].low.data());
    if (!map.whole_bytes) put(&map.source[i * entries + bytes], tables[i].high.data());
    if (!map.after.empty()) std::copy_n(&map.after[i * bytes], bytes, tables[i].mask.data());
  }
}

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

VEILNET_AVX2 inline __m256i pick(const Lanes& tiles, __m256i codes) {
  const auto of = [&](int i) VEILNET_AVX2 {
    const auto offset = _mm256_set1_epi8(static_cast<char>(kAvx2Lanes[i]));
    return _mm256_shuffle_epi8(tiles.lane[i], i == 0 ? codes : _mm256_add_epi8(codes, offset));
  };
  return _mm256_or_si256(_mm256_or_si256(of(0), of(1)), of(2));
}

template <bool whole_bytes>
VEILNET_AVX2 void run_avx2(const Pass& pass, const std::uint8_t* in, std::uint8_t* out) {
  const std::size_t pitch = pass.tiling.pitch, count = pass.tiling.count;
  const bool contiguous = pitch == pass.tiling.row_bytes;
  const auto low_half = _mm256_set1_epi8(15);
  std::size_t column = 0;
  const auto is_wide = [&](std::size_t tile) {
    if (++column == pass.tiling.across) column = 0;
    return contiguous ? tile + 1 < count : column != 0;
  };
  for (std::size_t i = 0; i < count; i += 2) {
    const std::size_t k = std::min(i + 1, count - 1);  // of an odd number the last has no other
    const auto tiles = load_tiles(in + pass.from[i], in + pass.from[k], pitch);
    const auto *first = pass.tables + i * pass.step, *second = pass.tables + k * pass.step;
    Lanes result;
    for (std::size_t r = 0; r < 3; ++r) {
      const auto codes = load_two(&first->low[16 * r], &second->low[16 * r]);
      auto value = pick(tiles, codes);
      if constexpr (!whole_bytes) {
        // A half that has to change sides is shifted there; what else the shift brings is cut off.
        const auto high_codes = load_two(&first->high[16 * r], &second->high[16 * r]);
        auto high = pick(tiles, high_codes);
        value = _mm256_blendv_epi8(value, _mm256_srli_epi16(value, 4), _mm256_slli_epi16(codes, 3));
        high =
            _mm256_blendv_epi8(_mm256_slli_epi16(high, 4), high, _mm256_slli_epi16(high_codes, 3));
        value =
            _mm256_or_si256(_mm256_and_si256(value, low_half), _mm256_andnot_si256(low_half, high));
      }
      result.lane[r] =
          _mm256_xor_si256(value, load_two(&first->mask[16 * r], &second->mask[16 * r]));
    }
    const __m256i runs[] = {result.lane[0], _mm256_alignr_epi8(result.lane[1], result.lane[0], 12),
                            _mm256_alignr_epi8(result.lane[2], result.lane[1], 8),
                            _mm256_srli_si256(result.lane[2], 4)};
    __m128i of_first[4], of_second[4];
    for (std::size_t row = 0; row < 4; ++row) {
      of_first[row] = _mm256_castsi256_si128(runs[row]);
      of_second[row] = _mm256_extracti128_si256(runs[row], 1);
    }
    store_tile(out + pass.to[i], pitch, of_first, is_wide(i));
    if (k != i) store_tile(out + pass.to[k], pitch, of_second, is_wide(k));
  }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC bug 105593, in its own header
template <bool whole_bytes>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi"))) void run_vbmi(
    const Pass& pass, const std::uint8_t* in, std::uint8_t* out) {
  const auto& tiling = pass.tiling;
  // A run's bytes; loads and stores never touch those beyond, and none for a tile of fewer runs.
  const auto run = static_cast<__mmask16>((1u << tiling.row_bytes) - 1);
  const auto run_if = [&](std::uint32_t row) { return row < tiling.rows ? run : __mmask16{0}; };
  const __mmask16 run1 = run_if(1), run2 = run_if(2), run3 = run_if(3);
  // Runs begin at every 16th byte of a vector; a tile has no gaps.
  alignas(64) std::uint8_t to_tile[64]{}, to_runs[64]{};
  for (std::uint32_t j = 0; j < tiling.tile_bytes(); ++j) {
    const auto place = static_cast<std::uint8_t>(j / tiling.row_bytes * 16 + j % tiling.row_bytes);
    to_tile[j] = place;
    to_runs[place] = static_cast<std::uint8_t>(j);
  }
  const __m512i pack = _mm512_load_si512(to_tile), spread = _mm512_load_si512(to_runs);
  const __m512i low_half = _mm512_set1_epi8(15);
  const std::size_t pitch = tiling.pitch;
  const auto* table = pass.tables;
  for (std::uint32_t i = 0; i < tiling.count; ++i, table += pass.step) {
    const auto* from = in + pass.from[i];
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

    auto* to = out + pass.to[i];
    _mm_mask_storeu_epi8(to, run, _mm512_castsi512_si128(tile));
    _mm_mask_storeu_epi8(to + pitch, run1, _mm512_extracti32x4_epi32(tile, 1));
    _mm_mask_storeu_epi8(to + 2 * pitch, run2, _mm512_extracti32x4_epi32(tile, 2));
    _mm_mask_storeu_epi8(to + 3 * pitch, run3, _mm512_extracti32x4_epi32(tile, 3));
  }
}
#pragma GCC diagnostic pop

void run(Simd level, const Pass& pass, const std::uint8_t* in, std::uint8_t* out) {
  if (level == Simd::Avx2) {
    (pass.whole_bytes ? run_avx2<true> : run_avx2<false>)(pass, in, out);
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

template <auto>
void encode(const NibbleMap&, std::uint32_t, std::vector<TileTable>&) {}
constexpr int avx2_code = 0, vbmi_code = 0;
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

  const auto bytes = tiling_.tile_bytes();
  tables_.resize(map_.source.size() / (map_.whole_bytes ? 1 : 2) / bytes);
  (level_ == Simd::Avx2 ? encode<avx2_code> : encode<vbmi_code>)(map_, bytes, tables_);
  if (map_.before.empty()) return;
  // One mask instead of two: what becomes of `before` itself. It lies there tile by tile.
  const auto count = static_cast<std::uint32_t>(tables_.size());
  const Tiling in_turn{tiling_.rows, tiling_.row_bytes, tiling_.row_bytes, 1, count};
  const auto places = in_turn.offsets();
  std::vector<std::uint8_t> masks(map_.before.size());
  run(level_, {in_turn, places.data(), places.data(), tables_.data(), 1, map_.whole_bytes},
      map_.before.data(), masks.data());
  for (std::size_t i = 0; i < count; ++i)
    std::copy_n(&masks[i * bytes], bytes, tables_[i].mask.data());
}

void TileGather::apply(const std::uint8_t* in, std::uint8_t* out) const {
  if (level_ == Simd::Plain) return apply_plain(in, out);
  // Tiles that are read out of order come slowly from beyond the first cache.
  constexpr std::size_t kLine = 64, kFits = 24 << 10;
  const std::size_t size = std::size_t{tiling_.count} * tiling_.tile_bytes();
  if (!map_.location.empty() && size <= kFits)
    for (std::size_t at = 0; at < size; at += kLine) __builtin_prefetch(in + at);
  const std::size_t step = tables_.size() > 1 ? 1 : 0;
  run(level_, {tiling_, from_.data(), to_.data(), tables_.data(), step, map_.whole_bytes}, in, out);
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
