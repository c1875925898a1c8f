#include "record/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

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

}  // namespace veilnet::record
