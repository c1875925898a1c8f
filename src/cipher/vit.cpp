// The block-wise scheme for vision transformers and ConvMixer: blocks are the model's patches, so
// that a patch embedding and position embeddings permuted by the same key undo it.
#include "cipher/parts.h"

namespace veilnet::cipher {

namespace {

/// Cipher block i is plain block location[i]; value j of every block is value permutation[j] of it,
/// as 255 - v where negative[permutation[j]] is 1.
struct VitKey {
  int block_size = 4;
  std::vector<std::uint32_t> location;
  std::vector<std::uint16_t> permutation;
  std::vector<std::uint8_t> negative;  ///< empty: none
};

VitKey draw_vit(const SchemeOptions& options, const Key& key, int height, int width) {
  const auto values = values_of(options.block_size);
  VitKey drawn{options.block_size, {}, {}, {}};
  drawn.location = KeyStream(key, Purpose::Location)
                       .permutation<std::uint32_t>(blocks_of(height, width, options.block_size));
  drawn.permutation = KeyStream(key, Purpose::BlockKeys).permutation<std::uint16_t>(values);
  if (options.variant) {
    drawn.negative.resize(values);
    KeyStream(key, Purpose::Negate).fill_bits(drawn.negative);
  }
  return drawn;
}

std::unique_ptr<Scheme> make_scheme(const VitKey& key, int height, int width) {
  const auto n = static_cast<double>(key.location.size());
  const auto values = static_cast<double>(key.permutation.size());
  NibbleMap map;
  map.location = key.location;
  map.whole_bytes = true;
  map.source = key.permutation;
  map.before = key.negative;
  for (auto& mask : map.before) mask = static_cast<std::uint8_t>(-mask);
  const double bits =
      log2_factorial(n) + log2_factorial(values) + static_cast<double>(key.negative.size());
  return make_gather({height, width, key.block_size, true, bits},
                     Tiling::blocks(height, width, key.block_size), std::move(map));
}

void ref_encrypt(const VitKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  by_blocks(height, width, key.block_size, plain, cipher, key.location,
            [&](std::size_t, std::vector<std::uint8_t> block) {
              for (std::size_t i = 0; i < key.negative.size(); ++i)
                if (key.negative[i]) block[i] = 255 - block[i];
              std::vector<std::uint8_t> out;
              for (const auto from : key.permutation) out.push_back(block[from]);
              return out;
            });
}

}  // namespace

namespace spec {
SchemeSpec vit() {
  return {
      .id = "vit",
      .text = "permutes values, alike in every block, then moves the blocks",
      .source = "arXiv 2204.07707",
      .key_scope = KeyScope::Picture,
      .blocks = true,
      .structure = {.order = Structure::Order::Block, .moves_blocks = true},
      .variant = {"negative_positive",
                  "negative-positive",
                  "negative-positive",
                  "also complement each value of a block by a fair bit, alike in every block",
                  {.complements = true, .order = Structure::Order::Block, .moves_blocks = true}},
      .adaptation = "ele",
      .make = make_drawn<draw_vit>,
      .reference = ref_drawn<draw_vit>};
}
}  // namespace spec

}  // namespace veilnet::cipher
