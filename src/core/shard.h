// The share of a list of work that one of several processes does.
#pragma once

#include <cstddef>
#include <string>

namespace veilnet {

/// Of things that are counted from 0: first, first + step, first + 2 step, ...
struct Shard {
  std::size_t first = 0, step = 1;

  bool whole() const { return step == 1; }
  bool has(std::size_t i) const { return i % step == first; }
};

/// From "I/N", I from 1 to N: the I-th of N; the whole where `text` is empty.
/// @throws Error{InvalidArgument} for anything else, naming --shard.
Shard shard_of(const std::string& text);

}  // namespace veilnet
