#include "core/random.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <numbers>

namespace veilnet {

namespace {

/// splitmix64 (Steele, Lea, Flood 2014): advances `state` and returns the next value.
std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::initializer_list<std::uint64_t> seed_words) {
  // One word seeds as the authors of xoshiro256** recommend; each further word is added to a
  // thorough mix of those before it.
  std::uint64_t seed = 0;
  bool first = true;
  for (const std::uint64_t word : seed_words) {
    seed = first ? word : split_mix(seed) + word;
    first = false;
  }
  for (auto& word : state_) word = split_mix(seed);
}

std::uint64_t Random::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Random::below(std::uint64_t bound) {
  assert(bound > 0);
  // Lemire 2019: the high half of a 128-bit product, redrawn in the few cases that would favour
  // some values.
  using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(next()) * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t threshold = -bound % bound;
    while (static_cast<std::uint64_t>(product) < threshold)
      product = static_cast<Wide>(next()) * bound;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));  // 1 - uniform() is never 0
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace veilnet
