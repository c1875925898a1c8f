#include "record/measures.h"

#include <cmath>
#include <limits>

#include "core/error.h"

namespace veilnet::record {
namespace {

constexpr double kAny = std::numeric_limits<double>::infinity();

// In the order of the tables' columns.
constexpr Measure kMeasures[] = {
    {"psnr_db", "PSNR", "dB", true, false, -kAny, kAny, 2,
     "pixel-wise difference: 50 looks identical, 10 shares little more than brightness"},
    {"ssim", "SSIM, 7 x 7", "", true, false, -1, 1, 3,
     "local structure: 1 is the same picture, 0 is unrelated, strongly negative is inverted"},
    {"ssim_gaussian", "SSIM, Gaussian", "", true, false, -1, 1, 3,
     "the same through a window of 11 x 11 that fades out"},
    {"ms_ssim", "MS-SSIM", "", true, false, -1, 1, 3, "structure at several sizes"},
    {"feature_distance", "Feature distance", "", true, true, 0, kAny, 3,
     "what a network sees (phi's features): 0 is the same picture"},
    {"exact", "Exact", "%", false, false, 0, 1, 1, "share recovered bit for bit"},
    {"reidentified", "Re-identified", "%", false, false, 0, 1, 1,
     "share whose plain picture was picked out of the candidates"},
    {"named", "Named", "%", false, false, 0, 1, 1,
     "share that a classifier of plain pictures names correctly"},
};

}  // namespace

std::span<const Measure> measures() { return kMeasures; }

const Measure& measure(std::string_view id) {
  std::string known;
  for (const auto& m : kMeasures) {
    if (m.id == id) return m;
    known += (known.empty() ? "" : ", ") + std::string(m.id);
  }
  fail(ErrorCode::InvalidArgument, "there is no measure '{}'; allowed: {}", id, known);
}

const Summary* distribution(const Figures& figures, std::string_view id) {
  const auto it = figures.find(std::string(id));
  return it == figures.end() ? nullptr : std::get_if<Summary>(&it->second);
}

std::optional<double> share(const Figures& figures, std::string_view id) {
  const auto it = figures.find(std::string(id));
  const auto* value = it == figures.end() ? nullptr : std::get_if<double>(&it->second);
  return value ? std::optional(*value) : std::nullopt;
}

double leak(const Measure& m, double value) {
  if (m.inverts()) return std::abs(value);
  return m.low_leaks ? -value : value;
}

double worst_hundredth(const Measure& m, const Summary& s) {
  if (m.low_leaks) return s.p01;
  return m.inverts() && std::abs(s.p01) > std::abs(s.p99) ? s.p01 : s.p99;
}

}  // namespace veilnet::record
