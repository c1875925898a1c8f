#include "cipher/le.h"

#include "cipher/explicit_key.h"
#include "cipher/parts.h"

namespace veilnet::cipher {

NibbleMap le_map(std::vector<std::uint16_t> permutations, std::size_t values) {
  NibbleMap map;
  map.before.resize(permutations.size() / 2);
  // 16-bit throughout, so that the compiler makes vector code of it.
  const auto top = static_cast<std::uint16_t>(values);
  for (std::size_t at = 0; at < permutations.size(); at += 2 * values) {
    const std::uint16_t* __restrict low = &permutations[at];
    const std::uint16_t* __restrict high = low + values;
    std::uint8_t* __restrict reverse = &map.before[at / 2];
    for (std::size_t i = 0; i < values; ++i)
      reverse[i] =
          static_cast<std::uint8_t>((low[i] > top ? 0x0f : 0) | (high[i] > top ? 0xf0 : 0));
  }
  map.after = map.before;
  map.source = std::move(permutations);
  return map;
}

std::vector<std::uint8_t> ref_le_block(std::span<const std::uint8_t> block,
                                       std::span<const std::uint16_t> permutation) {
  const auto values = block.size();
  std::vector<std::uint8_t> u(2 * values), w(2 * values), out(values);
  for (std::size_t i = 0; i < values; ++i) {
    u[i] = block[i] & 15;
    u[values + i] = block[i] >> 4;
  }
  const auto reverse = [&](std::vector<std::uint8_t>& nibbles) {
    for (std::size_t i = 0; i < nibbles.size(); ++i)
      if (permutation[i] > values) nibbles[i] = 15 - nibbles[i];
  };
  reverse(u);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = u[permutation[i]];
  reverse(w);
  for (std::size_t i = 0; i < values; ++i)
    out[i] = static_cast<std::uint8_t>(w[i] + 16 * w[values + i]);
  return out;
}

LeKey draw_le(const Key& key, int block_size) {
  KeyStream stream(key, Purpose::BlockKeys);
  return {block_size, stream.permutation<std::uint16_t>(2 * values_of(block_size))};
}

std::unique_ptr<Scheme> make_scheme(const LeKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto nibbles = 2 * values_of(key.block_size);
  check_permutation("the LE key", std::span(key.permutation), nibbles);
  const Scheme::Properties properties{height, width, key.block_size, true,
                                      log2_factorial(static_cast<double>(nibbles))};
  return make_gather(properties, Tiling::blocks(height, width, key.block_size),
                     le_map(key.permutation, nibbles / 2));
}

void ref_encrypt(const LeKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, {},
            [&](std::size_t, const std::vector<std::uint8_t>& block) {
              return ref_le_block(block, key.permutation);
            });
}

namespace spec {
SchemeSpec le() {
  constexpr auto draw = [](const SchemeOptions& options, const Key& key, int, int) {
    return draw_le(key, options.block_size);
  };
  return {.id = "le",
          .text = "permutes and complements nibbles, alike in every block",
          .source = "Tanaka 2018",
          .key_scope = KeyScope::Block,
          .blocks = true,
          .structure = {.unit_bits = 4, .complements = true, .order = Structure::Order::Block},
          .adaptation = "tanaka",
          .make = make_drawn<draw>,
          .reference = ref_drawn<draw>};
}
}  // namespace spec

}  // namespace veilnet::cipher
