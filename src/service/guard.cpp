#include "service/guard.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

#include "core/error.h"
#include "core/safetensors.h"
#include "core/text.h"

namespace veilnet::service {
namespace {

constexpr std::string_view kFormat = "veilnet-guard";
constexpr std::string_view kVersion = "1";  // of the statistics
constexpr int kGrid = 4, kBins = 8;
constexpr int kLeast = 8;
constexpr size_t kFewest = 1000;
// Added to the variances, so that a statistic that hardly varies among h's outputs does not decide
// alone.
constexpr double kRidge = 1e-3;

}  // namespace

std::vector<float> picture_statistics(std::span<const uint8_t> pixels, int height, int width) {
  const auto at = [&](int y, int x, int c) {
    return static_cast<int>(pixels[static_cast<size_t>((y * width + x) * 3 + c)]);
  };
  const double count = static_cast<double>(height) * width;
  std::vector<float> all;
  const auto add = [&](double value) { all.push_back(static_cast<float>(value)); };
  std::array<double, 3> mean{}, deviation{};
  for (int c = 0; c < 3; ++c) {
    std::array<int64_t, kBins> bins{};
    std::array<int64_t, 4> phases{};
    std::array<int64_t, 6> steps{};  // |x - neighbour|: right 1, 2; below 1, 2; the two diagonals
    int64_t sum = 0, squares = 0, clipped = 0;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const int v = at(y, x, c);
        sum += v;
        squares += v * v;
        ++bins[static_cast<size_t>(v * kBins / 256)];
        clipped += v < 4 || v > 251;
        phases[static_cast<size_t>(y % 2 * 2 + x % 2)] += v;
        if (x + 1 < width) steps[0] += std::abs(v - at(y, x + 1, c));
        if (x + 2 < width) steps[1] += std::abs(v - at(y, x + 2, c));
        if (y + 1 < height) steps[2] += std::abs(v - at(y + 1, x, c));
        if (y + 2 < height) steps[3] += std::abs(v - at(y + 2, x, c));
        if (y + 1 < height && x + 1 < width) steps[4] += std::abs(v - at(y + 1, x + 1, c));
        if (y + 1 < height && x > 0) steps[5] += std::abs(v - at(y + 1, x - 1, c));
      }
    }
    const auto channel = static_cast<size_t>(c);
    mean[channel] = static_cast<double>(sum) / count;
    deviation[channel] = std::sqrt(
        std::max(0.0, static_cast<double>(squares) / count - mean[channel] * mean[channel]));
    add(mean[channel] / 64);
    add(deviation[channel] / 32);
    add(static_cast<double>(clipped) / count * 4);
    for (const auto bin : bins) add(std::sqrt(static_cast<double>(bin) / count) * 4);
    for (const auto phase : phases)
      add((static_cast<double>(phase) / (count / 4) - mean[channel]) / 16);
    for (const auto step : steps)
      add(std::log1p(static_cast<double>(step) / count) - std::log1p(deviation[channel]));
  }
  for (const auto& [a, b] : {std::pair(0, 1), std::pair(1, 2), std::pair(0, 2)}) {
    int64_t products = 0;
    for (size_t i = 0; i < pixels.size(); i += 3)
      products += pixels[i + static_cast<size_t>(a)] * pixels[i + static_cast<size_t>(b)];
    const auto one = static_cast<size_t>(a), other = static_cast<size_t>(b);
    add((static_cast<double>(products) / count - mean[one] * mean[other]) /
        (deviation[one] * deviation[other] + 16) * 2);
  }
  for (int gy = 0; gy < kGrid; ++gy)
    for (int gx = 0; gx < kGrid; ++gx) {
      const int y0 = gy * height / kGrid, y1 = (gy + 1) * height / kGrid;
      const int x0 = gx * width / kGrid, x1 = (gx + 1) * width / kGrid;
      const double cell = static_cast<double>(y1 - y0) * (x1 - x0);
      double squares = 0, between = 0;
      for (int c = 0; c < 3; ++c) {
        int64_t sum = 0, square = 0;
        for (int y = y0; y < y1; ++y)
          for (int x = x0; x < x1; ++x) {
            sum += at(y, x, c);
            square += at(y, x, c) * at(y, x, c);
          }
        const double own = static_cast<double>(sum) / cell;
        add((own - mean[static_cast<size_t>(c)]) / 32);
        squares += static_cast<double>(square) / cell;
        between += own * own;
      }
      add(std::sqrt(std::max(0.0, squares - between)) / 32);
    }
  return all;
}

