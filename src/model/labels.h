// What logits say, the same wherever a label is given.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace veilnet::model {

/// Softmax, in double precision: shares that sum to one. @param logits one or more, finite.
std::vector<double> softmax(std::span<const float> logits);

/// Positions of the `most` largest values (all, where there are fewer), the largest first; of equal
/// ones the first comes first.
std::vector<std::size_t> largest(std::span<const float> values, std::size_t most);

}  // namespace veilnet::model
