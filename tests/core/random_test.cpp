#include "core/random.h"

#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <set>
#include <vector>

namespace veilnet {
namespace {

// From an independent implementation that gives the published outputs of xoshiro256** (state
// 1,2,3,4) and of splitmix64 (seed 1234567).
TEST(Random, GivesThePublishedSequence) {
  Random zero(0), forty_two(42);
  for (const std::uint64_t expected :
       {11091344671253066420u, 13793997310169335082u, 1900383378846508768u})
    EXPECT_EQ(zero.next(), expected);
  for (const std::uint64_t expected :
       {1546998764402558742u, 6990951692964543102u, 12544586762248559009u})
    EXPECT_EQ(forty_two.next(), expected);
}

TEST(Random, SeedWordsGiveDistinctReproducibleStreams) {
  std::set<std::uint64_t> first_draws;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    first_draws.insert(Random(seed).next());
    for (std::uint64_t epoch = 0; epoch < 30; ++epoch) {
      first_draws.insert(Random({seed, epoch}).next());
      for (std::uint64_t index = 0; index < 30; ++index)
        first_draws.insert(Random({seed, epoch, index}).next());
    }
  }
  EXPECT_EQ(first_draws.size(), 4u * (1 + 30 + 900));
  EXPECT_EQ(Random({1, 2, 3}).next(), Random({1, 2, 3}).next());
}

TEST(Random, NeighbouringStreamsAreNotCorrelated) {
  double sum = 0;
  constexpr int count = 20'000;
  for (std::uint64_t i = 0; i < count; ++i)
    sum += (Random({7, i}).uniform() - 0.5) * (Random({7, i + 1}).uniform() - 0.5);
  EXPECT_NEAR(sum / count * 12, 0, 5 / std::sqrt(count));
}

TEST(Random, BelowStaysBelowAndIsEven) {
  Random random(1);
  EXPECT_EQ(random.below(1), 0u);
  std::map<std::uint64_t, int> counts;
  for (int i = 0; i < 60'000; ++i) ++counts[random.below(6)];
  ASSERT_EQ(counts.size(), 6u);
  EXPECT_LT(counts.rbegin()->first, 6u);
  for (const auto& [value, count] : counts) EXPECT_NEAR(count, 10'000, 500);
}

TEST(Random, BelowHasNoModuloBias) {
  // With plain modulo, the lower third of this range would come up twice as often as each of the
  // others.
  Random random(2);
  const std::uint64_t bound = 3ull << 62;
  int low = 0;
  for (int i = 0; i < 40'000; ++i) {
    const auto value = random.below(bound);
    ASSERT_LT(value, bound);
    low += value < bound / 3;
  }
  EXPECT_NEAR(low, 40'000 / 3.0, 500);
}

TEST(Random, UniformAndNormalHaveTheirMoments) {
  Random random(3);
  double sum = 0, squares = 0, low = 1, high = 0;
  constexpr int count = 200'000;
  for (int i = 0; i < count; ++i) {
    const double u = random.uniform();
    low = std::min(low, u);
    high = std::max(high, u);
    sum += u;
    squares += u * u;
  }
  EXPECT_GE(low, 0);
  EXPECT_LT(high, 1);
  EXPECT_NEAR(sum / count, 0.5, 0.004);
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.004);

  double first = 0, second = 0, third = 0, fourth = 0;
  for (int i = 0; i < count; ++i) {
    const double z = random.normal();
    ASSERT_TRUE(std::isfinite(z));
    first += z;
    second += z * z;
    third += z * z * z;
    fourth += z * z * z * z;
  }
  EXPECT_NEAR(first / count, 0, 0.015);
  EXPECT_NEAR(second / count, 1, 0.02);
  EXPECT_NEAR(third / count, 0, 0.05);
  EXPECT_NEAR(fourth / count, 3, 0.15);
}

TEST(Random, UniformRange) {
  Random random(4);
  for (int i = 0; i < 1000; ++i) {
    const double value = random.uniform(-2, 3);
    EXPECT_GE(value, -2);
    EXPECT_LT(value, 3);
  }
}

TEST(Random, ShuffleGivesEveryPermutationEqually) {
  Random random(5);
  std::map<std::vector<int>, int> counts;
  for (int i = 0; i < 24'000; ++i) {
    std::vector<int> values{0, 1, 2, 3};
    random.shuffle(std::span<int>(values));
    ++counts[values];
  }
  ASSERT_EQ(counts.size(), 24u);
  for (const auto& [permutation, count] : counts) EXPECT_NEAR(count, 1000, 160);
}

TEST(Random, ShuffleOfNothing) {
  Random random(6);
  std::vector<int> none;
  random.shuffle(std::span<int>(none));
  EXPECT_EQ(random.next(), Random(6).next());
}

}  // namespace
}  // namespace veilnet
