#include <functional>

#include "cipher/explicit_key.h"
#include "cipher/le.h"
#include "cipher/parts.h"

namespace veilnet::cipher {

namespace {

/// The permutation of each source block in turn, drawn into where `place` puts it.
template <std::invocable<std::size_t> Place>
std::vector<std::uint16_t> draw_permutations(const Key& key, int block_size, std::size_t blocks,
                                             Place place) {
  KeyStream stream(key, Purpose::BlockKeys);
  const auto nibbles = 2 * values_of(block_size);
  std::vector<std::uint16_t> permutations(blocks * nibbles);
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto permutation = std::span(permutations).subspan(place(b) * nibbles, nibbles);
    std::iota(permutation.begin(), permutation.end(), std::uint16_t{0});
    stream.shuffle(permutation);
  }
  return permutations;
}

std::vector<std::uint32_t> draw_location(const Key& key, std::size_t blocks) {
  return KeyStream(key, Purpose::Location).permutation<std::uint32_t>(blocks);
}

/// `permutations` by cipher block.
std::unique_ptr<Scheme> ready(int block_size, std::vector<std::uint16_t> permutations,
                              std::vector<std::uint32_t> location, int height, int width) {
  const auto values = values_of(block_size);
  const auto n = static_cast<double>(location.size());
  const double bits = n * log2_factorial(static_cast<double>(2 * values)) + log2_factorial(n);
  auto map = le_map(std::move(permutations), values);
  map.location = std::move(location);
  return make_gather({height, width, block_size, true, bits},
                     Tiling::blocks(height, width, block_size), std::move(map));
}

/// The same as by way of the explicit key, without copying and checking it.
std::unique_ptr<Scheme> make_ele(const SchemeOptions& options, const Key& key, int height,
                                 int width) {
  const auto blocks = blocks_of(height, width, options.block_size);
  auto location = draw_location(key, blocks);
  std::vector<std::uint32_t> place(blocks);
  for (std::uint32_t i = 0; i < blocks; ++i) place[location[i]] = i;
  auto permutations = draw_permutations(key, options.block_size, blocks,
                                        [&](std::size_t source) { return place[source]; });
  return ready(options.block_size, std::move(permutations), std::move(location), height, width);
}

}  // namespace

EleKey draw_ele(const Key& key, int block_size, std::size_t blocks) {
  return {block_size, draw_permutations(key, block_size, blocks, std::identity{}),
          draw_location(key, blocks)};
}

std::unique_ptr<Scheme> make_scheme(const EleKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto nibbles = 2 * values_of(key.block_size),
             blocks = blocks_of(height, width, key.block_size);
  check_count("the ELE keys", key.permutations.size(), blocks * nibbles);
  check_permutation("the ELE key's location", std::span(key.location), blocks);
  std::vector<std::uint16_t> permutations(key.permutations.size());
  for (std::size_t i = 0; i < blocks; ++i) {
    const auto permutation =
        std::span(key.permutations).subspan(key.location[i] * nibbles, nibbles);
    check_permutation("an ELE block key", permutation, nibbles);
    std::ranges::copy(permutation, permutations.begin() + static_cast<std::ptrdiff_t>(i * nibbles));
  }
  return ready(key.block_size, std::move(permutations), key.location, height, width);
}

void ref_encrypt(const EleKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, key.location,
            [&](std::size_t index, const std::vector<std::uint8_t>& block) {
              const auto nibbles = 2 * block.size();
              return ref_le_block(block,
                                  std::span(key.permutations).subspan(index * nibbles, nibbles));
            });
}

namespace spec {
SchemeSpec ele() {
  constexpr auto draw = [](const SchemeOptions& options, const Key& key, int height, int width) {
    return draw_ele(key, options.block_size, blocks_of(height, width, options.block_size));
  };
  return {.id = "ele",
          .text = "as le, each block with a key of its own, then moves blocks",
          .source = "arXiv 2001.07761",
          .key_scope = KeyScope::Picture,
          .blocks = true,
          .structure = {.unit_bits = 4,
                        .complements = true,
                        .order = Structure::Order::Block,
                        .moves_blocks = true},
          .adaptation = "ele",
          .make = make_ele,
          .reference = ref_drawn<draw>};
}
}  // namespace spec

}  // namespace veilnet::cipher
