#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "image/image.h"

namespace veilnet::image {

namespace {

/// The part of one axis that is resampled: `count` outputs, output i standing for [begin + i*step,
/// begin + (i+1)*step) of the input.
struct Axis {
  int input;
  int count;
  double begin;
  double step;
};

/// The inputs that one output averages.
struct Taps {
  int first;
  std::vector<float> weights;
};

std::vector<Taps> make_taps(const Axis& axis) {
  std::vector<Taps> all;
  all.reserve(static_cast<std::size_t>(axis.count));
  for (int i = 0; i < axis.count; ++i) {
    Taps taps;
    if (axis.step >
        1) {  // shrinking: each input weighs as much as it overlaps the output's interval
      const double low = axis.begin + i * axis.step, high = low + axis.step;
      taps.first = std::clamp(static_cast<int>(low), 0, axis.input - 1);
      const int last = std::clamp(static_cast<int>(std::ceil(high)), taps.first + 1, axis.input);
      double sum = 0;
      for (int k = taps.first; k < last; ++k) {
        const double overlap =
            std::max(0.0, std::min<double>(high, k + 1) - std::max<double>(low, k));
        taps.weights.push_back(static_cast<float>(overlap));
        sum += overlap;
      }
      for (auto& weight : taps.weights) weight = static_cast<float>(weight / sum);
    } else {  // growing: between the two nearest pixel centres; the border repeats
      const double centre =
          std::clamp(axis.begin + (i + 0.5) * axis.step - 0.5, 0.0, axis.input - 1.0);
      taps.first = static_cast<int>(centre);
      const double right = centre - taps.first;
      taps.weights.push_back(static_cast<float>(1 - right));
      if (right > 0) taps.weights.push_back(static_cast<float>(right));
    }
    all.push_back(std::move(taps));
  }
  return all;
}

/// Resamples rows first, then columns, rounding once at the end. Input rows that no output needs
/// are not touched.
Image resample(const Image& image, const Axis& vertical, const Axis& horizontal) {
  const auto rows = make_taps(vertical), columns = make_taps(horizontal);
  const int first_row = rows.front().first;
  const int last_row = rows.back().first + static_cast<int>(rows.back().weights.size());
  const std::size_t stride = columns.size() * 3;

  std::vector<float> narrow(static_cast<std::size_t>(last_row - first_row) * stride);
  for (int y = first_row; y < last_row; ++y) {
    const auto* in = &image.rgb[static_cast<std::size_t>(y) * image.width * 3];
    auto* out = &narrow[static_cast<std::size_t>(y - first_row) * stride];
    for (const auto& taps : columns) {
      float sum[3] = {0, 0, 0};
      const auto* pixel = in + static_cast<std::size_t>(taps.first) * 3;
      for (const float weight : taps.weights)
        for (float& value : sum) value += weight * *pixel++;
      out = std::copy_n(sum, 3, out);
    }
  }

  Image result{static_cast<int>(rows.size()), static_cast<int>(columns.size()), {}};
  result.rgb.resize(rows.size() * stride);
  std::vector<float> line(stride);
  auto* out = result.rgb.data();
  for (const auto& taps : rows) {
    std::ranges::fill(line, 0.0f);
    const auto* in = &narrow[static_cast<std::size_t>(taps.first - first_row) * stride];
    for (const float weight : taps.weights)
      for (float& value : line) value += weight * *in++;
    for (const float value : line)
      *out++ = static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
  }
  return result;
}

void check_sides(const Image& image, int height, int width, const char* function) {
  constexpr auto wrong = ErrorCode::InvalidArgument;
  if (height < 1 || width < 1)
    fail(wrong, "{}: asked for {}x{}; both sides must be at least 1", function, width, height);
  if (image.height < 1 || image.width < 1 ||
      image.rgb.size() != static_cast<std::size_t>(image.height) * image.width * 3) {
    fail(wrong, "{}: the picture is {}x{} with {} bytes", function, image.width, image.height,
         image.rgb.size());
  }
}

}  // namespace

Image resize(const Image& image, int height, int width) {
  check_sides(image, height, width, "resize");
  if (image.height == height && image.width == width) return image;
  return resample(image, {image.height, height, 0, static_cast<double>(image.height) / height},
                  {image.width, width, 0, static_cast<double>(image.width) / width});
}

Image resize_and_crop(const Image& image, int height, int width) {
  check_sides(image, height, width, "resize_and_crop");
  if (image.height == height && image.width == width) return image;
  // Only the crop is computed: the scaled picture itself could be far larger than input and output.
  const double scale = std::max(static_cast<double>(height) / image.height,
                                static_cast<double>(width) / image.width);
  const auto axis = [&](int input, int count) {
    const auto scaled = std::max<long long>(count, std::llround(input * scale));
    const double step = static_cast<double>(input) / static_cast<double>(scaled);
    return Axis{input, count, static_cast<double>((scaled - count) / 2) * step, step};
  };
  return resample(image, axis(image.height, height), axis(image.width, width));
}

}  // namespace veilnet::image
