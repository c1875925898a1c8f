#include "cipher/explicit_key.h"
#include "cipher/parts.h"

namespace veilnet::cipher {

PixelShuffleKey draw_pixel_shuffle(const Key& key, int block_size) {
  KeyStream stream(key, Purpose::BlockKeys);
  return {block_size, stream.permutation<std::uint16_t>(values_of(block_size))};
}

std::unique_ptr<Scheme> make_scheme(const PixelShuffleKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto values = values_of(key.block_size);
  check_permutation("the pixel shuffling key", std::span(key.permutation), values);
  NibbleMap map;
  map.whole_bytes = true;
  map.source = key.permutation;
  return make_gather(
      {height, width, key.block_size, true, log2_factorial(static_cast<double>(values))},
      Tiling::blocks(height, width, key.block_size), std::move(map));
}

void ref_encrypt(const PixelShuffleKey& key, int height, int width,
                 std::span<const std::uint8_t> plain, std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, {},
            [&](std::size_t, const std::vector<std::uint8_t>& block) {
              std::vector<std::uint8_t> out;
              for (const auto from : key.permutation) out.push_back(block[from]);
              return out;
            });
}

namespace spec {
SchemeSpec pixel_shuffle() {
  constexpr auto draw = [](const SchemeOptions& options, const Key& key, int, int) {
    return draw_pixel_shuffle(key, options.block_size);
  };
  return {.id = "pixel-shuffle",
          .text = "permutes values, alike in every block",
          .source = "arXiv 2005.07998",
          .key_scope = KeyScope::Block,
          .blocks = true,
          .structure = {.order = Structure::Order::Block},
          .adaptation = "le",
          .make = make_drawn<draw>,
          .reference = ref_drawn<draw>};
}
}  // namespace spec

}  // namespace veilnet::cipher
