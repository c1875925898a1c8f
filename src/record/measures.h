// What can be measured of guesses at plain pictures, and how each measure is printed. A new measure
// is a line in measures.cpp beside the code that computes it.
#pragma once

#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "record/summary.h"

namespace veilnet::record {

struct Measure {
  std::string_view id;    ///< in records and code: "psnr_db"
  std::string_view name;  ///< in tables: "PSNR"
  std::string_view unit;  ///< "dB"; empty for none
  bool over_pictures;  ///< a value a picture, kept as a Summary; else a share of pictures, 0 to 1
  bool low_leaks;      ///< a low value leaks more: 0 is the plain picture itself
  double low, high;    ///< what values can be
  int decimals;        ///< of a share: of its per cent
  std::string_view text;  ///< what it says, for people

  /// Whether values far below 0 leak as those above: an inverted picture shows as much.
  bool inverts() const { return low < 0 && std::isfinite(low); }
};

std::span<const Measure> measures();
/// @throws Error{InvalidArgument} for an id that is not in the table.
const Measure& measure(std::string_view id);

/// What was measured, by id: a share of pictures, or a distribution over them.
using Figure = std::variant<double, Summary>;
using Figures = std::map<std::string, Figure>;

/// Absent or of the other kind: nothing.
const Summary* distribution(const Figures& figures, std::string_view id);
std::optional<double> share(const Figures& figures, std::string_view id);

/// How much a value of this measure leaks: the more, the higher, of whatever sign values are.
double leak(const Measure& measure, double value);

/// The end of a distribution that leaks most: its p99, or p01 where low values leak; for a measure
/// that may be negative (SSIM) whichever is farther from 0, as an inverted picture shows as much.
double worst_hundredth(const Measure& measure, const Summary& summary);

}  // namespace veilnet::record
