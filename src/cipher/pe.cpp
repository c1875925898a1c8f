#include "cipher/explicit_key.h"
#include "cipher/parts.h"

namespace veilnet::cipher {

PeKey draw_pe(const Key& key, std::size_t pixels, bool shuffle_components) {
  PeKey drawn;
  drawn.negate.resize(3 * pixels);
  KeyStream(key, Purpose::Negate).fill_bits(drawn.negate);
  if (shuffle_components) {
    KeyStream stream(key, Purpose::Shuffle);
    drawn.shuffle.resize(pixels);
    for (auto& code : drawn.shuffle) code = static_cast<std::uint8_t>(stream.below(6));
  }
  return drawn;
}

std::unique_ptr<Scheme> make_scheme(const PeKey& key, int height, int width) {
  check_geometry(height, width, 1);
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  check_below("the PE key's negate", key.negate, 3 * pixels, 2);
  double bits = 3 * static_cast<double>(pixels);
  if (key.shuffle.empty()) {
    std::vector<std::uint8_t> mask(3 * pixels);
    for (std::size_t i = 0; i < mask.size(); ++i)
      mask[i] = static_cast<std::uint8_t>(-key.negate[i]);
    return make_mask({height, width, 1, true, bits}, std::move(mask));
  }
  check_below("the PE key's shuffle", key.shuffle, pixels, 6);
  bits += static_cast<double>(pixels) * std::log2(6);
  const auto tiling = Tiling::runs(static_cast<std::uint32_t>((pixels + 15) / 16));
  const std::size_t values = tiling.tile_bytes();
  NibbleMap map;
  map.whole_bytes = true;
  map.source.resize(tiling.count * values);
  map.after.resize(tiling.count * values);
  for (std::size_t p = 0; p < 16 * std::size_t{tiling.count}; ++p) {
    const auto* order = kComponentOrders[p < pixels ? key.shuffle[p] : 0];
    for (std::size_t c = 0; c < 3; ++c) {
      map.source[3 * p + c] = static_cast<std::uint16_t>(3 * (p % 16) + order[c]);
      map.after[3 * p + c] = p < pixels && key.negate[3 * p + order[c]] ? 0xff : 0;
    }
  }
  return make_gather({height, width, 1, true, bits}, tiling, std::move(map));
}

void ref_encrypt(const PeKey& key, int height, int width, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
       ++p) {
    std::uint8_t negated[3];
    for (std::size_t c = 0; c < 3; ++c)
      negated[c] = key.negate[3 * p + c] ? 255 - plain[3 * p + c] : plain[3 * p + c];
    const auto* order = kComponentOrders[key.shuffle.empty() ? 0 : key.shuffle[p]];
    for (std::size_t c = 0; c < 3; ++c) cipher[3 * p + c] = negated[order[c]];
  }
}

namespace spec {
SchemeSpec pe() {
  constexpr auto draw = [](const SchemeOptions& options, const Key& key, int height, int width) {
    return draw_pe(key, static_cast<std::size_t>(height) * static_cast<std::size_t>(width),
                   options.variant);
  };
  return {.id = "pe",
          .text = "complements values at random",
          .source = "arXiv 1905.01827",
          .key_scope = KeyScope::Picture,
          .structure = {.complements = true},
          .variant = {"shuffle_components",
                      "shuffled",
                      "components shuffled",
                      "also permute the three components of each pixel",
                      {.complements = true, .order = Structure::Order::Pixel}},
          .own_keys = true,
          .augment_encrypted = true,
          .adaptation = "pixel",
          .make = make_drawn<draw>,
          .reference = ref_drawn<draw>};
}
}  // namespace spec

}  // namespace veilnet::cipher
