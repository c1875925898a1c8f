#include "cipher/tiles.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include "cipher/scheme.h"
#include "pictures.h"
#include "support.h"

namespace veilnet::cipher {
namespace {

using test::Bytes;
using test::noise_picture;

/// So many bytes that end where memory may not be touched, and begin likewise.
class Guarded {
 public:
  Guarded(std::size_t size, bool at_end) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    room_ = (size + page_ - 1) / page_ * page_;
    void* mapped = mmap(nullptr, room_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) std::abort();
    base_ = static_cast<std::uint8_t*>(mapped);
    if (mprotect(base_ + page_, room_, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = base_ + page_ + (at_end ? room_ - size : 0);
  }
  ~Guarded() { munmap(base_, room_ + 2 * page_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  std::uint8_t* data() { return data_; }

 private:
  std::size_t page_, room_ = 0;
  std::uint8_t *base_ = nullptr, *data_ = nullptr;
};

/// What NibbleMap's comment says, word for word.
Bytes plainly(const Tiling& tiling, const NibbleMap& map, const Bytes& in) {
  const std::size_t bytes = tiling.tile_bytes(), entries = (map.whole_bytes ? 1 : 2) * bytes;
  const bool shared = map.source.size() == entries;
  const auto at = [&](std::size_t tile, std::size_t j) {
    return (tile / tiling.across * tiling.rows + j / tiling.row_bytes) * tiling.pitch +
           tile % tiling.across * tiling.row_bytes + j % tiling.row_bytes;
  };
  Bytes out(in.size());
  for (std::size_t i = 0; i < tiling.count; ++i) {
    const std::size_t from = map.location.empty() ? i : map.location[i], table = shared ? 0 : i;
    const auto nibble = [&](std::size_t n) {
      int value = in[at(from, n % bytes)];
      if (!map.before.empty()) value ^= map.before[table * bytes + n % bytes];
      return n < bytes ? value & 15 : value >> 4;
    };
    for (std::size_t j = 0; j < bytes; ++j) {
      const std::size_t low = map.source[table * entries + j];
      const std::size_t high =
          map.whole_bytes ? bytes + low : map.source[table * entries + bytes + j];
      int value = nibble(low) | nibble(high) << 4;
      if (!map.after.empty()) value ^= map.after[table * bytes + j];
      out[at(i, j)] = static_cast<std::uint8_t>(value);
    }
  }
  return out;
}

NibbleMap random_map(const Tiling& tiling, Random& random, bool shared, bool whole, bool moves,
                     bool before, bool after) {
  const std::size_t bytes = tiling.tile_bytes(), tables = shared ? 1 : tiling.count;
  NibbleMap map;
  map.whole_bytes = whole;
  if (moves) {
    map.location.resize(tiling.count);
    std::iota(map.location.begin(), map.location.end(), 0u);
    random.shuffle(std::span(map.location));
  }
  for (std::size_t t = 0; t < tables; ++t) {
    std::vector<std::uint16_t> permutation((whole ? 1 : 2) * bytes);
    std::iota(permutation.begin(), permutation.end(), std::uint16_t{0});
    random.shuffle(std::span(permutation));
    map.source.insert(map.source.end(), permutation.begin(), permutation.end());
  }
  const auto mask = [&](bool wanted) {
    Bytes values(wanted ? tables * bytes : 0);
    for (auto& value : values) value = static_cast<std::uint8_t>(random.below(256));
    return values;
  };
  map.before = mask(before);
  map.after = mask(after);
  return map;
}

TEST(Tiles, EveryLevelEqualsThePlainWordsAndKeepsToThePicture) {
  std::vector<Tiling> tilings = {Tiling::runs(1), Tiling::runs(2), Tiling::runs(7)};
  for (const int block : {1, 2, 3, 4, 5, 8})
    for (const auto& [down, across] : {std::pair{1, 1}, {1, 2}, {3, 1}, {2, 3}, {3, 3}, {3, 8}})
      tilings.push_back(Tiling::blocks(down * block, across * block, block));
  Random random(1);
  for (const auto& tiling : tilings) {
    const std::size_t size = std::size_t{tiling.count} * tiling.tile_bytes();
    for (unsigned kind = 0; kind < 32; ++kind) {
      const auto map =
          random_map(tiling, random, kind & 1, kind & 2, kind & 4, kind & 8, kind & 16);
      const auto in = noise_picture(1, static_cast<int>(size / 3), kind);
      const auto expected = plainly(tiling, map, in);
      for (const auto level : simd_levels()) {
        SCOPED_TRACE(fmt::format("{}: {} tiles of {} runs of {} bytes, {} side by side, kind {}",
                                 simd_name(level), tiling.count, tiling.rows, tiling.row_bytes,
                                 tiling.across, kind));
        for (const bool at_end : {false, true}) {
          Guarded from(size, at_end), to(size, at_end);
          std::memcpy(from.data(), in.data(), size);
          TileGather(tiling, map, level).apply(from.data(), to.data());
          ASSERT_EQ(Bytes(to.data(), to.data() + size), expected);
          TileGather(tiling, inverse(map, tiling.tile_bytes()), level)
              .apply(to.data(), from.data());
          ASSERT_EQ(Bytes(from.data(), from.data() + size), in);
        }
      }
    }
  }
}

TEST(Tiles, OffsetsCountByRowThenColumn) {
  EXPECT_EQ(Tiling::blocks(4, 6, 2).offsets(), (std::vector<std::uint32_t>{0, 6, 12, 36, 42, 48}));
  EXPECT_EQ(Tiling::runs(3).offsets(), (std::vector<std::uint32_t>{0, 48, 96}));
}

}  // namespace
}  // namespace veilnet::cipher