Guard Guard::fit(const image::Batch& fitted, const image::Batch& held_out, double false_alarms) {
  if (!fitted.same_size(held_out) || fitted.height() < kLeast || fitted.width() < kLeast)
    fail(ErrorCode::InvalidArgument, "a guard is fitted to pictures of one size, with sides of {}",
         kLeast);
  if (std::min(fitted.count(), held_out.count()) < kFewest)
    fail(ErrorCode::InvalidArgument,
         "a guard needs {} pictures and as many others; there are {} and {}", kFewest,
         fitted.count(), held_out.count());
  const int height = fitted.height(), width = fitted.width();
  const auto first = picture_statistics(fitted.picture(0), height, width);
  const size_t d = first.size();
  std::vector<double> sum(d), products(d * d);
  for (size_t n = 0; n < fitted.count(); ++n) {
    const auto x = picture_statistics(fitted.picture(n), height, width);
    for (size_t i = 0; i < d; ++i) {
      // Of differences to the first, whose squares are small.
      const double xi = x[i] - first[i];
      sum[i] += xi;
      for (size_t j = 0; j <= i; ++j) products[i * d + j] += xi * (x[j] - first[j]);
    }
  }
  const auto count = static_cast<double>(fitted.count());
  Guard guard;
  std::vector<double> factor(d * d);
  for (size_t i = 0; i < d; ++i) {
    guard.mean_.push_back(static_cast<float>(first[i] + sum[i] / count));
    for (size_t j = 0; j <= i; ++j) {
      double value = products[i * d + j] / count - sum[i] * sum[j] / count / count;
      if (i == j) value += kRidge;
      for (size_t k = 0; k < j; ++k) value -= factor[i * d + k] * factor[j * d + k];
      factor[i * d + j] = i == j ? std::sqrt(value) : value / factor[j * d + j];
    }
  }
  // The inverse of the lower triangle, column by column.
  guard.whitening_.assign(d * d, 0);
  std::vector<double> inverse(d * d);
  for (size_t j = 0; j < d; ++j)
    for (size_t i = j; i < d; ++i) {
      double value = i == j ? 1 : 0;
      for (size_t k = j; k < i; ++k) value -= factor[i * d + k] * inverse[k * d + j];
      inverse[i * d + j] = value / factor[i * d + i];
      guard.whitening_[i * d + j] = static_cast<float>(inverse[i * d + j]);
    }
  std::vector<double> distances;
  for (size_t n = 0; n < held_out.count(); ++n)
    distances.push_back(guard.distance(held_out.picture(n), height, width));
  std::ranges::sort(distances, std::ranges::greater());
  guard.threshold_ = distances[std::min(
      distances.size() - 1,
      static_cast<size_t>(false_alarms * static_cast<double>(distances.size())))];
  return guard;
}

double Guard::distance(std::span<const uint8_t> pixels_hwc, int height, int width) const {
  auto x = picture_statistics(pixels_hwc, height, width);
  const size_t d = mean_.size();
  for (size_t i = 0; i < d; ++i) x[i] -= mean_[i];
  double total = 0;
  for (size_t i = 0; i < d; ++i) {
    const float* row = whitening_.data() + i * d;
    float value = 0;
    for (size_t j = 0; j <= i; ++j) value += row[j] * x[j];
    total += static_cast<double>(value) * value;
  }
  return total / static_cast<double>(d);
}

void Guard::save(const std::filesystem::path& path, const std::map<std::string, std::string>& notes,
                 Overwrite overwrite) const {
  const auto d = static_cast<int64_t>(mean_.size());
  const auto bytes = [](const std::vector<float>& values) {
    return std::span(reinterpret_cast<const uint8_t*>(values.data()),
                     values.size() * sizeof(float));
  };
  const std::vector<TensorView> tensors{{"mean", DType::F32, {d}, bytes(mean_)},
                                        {"whitening", DType::F32, {d, d}, bytes(whitening_)}};
  auto metadata = notes;
  metadata["format"] = std::string(kFormat);
  metadata["format_version"] = std::string(kVersion);
  metadata["threshold"] = fmt::format("{}", threshold_);
  save_safetensors(path, tensors, metadata, overwrite);
}

Guard Guard::load(const std::filesystem::path& path, const std::string& psi_sha256) {
  const auto file = Safetensors::load(path);
  const auto text = [&](const std::string& key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? std::string() : found->second;
  };
  if (text("format") != kFormat || text("format_version") != kVersion)
    fail(ErrorCode::BadData, "{}: is no guard of version {}; make it anew with veilnet guard",
         file.name(), kVersion);
  if (text("classifier_sha256") != psi_sha256)
    fail(ErrorCode::BadData, "{}: is the guard of the classifier {}, not of {}", file.name(),
         printable(text("classifier_sha256"), 64), psi_sha256);
  const auto d =
      picture_statistics(std::vector<uint8_t>(size_t{3} * kLeast * kLeast), kLeast, kLeast).size();
  Guard guard;
  const auto read = [&](const std::string& name, std::vector<int64_t> shape, size_t count) {
    const auto& view = file.at(name);
    if (view.dtype != DType::F32 || view.shape != shape)
      fail(ErrorCode::BadData, "{}: tensor \"{}\" has not the shape of a guard's", file.name(),
           name);
    std::vector<float> values(count);
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); }))
      fail(ErrorCode::BadData, "{}: tensor \"{}\" holds a value that is not finite", file.name(),
           name);
    return values;
  };
  const auto side = static_cast<int64_t>(d);
  guard.mean_ = read("mean", {side}, d);
  guard.whitening_ = read("whitening", {side, side}, d * d);
  const auto threshold = text("threshold");
  const auto [end, error] =
      std::from_chars(threshold.data(), threshold.data() + threshold.size(), guard.threshold_);
  if (error != std::errc() || end != threshold.data() + threshold.size() ||
      !(guard.threshold_ > 0) || !std::isfinite(guard.threshold_))
    fail(ErrorCode::BadData, "{}: threshold is \"{}\"; expected a positive number", file.name(),
         printable(threshold, 40));
  return guard;
}

}  // namespace veilnet::service
