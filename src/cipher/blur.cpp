#include <algorithm>
#include <cmath>

#include "cipher/scheme.h"

namespace veilnet::cipher {

namespace {

std::uint8_t to_byte(double value) {
  return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
}

/// Cut off at 3 sigma, borders replicated.
class Blur final : public Scheme {
 public:
  Blur(double sigma, int height, int width) : Scheme({height, width, 1, false, 0}) {
    const int reach = static_cast<int>(std::ceil(3 * sigma));
    weights_.resize(2 * static_cast<std::size_t>(reach) + 1);
    float sum = 0;
    for (int i = -reach; i <= reach; ++i)
      sum += weights_[static_cast<std::size_t>(i + reach)] =
          static_cast<float>(std::exp(-i * i / (2 * sigma * sigma)));
    for (auto& weight : weights_) weight /= sum;
  }

 private:
  void forward(const std::uint8_t* plain, std::uint8_t* cipher) const override {
    const int reach = static_cast<int>(weights_.size() / 2);
    const auto row = 3 * static_cast<std::size_t>(width());
    std::vector<float> columns(row);
    for (int y = 0; y < height(); ++y) {
      std::ranges::fill(columns, 0.0f);
      for (int i = -reach; i <= reach; ++i) {
        const auto* source =
            plain + static_cast<std::size_t>(std::clamp(y + i, 0, height() - 1)) * row;
        const float weight = weights_[static_cast<std::size_t>(i + reach)];
        for (std::size_t x = 0; x < row; ++x) columns[x] += weight * static_cast<float>(source[x]);
      }
      auto* target = cipher + static_cast<std::size_t>(y) * row;
      for (int x = 0; x < width(); ++x) {
        float sums[3] = {};
        for (int i = -reach; i <= reach; ++i) {
          const auto* source =
              &columns[3 * static_cast<std::size_t>(std::clamp(x + i, 0, width() - 1))];
          for (int c = 0; c < 3; ++c)
            sums[c] += weights_[static_cast<std::size_t>(i + reach)] * source[c];
        }
        for (const float sum : sums) *target++ = to_byte(sum);
      }
    }
  }

  std::vector<float> weights_;
};

}  // namespace

namespace spec {
SchemeSpec blur() {
  return {.id = "blur",
          .text = "blurs with a Gaussian filter",
          .source = "common practice",
          .structure = {.loses_data = true},
          .strength = {2, 0.1, 100, "standard deviation of the filter in pixels"},
          .make = [](const SchemeOptions& options, const Key&, int height,
                     int width) -> std::unique_ptr<Scheme> {
            return std::make_unique<Blur>(options.strength, height, width);
          }};
}
}  // namespace spec

}  // namespace veilnet::cipher
