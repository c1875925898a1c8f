#include "image/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace veilnet::image {

namespace {

constexpr int channels = 3;
constexpr double c1 = (0.01 * 255) * (0.01 * 255);
constexpr double c2 = (0.03 * 255) * (0.03 * 255);

/// One row of each of the five sums that SSIM needs, over the interleaved columns of the picture.
template <class T>
struct Sums {
  std::vector<T> a, b, aa, bb, ab;
  explicit Sums(std::size_t columns)
      : a(columns), b(columns), aa(columns), bb(columns), ab(columns) {}
};

/// Adds a row of pixels to the column sums, or takes it away again.
void add_row(Sums<std::int32_t>& sums, const std::uint8_t* a, const std::uint8_t* b,
             std::int32_t sign) {
  for (std::size_t x = 0; x < sums.a.size(); ++x) {
    const std::int32_t va = a[x], vb = b[x];
    sums.a[x] += sign * va;
    sums.b[x] += sign * vb;
    sums.aa[x] += sign * va * va;
    sums.bb[x] += sign * vb * vb;
    sums.ab[x] += sign * va * vb;
  }
}

/// Every sum over a 7x7 window is an integer below 2^28, so running sums lose nothing and only the
/// final ratio rounds.
double ssim_uniform(const std::uint8_t* a, const std::uint8_t* b, int height, int width) {
  constexpr int side = 7, count = side * side;
  const std::size_t columns = static_cast<std::size_t>(width) * channels;
  const std::size_t map_columns = columns - (side - 1) * channels;
  Sums<std::int32_t> sums(columns);
  std::vector<double> total(
      map_columns);  // one accumulator per column: the loop has no carried dependency
  for (int y = 0; y < height; ++y) {
    add_row(sums, a + y * columns, b + y * columns, 1);
    if (y < side - 1) continue;
    const auto window = [](const std::int32_t* column_sums) {
      std::int32_t sum = 0;
      for (int k = 0; k < side; ++k) sum += column_sums[k * channels];
      return sum;
    };
    for (std::size_t x = 0; x < map_columns; ++x) {
      const std::int32_t sa = window(&sums.a[x]), sb = window(&sums.b[x]);
      const std::int32_t var_a = count * window(&sums.aa[x]) - sa * sa;
      const std::int32_t var_b = count * window(&sums.bb[x]) - sb * sb;
      const std::int32_t cov = count * window(&sums.ab[x]) - sa * sb;
      constexpr double mean_scale = count * count;  // means are sums / 49
      constexpr double var_scale =
          count * (count - 1.0);  // sample covariances are the terms above / (49 * 48)
      const double numerator = (2.0 * sa * sb + mean_scale * c1) * (2.0 * cov + var_scale * c2);
      const double denominator =
          (double(sa * sa + sb * sb) + mean_scale * c1) * (double(var_a + var_b) + var_scale * c2);
      total[x] += numerator / denominator;
    }
    add_row(sums, a + (y - side + 1) * columns, b + (y - side + 1) * columns, -1);
  }
  double sum = 0;
  for (const double value : total) sum += value;
  return sum / (static_cast<double>(map_columns) * (height - side + 1));
}

constexpr int gauss_side = 11;

const std::array<double, gauss_side>& gauss_weights() {
  static const auto weights = [] {
    std::array<double, gauss_side> w{};
    double sum = 0;
    for (int i = 0; i < gauss_side; ++i) {
      const double distance = i - gauss_side / 2;
      sum += w[i] = std::exp(-0.5 * distance * distance / (1.5 * 1.5));
    }
    for (auto& value : w) value /= sum;
    return w;
  }();
  return weights;
}

/// Means over a channel's map: of SSIM, and of its contrast-structure term alone.
struct Similarity {
  double ssim = 0, contrast = 0;
};

/// The Gaussian is separable: first down the columns, then along the row.
template <class T>
std::array<Similarity, channels> ssim_gaussian(const T* a, const T* b, int height, int width) {
  const auto& weights = gauss_weights();
  const std::size_t columns = static_cast<std::size_t>(width) * channels;
  const std::size_t map_columns = columns - (gauss_side - 1) * channels;
  const int map_rows = height - gauss_side + 1;
  Sums<double> sums(columns);
  std::vector<double> total(map_columns), total_contrast(map_columns);
  for (int y = 0; y < map_rows; ++y) {
    sums = Sums<double>(columns);
    for (int k = 0; k < gauss_side; ++k) {
      const T* row_a = a + (y + k) * columns;
      const T* row_b = b + (y + k) * columns;
      const double w = weights[k];
      for (std::size_t x = 0; x < columns; ++x) {
        const double va = row_a[x], vb = row_b[x];
        sums.a[x] += w * va;
        sums.b[x] += w * vb;
        sums.aa[x] += w * (va * va);
        sums.bb[x] += w * (vb * vb);
        sums.ab[x] += w * (va * vb);
      }
    }
    const auto window = [&](const double* column_sums) {
      double sum = 0;
      for (int k = 0; k < gauss_side; ++k) sum += weights[k] * column_sums[k * channels];
      return sum;
    };
    for (std::size_t x = 0; x < map_columns; ++x) {
      const double mean_a = window(&sums.a[x]), mean_b = window(&sums.b[x]);
      const double var_a = window(&sums.aa[x]) - mean_a * mean_a;
      const double var_b = window(&sums.bb[x]) - mean_b * mean_b;
      const double cov = window(&sums.ab[x]) - mean_a * mean_b;
      const double contrast = (2 * cov + c2) / (var_a + var_b + c2);
      total[x] += (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1) * contrast;
      total_contrast[x] += contrast;
    }
  }
  const double count = static_cast<double>(map_columns / channels) * map_rows;
  std::array<Similarity, channels> means;
  for (std::size_t x = 0; x < map_columns; ++x) {
    means[x % channels].ssim += total[x] / count;
    means[x % channels].contrast += total_contrast[x] / count;
  }
  return means;
}

/// Half of each side, rounded down: the mean of 2x2 values.
std::vector<double> halved(const std::vector<double>& picture, int height, int width) {
  const std::size_t row = static_cast<std::size_t>(width) * channels;
  std::vector<double> half;
  half.reserve(picture.size() / 4);
  for (int y = 0; y + 1 < height; y += 2)
    for (int x = 0; x + 1 < width; x += 2)
      for (int c = 0; c < channels; ++c) {
        const double* at = &picture[y * row + static_cast<std::size_t>(x * channels + c)];
        half.push_back((at[0] + at[channels] + at[row] + at[row + channels]) / 4);
      }
  return half;
}

void check_pictures(const char* function, std::span<const std::uint8_t> a,
                    std::span<const std::uint8_t> b, int height, int width, int side) {
  constexpr auto wrong = ErrorCode::InvalidArgument;
  if (height < side || width < side) {
    fail(wrong, "{}: picture is {}x{}; both sides must be at least {}", function, width, height,
         side);
  }
  const std::size_t bytes = static_cast<std::size_t>(height) * width * channels;
  if (a.size() != bytes || b.size() != bytes) {
    fail(wrong, "{}: pictures have {} and {} bytes; {}x{} RGB needs {}", function, a.size(),
         b.size(), width, height, bytes);
  }
}

}  // namespace

