#include <algorithm>
#include <cmath>

#include "cipher/scheme.h"

namespace veilnet::cipher {

namespace {

std::uint8_t to_byte(double value) {
  return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
}

/// Square cells of `side` pixels are counted from the top left.
class Pixelate final : public Scheme {
 public:
  Pixelate(int side, int height, int width) : Scheme({height, width, 1, false, 0}), side_(side) {}

 private:
  void forward(const std::uint8_t* plain, std::uint8_t* cipher) const override {
    const auto at = [&](int y, int x) {
      return 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width()) + x);
    };
    for (int top = 0; top < height(); top += side_) {
      for (int left = 0; left < width(); left += side_) {
        const int bottom = std::min(top + side_, height()), right = std::min(left + side_, width());
        std::uint64_t sums[3] = {};
        for (int y = top; y < bottom; ++y)
          for (int x = left; x < right; ++x)
            for (std::size_t c = 0; c < 3; ++c) sums[c] += plain[at(y, x) + c];
        const double pixels = (bottom - top) * (right - left);
        for (int y = top; y < bottom; ++y)
          for (int x = left; x < right; ++x)
            for (std::size_t c = 0; c < 3; ++c)
              cipher[at(y, x) + c] = to_byte(static_cast<double>(sums[c]) / pixels);
      }
    }
  }

  int side_;
};

}  // namespace

namespace spec {
SchemeSpec pixelate() {
  return {.id = "pixelate",
          .text = "replaces each square cell by its mean",
          .source = "common practice",
          .structure = {.loses_data = true},
          .strength = {4, 1, 1024, "side of a cell in pixels, rounded"},
          .make = [](const SchemeOptions& options, const Key&, int height,
                     int width) -> std::unique_ptr<Scheme> {
            const auto side = static_cast<int>(std::lround(options.strength));
            return std::make_unique<Pixelate>(side, height, width);
          }};
}
}  // namespace spec

}  // namespace veilnet::cipher
