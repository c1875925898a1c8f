#include "cipher/baselines.h"

#include <algorithm>
#include <cmath>

namespace veilnet::cipher {

namespace {

std::uint8_t to_byte(double value) {
  return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
}

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

std::unique_ptr<Scheme> make_blur(double sigma, int height, int width) {
  return std::make_unique<Blur>(sigma, height, width);
}

std::unique_ptr<Scheme> make_pixelate(int side, int height, int width) {
  return std::make_unique<Pixelate>(side, height, width);
}

std::unique_ptr<Scheme> make_noise(const Key& key, double deviation, int height, int width) {
  return std::make_unique<Noise>(key, deviation, height, width);
}

}  // namespace veilnet::cipher
