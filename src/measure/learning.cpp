#include "measure/learning.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <vector>

#include "nn/infer.h"

namespace veilnet::measure {
namespace {

// Spread over all of them: they may be sorted.
data::Dataset some_of(const data::Dataset& set, const std::vector<uint32_t>& positions) {
  constexpr size_t kMost = 1000;
  std::vector<uint32_t> chosen(std::min(positions.size(), kMost));
  for (size_t i = 0; i < chosen.size(); ++i)
    chosen[i] = positions[i * positions.size() / chosen.size()];
  data::Dataset some{set.name, set.class_names, set.pictures.subset(chosen), {}};
  for (const auto i : chosen) some.labels.push_back(set.labels[i]);
  return some;
}

double accuracy(const nn::Model& psi, const data::Dataset& set) {
  return set.labels.empty() ? 0 : nn::accuracy(psi, set.pictures, set.labels);
}

}  // namespace

bool Learning::better_than_chance() const {
  const auto count = static_cast<double>(std::max<size_t>(pictures, 1));
  return validation > commonest + 2 * std::sqrt(commonest * (1 - commonest) / count);
}

bool Learning::generalises() const {
  return validation - commonest >= 0.5 * (training - commonest);
}

std::string Learning::text() const {
  const auto figures = fmt::format(
      "{:.1f} % of {} validation pictures right, {:.1f} % of training pictures; always the "
      "commonest class {:.1f} %",
      100 * validation, pictures, 100 * training, 100 * commonest);
  if (learned()) return "learned: " + figures;
  return fmt::format("{}: {} ({})", kDidNotLearn,
                     better_than_chance() ? "far worse on validation than on training pictures"
                                          : "no better than chance",
                     figures);
}

Learning look_at(const nn::Model& psi, const data::Dataset& set, const data::Split& split) {
  const auto validation = some_of(set, split.validation);
  Learning learning;
  learning.training = accuracy(psi, some_of(set, split.train));
  learning.validation = accuracy(psi, validation);
  learning.pictures = validation.size();
  for (size_t label = 0; label < set.class_names.size(); ++label) {
    const auto count = std::ranges::count(validation.labels, static_cast<int32_t>(label));
    learning.commonest = std::max(
        learning.commonest,
        static_cast<double>(count) / static_cast<double>(std::max<size_t>(1, learning.pictures)));
  }
  return learning;
}

}  // namespace veilnet::measure
