#include <algorithm>
#include <cmath>

#include "cipher/scheme.h"

namespace veilnet::cipher {

namespace {

/// Every picture of one key gets the same noise, so each needs a key of its own: the difference of
/// two holds none.
class Noise final : public Scheme {
 public:
  Noise(const Key& key, double deviation, int height, int width)
      : Scheme({height, width, 1, false, 0}),
        noise_(3 * static_cast<std::size_t>(height) * static_cast<std::size_t>(width)) {
    KeyStream stream(key, Purpose::Noise);
    for (auto& value : noise_)
      value = static_cast<std::int16_t>(std::lround(deviation * stream.normal()));
  }

 private:
  void forward(const std::uint8_t* plain, std::uint8_t* cipher) const override {
    for (std::size_t i = 0; i < noise_.size(); ++i)
      cipher[i] = static_cast<std::uint8_t>(std::clamp(plain[i] + noise_[i], 0, 255));
  }

  std::vector<std::int16_t> noise_;
};

}  // namespace

namespace spec {
SchemeSpec noise() {
  return {.id = "noise",
          .text = "adds normal noise to each value and clips",
          .source = "common practice",
          .structure = {.loses_data = true},
          .strength = {64, 0.1, 1000, "standard deviation of the noise in 8-bit steps"},
          .drawn_anew = true,
          .augment_encrypted = true,
          .make = [](const SchemeOptions& options, const Key& key, int height,
                     int width) -> std::unique_ptr<Scheme> {
            return std::make_unique<Noise>(key, options.strength, height, width);
          }};
}
}  // namespace spec

}  // namespace veilnet::cipher
