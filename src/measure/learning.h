// Whether a classifier has learned anything that a transformation network could be built on.
#pragma once

#include <string>

#include "data/dataset.h"
#include "nn/model.h"

namespace veilnet::measure {

struct Learning {
  double validation = 0, training = 0;  ///< accuracies, 0 to 1, of pictures as they are
  double commonest = 0;  ///< the share that always naming the commonest class gets right
  size_t pictures = 0;   ///< that `validation` and `commonest` are over

  bool learned() const { return better_than_chance() && generalises(); }
  /// "learned: ..." or "did not learn: ..." with what decides it, a sentence for people.
  std::string text() const;

 private:
  // By more than two standard deviations of the commonest class.
  bool better_than_chance() const;
  // At least half of what it does better than chance on pictures it has seen, it does on new ones.
  bool generalises() const;
};

/// How the text begins for a classifier that nothing should be built on.
inline constexpr const char* kDidNotLearn = "did not learn";

/// @param split of `set`; up to 1,000 pictures of each part are looked at.
Learning look_at(const nn::Model& psi, const data::Dataset& set, const data::Split& split);

}  // namespace veilnet::measure
