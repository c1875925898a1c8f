#include "cipher/explicit_key.h"
#include "cipher/le.h"
#include "cipher/parts.h"

namespace veilnet::cipher {

EleKey draw_ele(const Key& key, int block_size, std::size_t blocks) {
  KeyStream stream(key, Purpose::BlockKeys);
  const auto nibbles = 2 * values_of(block_size);
  EleKey drawn{block_size, std::vector<std::uint16_t>(blocks * nibbles), {}};
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto permutation = std::span(drawn.permutations).subspan(b * nibbles, nibbles);
    std::iota(permutation.begin(), permutation.end(), std::uint16_t{0});
    stream.shuffle(permutation);
  }
  drawn.location = KeyStream(key, Purpose::Location).permutation<std::uint32_t>(blocks);
  return drawn;
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
  auto map = le_map(std::move(permutations), nibbles / 2);
  map.location = key.location;
  const auto n = static_cast<double>(blocks);
  const double bits = n * log2_factorial(static_cast<double>(nibbles)) + log2_factorial(n);
  return make_gather({height, width, key.block_size, true, bits},
                     Tiling::blocks(height, width, key.block_size), std::move(map));
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
          .make = make_drawn<draw>,
          .reference = ref_drawn<draw>};
}
}  // namespace spec

}  // namespace veilnet::cipher
