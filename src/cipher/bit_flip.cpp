#include "cipher/explicit_key.h"
#include "cipher/parts.h"

namespace veilnet::cipher {

BitFlipKey draw_bit_flip(const Key& key, int block_size) {
  KeyStream stream(key, Purpose::BlockKeys);
  return {block_size, draw_half(stream, values_of(block_size))};
}

std::unique_ptr<Scheme> make_scheme(const BitFlipKey& key, int height, int width) {
  check_geometry(height, width, key.block_size);
  const auto values = values_of(key.block_size);
  check_below("the bit flipping key", key.flip, values, 2);
  auto mask = repeat_block(key.flip, key.block_size, height, width);
  for (auto& value : mask) value = static_cast<std::uint8_t>(-value);
  return make_mask({height, width, key.block_size, true, log2_halves(static_cast<double>(values))},
                   std::move(mask));
}

void ref_encrypt(const BitFlipKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, {},
            [&](std::size_t, std::vector<std::uint8_t> block) {
              for (std::size_t i = 0; i < block.size(); ++i)
                if (key.flip[i]) block[i] = 255 - block[i];
              return block;
            });
}

namespace spec {
SchemeSpec bit_flip() {
  constexpr auto draw = [](const SchemeOptions& options, const Key& key, int, int) {
    return draw_bit_flip(key, options.block_size);
  };
  return {.id = "bit-flip",
          .text = "complements half of the values, alike in every block",
          .source = "arXiv 2005.07998",
          .key_scope = KeyScope::Block,
          .blocks = true,
          .structure = {.complements = true},
          .adaptation = "le",
          .make = make_drawn<draw>,
          .reference = ref_drawn<draw>};
}
}  // namespace spec

}  // namespace veilnet::cipher
