#include "attack/fr.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "attack/table.h"
#include "cipher/explicit_key.h"

namespace veilnet::attack {

using image::Image;

Image fr_basic(const Image& cipher) {
  Image out = cipher;
  for (auto& v : out.rgb) v = std::min<std::uint8_t>(v, 255 - v);
  return out;
}

Image fr_advanced(const Image& cipher, const std::array<std::uint8_t, 3>& first_pixel,
                  bool shuffled_components) {
  Image out = cipher;
  const auto width = static_cast<std::size_t>(cipher.width);
  const std::size_t orders = shuffled_components ? 6 : 1;
  std::ranges::copy(
      first_pixel.begin(),
      first_pixel.begin() + static_cast<long>(std::min<std::size_t>(3, out.rgb.size())),
      out.rgb.begin());
  for (std::size_t p = 1; p < out.rgb.size() / 3; ++p) {
    const auto* encrypted = &cipher.rgb[3 * p];
    const auto* neighbour = &out.rgb[3 * (p < width ? p - 1 : p - width)];
    int best = std::numeric_limits<int>::max();
    for (std::size_t o = 0; o < orders; ++o) {
      // Each component chooses its complement by itself, which finds the best of the eight
      // patterns.
      std::array<std::uint8_t, 3> candidate{};
      int distance = 0;
      for (std::size_t c = 0; c < 3; ++c) {
        const int v = encrypted[cipher::kComponentOrders[o][c]];
        const int as_is = std::abs(v - neighbour[c]),
                  complemented = std::abs(255 - v - neighbour[c]);
        candidate[c] = static_cast<std::uint8_t>(complemented < as_is ? 255 - v : v);
        distance += std::min(as_is, complemented);
      }
      if (distance > best) continue;
      best = distance;
      std::ranges::copy(candidate, &out.rgb[3 * p]);
    }
  }
  return out;
}

Attack fr() {
  return {"fr", "Takes every value v and 255 - v as one and shows the smaller (FR-Attack, basic).",
          [](const Target& t) -> Against {
            if (!t.keyed()) return "it does not complement values";
            return ThreatModel{Method::Public, Access::CiphertextOnly, t.keys, Auxiliary::None};
          },
          [](Materials& m, const Setting&) -> Outcome { return {each_picture(m, fr_basic)}; }};
}

}  // namespace veilnet::attack
