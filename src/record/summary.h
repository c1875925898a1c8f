// One distribution in a few numbers.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace veilnet::record {

/// The p-quantile (0 <= p <= 1) of values in ascending order, interpolated linearly between
/// neighbours: NumPy's default. An infinite neighbour with any weight gives infinity.
/// @throws Error{InvalidArgument} if there are no values or p is outside [0, 1].
double quantile(std::span<const double> ascending, double p);

struct Summary {
  std::size_t n = 0;  ///< all values, infinite ones included
  std::size_t infinite =
      0;            ///< how many of them are infinite: the PSNR of a perfect reconstruction
  double mean = 0;  ///< of the finite values; of all when none is finite
  double standard_deviation = 0;  ///< of the finite values, divided by their number (NumPy's
                                  ///< default); 0 when none is finite
  double min = 0, p01 = 0, q1 = 0, median = 0, q3 = 0, p99 = 0, max = 0;  ///< of all values
};

/// @throws Error{InvalidArgument} if there are no values, Error{BadData} naming the index of a NaN.
Summary summarise(std::span<const double> values);

/// The PSNR of the mean of the squared errors whose PSNRs these are, in dB: what a bound on the
/// mean squared error compares with, as a mean of PSNRs does not.
double psnr_of_mean_error(std::span<const double> psnr_db);

/// The place of each value in ascending order, from 1; equal values share the mean of theirs.
/// @throws Error{BadData} naming the index of a NaN.
std::vector<double> ranks(std::span<const double> values);

/// Spearman's correlation, -1 to 1: whether two measures order the same things alike. Nothing for
/// fewer than two or where one does not vary. @throws Error{InvalidArgument} for different numbers.
std::optional<double> rank_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace veilnet::record
