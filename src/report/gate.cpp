#include "report/gate.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "report/verdict.h"

namespace veilnet::report {
namespace {

std::optional<double> figure_of(const record::Measure& measure, const record::Figures& figures) {
  if (!measure.over_pictures) return record::share(figures, measure.id);
  const auto* summary = record::distribution(figures, measure.id);
  if (!summary) return std::nullopt;
  return measure.inverts() ? std::abs(summary->median) : summary->median;
}

// What a limit is about: who picks among candidates has them already and rebuilds nothing, and that
// a classifier names what h made to be named is no leak (report/verdict.h).
bool counts(const record::Matrix& matrix, const record::Cell& cell,
            const record::Measure& measure) {
  if (!cell.refused.empty() || (cell.picks() && measure.id != "reidentified")) return false;
  const auto* protection = matrix.protection(cell.protection);
  return measure.id != "named" || !protection || !made_to_be_named(matrix, *protection);
}

}  // namespace

Limits Limits::read(Config& config) {
  Limits limits;
  const auto optional = [&](const std::string& key, double low, double high) {
    const bool given = config.has(key);
    const double value = config.get_double(key, low, low, high);
    return given ? std::optional(value) : std::nullopt;
  };
  for (const auto& measure : record::measures()) {
    const auto id = std::string(measure.id);
    const auto limit = optional("limits." + id, std::max(measure.low, 0.0), measure.high);
    if (limit) limits.measures[id] = *limit;
  }
  limits.attribute = optional("limits.attribute", 0, 1);
  limits.accuracy = optional("limits.accuracy", 0, 1);
  config.refuse_unknown();
  if (limits.measures.empty() && !limits.attribute && !limits.accuracy)
    fail(ErrorCode::InvalidArgument,
         "[limits] sets no limit; allowed: a measure, for instance "
         "ssim, or attribute or accuracy");
  return limits;
}

std::vector<std::string> exceeded(const record::Matrix& matrix, const Limits& limits) {
  std::vector<std::string> out;
  for (const auto& [id, limit] : limits.measures) {
    const auto& measure = record::measure(id);
    const record::Cell* worst = nullptr;
    double most = 0;
    for (const auto& cell : matrix.cells) {
      const auto value = figure_of(measure, cell.measures);
      if (!value || !counts(matrix, cell, measure)) continue;
      if (worst && record::leak(measure, *value) <= record::leak(measure, most)) continue;
      worst = &cell;
      most = *value;
    }
    if (!worst) {
      if (id == "named" && !matrix.protections.empty() &&
          std::ranges::all_of(matrix.protections,
                              [&](const auto& p) { return made_to_be_named(matrix, p); }))
        continue;
      out.push_back(fmt::format("{}: nothing was measured; the limit is {}", measure.name, limit));
    } else if (measure.low_leaks ? most < limit : most > limit) {
      out.push_back(fmt::format("{} on {}: {} is {:.4g}, allowed {} {}", worst->attack,
                                worst->protection, measure.name, most,
                                measure.low_leaks ? "at least" : "at most", limit));
    }
  }
  if (limits.attribute) {
    for (const auto& a : matrix.attributes)
      if (a.accuracy - a.chance > *limits.attribute)
        out.push_back(fmt::format("{} on {}: named right {:.4g} above guessing, allowed at most {}",
                                  a.attribute, a.protection, a.accuracy - a.chance,
                                  *limits.attribute));
    if (matrix.attributes.empty())
      out.push_back(
          fmt::format("attributes: nothing was measured; the limit is {}", *limits.attribute));
  }
  if (limits.accuracy) {
    for (const auto& p : matrix.protections) {
      if (!p.accuracy)
        out.push_back(fmt::format("{}: accuracy was not measured; the limit is {}", p.label,
                                  *limits.accuracy));
      else if (*p.accuracy < *limits.accuracy)
        out.push_back(fmt::format("{}: accuracy is {:.4g}, allowed at least {}", p.label,
                                  *p.accuracy, *limits.accuracy));
    }
  }
  return out;
}

}  // namespace veilnet::report
