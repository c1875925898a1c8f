// The seeded generator that every random decision outside LibTorch and outside key material draws
// from.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

namespace veilnet {

/// xoshiro256** (Blackman and Vigna 2018), seeded through splitmix64. Same sequence on every
/// platform. Not for keys.
///
/// Several seed words give independent streams: Random({seed, epoch, index}) makes the draws for
/// one picture of one epoch reproducible without any stored state.
class Random {
 public:
  explicit Random(std::uint64_t seed) : Random({seed}) {}
  explicit Random(std::initializer_list<std::uint64_t> seed_words);

  std::uint64_t next();
  /// Uniform in [0, bound), without modulo bias. bound must be positive.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal (Box-Muller, one value per call, no cached state).
  double normal();

  /// Fisher-Yates.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace veilnet