double psnr_db(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  if (a.size() != b.size() || a.empty()) {
    fail(ErrorCode::InvalidArgument,
         "psnr_db: pictures have {} and {} bytes; they must be equally many and not 0", a.size(),
         b.size());
  }
  std::uint64_t squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const std::int32_t difference = std::int32_t{a[i]} - std::int32_t{b[i]};
    squares += static_cast<std::uint32_t>(difference * difference);
  }
  if (squares == 0) return std::numeric_limits<double>::infinity();
  return 10 *
         std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / static_cast<double>(squares));
}

double ssim(std::span<const std::uint8_t> a_hwc, std::span<const std::uint8_t> b_hwc, int height,
            int width, SsimWindow window) {
  check_pictures("ssim", a_hwc, b_hwc, height, width,
                 window == SsimWindow::Uniform7 ? 7 : gauss_side);
  if (window == SsimWindow::Uniform7)
    return ssim_uniform(a_hwc.data(), b_hwc.data(), height, width);
  double sum = 0;
  for (const auto& channel : ssim_gaussian(a_hwc.data(), b_hwc.data(), height, width))
    sum += channel.ssim;
  return sum / channels;
}

double ms_ssim(std::span<const std::uint8_t> a_hwc, std::span<const std::uint8_t> b_hwc, int height,
               int width) {
  check_pictures("ms_ssim", a_hwc, b_hwc, height, width, gauss_side);
  constexpr std::array powers{0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
  std::size_t scales = 1;
  while (scales < powers.size() && std::min(height, width) >> scales >= gauss_side) ++scales;
  // All five are taken as published, though they sum to 1.0001.
  const double power_sum =
      scales == powers.size()
          ? 1
          : std::accumulate(powers.begin(), powers.begin() + static_cast<std::ptrdiff_t>(scales),
                            0.0);

  std::vector<double> a(a_hwc.begin(), a_hwc.end()), b(b_hwc.begin(), b_hwc.end());
  std::array<double, channels> product{1, 1, 1};
  for (std::size_t scale = 0; scale < scales; ++scale) {
    const auto means = ssim_gaussian(a.data(), b.data(), height, width);
    for (std::size_t c = 0; c < channels; ++c) {
      const double mean = scale + 1 < scales ? means[c].contrast : means[c].ssim;
      product[c] *= std::pow(std::max(mean, 0.0), powers[scale] / power_sum);
    }
    a = halved(a, height, width);
    b = halved(b, height, width);
    height /= 2;
    width /= 2;
  }
  return (product[0] + product[1] + product[2]) / channels;
}

}  // namespace veilnet::image
