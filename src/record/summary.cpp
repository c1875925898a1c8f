#include "record/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"

namespace veilnet::record {

double quantile(std::span<const double> ascending, double p) {
  if (ascending.empty()) fail(ErrorCode::InvalidArgument, "quantile: no values");
  if (!(p >= 0 && p <= 1))
    fail(ErrorCode::InvalidArgument, "quantile: p is {}, allowed is 0 to 1", p);
  const double position = p * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double weight = position - static_cast<double>(below);
  const double low = ascending[below];
  // The early return also keeps infinity times zero and infinity minus infinity out.
  if (weight == 0 || std::isinf(low) || ascending[below + 1] == low) return low;
  return low + (ascending[below + 1] - low) * weight;
}

Summary summarise(std::span<const double> values) {
  if (values.empty()) fail(ErrorCode::InvalidArgument, "summarise: no values");
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i])) fail(ErrorCode::BadData, "summarise: value {} is not a number", i);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());

  Summary s;
  s.n = sorted.size();
  double sum = 0;
  for (const double v : sorted) {
    if (std::isinf(v)) {
      ++s.infinite;
    } else {
      sum += v;
    }
  }
  if (s.infinite == s.n) {
    s.mean =
        sorted.front() == sorted.back() ? sorted.front() : std::numeric_limits<double>::quiet_NaN();
  } else {
    const auto finite = static_cast<double>(s.n - s.infinite);
    s.mean = sum / finite;
    double squares = 0;
    for (const double v : sorted)
      if (std::isfinite(v)) squares += (v - s.mean) * (v - s.mean);
    s.standard_deviation = std::sqrt(squares / finite);
  }
  s.min = sorted.front();
  s.p01 = quantile(sorted, 0.01);
  s.q1 = quantile(sorted, 0.25);
  s.median = quantile(sorted, 0.5);
  s.q3 = quantile(sorted, 0.75);
  s.p99 = quantile(sorted, 0.99);
  s.max = sorted.back();
  return s;
}

double psnr_of_mean_error(std::span<const double> psnr_db) {
  double sum = 0;
  for (const double db : psnr_db) sum += std::pow(10, -db / 10);
  return -10 * std::log10(sum / static_cast<double>(psnr_db.size()));
}

std::vector<double> ranks(std::span<const double> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i])) fail(ErrorCode::BadData, "ranks: value {} is not a number", i);
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> out(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i)
      out[order[i]] = static_cast<double>(begin + end + 1) / 2;
  }
  return out;
}

std::optional<double> rank_correlation(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size())
    fail(ErrorCode::InvalidArgument, "rank correlation of {} values with {}; allowed: as many",
         a.size(), b.size());
  if (a.size() < 2) return std::nullopt;
  const auto x = ranks(a), y = ranks(b);
  const double mean = static_cast<double>(a.size() + 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (xx == 0 || yy == 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

}  // namespace veilnet::record
