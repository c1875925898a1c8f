// Limits that a model must keep, for those who attack their own model whenever it changes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/config.h"
#include "record/matrix.h"

namespace veilnet::report {

/// At most, what the strongest attack of each measure reaches: the median of a measure over
/// pictures, the share of one that is a share. Looking counts too; flagged figures count, as what
/// is reached is reached.
struct Limits {
  std::map<std::string, double> measures;  ///< by id of record/measures.h: "ssim", "named", ...
  std::optional<double> attribute;         ///< points above guessing, 0 to 1, of any attribute
  std::optional<double> accuracy;          ///< at least, of the service on protected pictures

  /// The table [limits] of a configuration: ids of measures, `attribute`, `accuracy`.
  /// @throws Error{InvalidArgument} for another key, a value out of the measure's range, and no
  /// limit at all.
  static Limits read(Config& config);
};

/// "itn on transform-a0.005: SSIM is 0.31, allowed at most 0.2", for each limit that is not kept,
/// and for each that nothing was measured for. Of a measure whose low values leak, the limit is the
/// least allowed. SSIM counts by its distance from 0, as an inverted picture shows as much.
std::vector<std::string> exceeded(const record::Matrix& matrix, const Limits& limits);

}  // namespace veilnet::report
