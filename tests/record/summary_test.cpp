#include "record/summary.h"

#include <cmath>
#include <limits>
#include <vector>

#include "support.h"

namespace veilnet::record {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// Worked out by hand: deviations 9 + 4 + 1 + 0 + 36 = 50 over 5 values; position of the 1st
// percentile 0.04, of the 99th 3.96.
TEST(Summary, FiveValues) {
  const auto s = summarise(std::vector<double>{10, 3, 1, 4, 2});
  EXPECT_EQ(s.n, 5u);
  EXPECT_EQ(s.infinite, 0u);
  EXPECT_DOUBLE_EQ(s.mean, 4);
  EXPECT_DOUBLE_EQ(s.standard_deviation, std::sqrt(10.0));
  EXPECT_DOUBLE_EQ(s.min, 1);
  EXPECT_DOUBLE_EQ(s.p01, 1.04);
  EXPECT_DOUBLE_EQ(s.q1, 2);
  EXPECT_DOUBLE_EQ(s.median, 3);
  EXPECT_DOUBLE_EQ(s.q3, 4);
  EXPECT_DOUBLE_EQ(s.p99, 9.76);
  EXPECT_DOUBLE_EQ(s.max, 10);
}

TEST(Summary, InterpolatesBetweenNeighbours) {
  const auto s = summarise(std::vector<double>{1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(s.q1, 1.75);
  EXPECT_DOUBLE_EQ(s.median, 2.5);
  EXPECT_DOUBLE_EQ(s.q3, 3.25);
}

TEST(Summary, OneValue) {
  const auto s = summarise(std::vector<double>{7});
  EXPECT_EQ(s.n, 1u);
  for (const double v : {s.mean, s.min, s.p01, s.q1, s.median, s.q3, s.p99, s.max}) EXPECT_EQ(v, 7);
  EXPECT_EQ(s.standard_deviation, 0);
}

TEST(Summary, InfiniteValuesCountInOrderButNotInTheMean) {
  const auto s = summarise(std::vector<double>{1, inf, 3});
  EXPECT_EQ(s.n, 3u);
  EXPECT_EQ(s.infinite, 1u);
  EXPECT_DOUBLE_EQ(s.mean, 2);
  EXPECT_DOUBLE_EQ(s.standard_deviation, 1);
  EXPECT_DOUBLE_EQ(s.median, 3);
  EXPECT_EQ(s.q3, inf);
  EXPECT_EQ(s.max, inf);
  const auto all = summarise(std::vector<double>{inf, inf});
  EXPECT_EQ(all.mean, inf);
  EXPECT_EQ(all.median, inf);
  EXPECT_EQ(all.standard_deviation, 0);
  const auto low = summarise(std::vector<double>{-inf, 0});
  EXPECT_EQ(low.median, -inf);
}

TEST(Summary, RefusesNothingAndNaN) {
  test::expect_error(ErrorCode::InvalidArgument, {"no values"}, [] { summarise({}); });
  test::expect_error(ErrorCode::BadData, {"value 1", "not a number"}, [] {
    summarise(std::vector<double>{1, std::nan(""), 2});
  });
  test::expect_error(ErrorCode::InvalidArgument, {"no values"}, [] { quantile({}, 0.5); });
  test::expect_error(ErrorCode::InvalidArgument, {"1.5", "0 to 1"},
                     [] { quantile(std::vector<double>{1}, 1.5); });
}

TEST(Ranks, EqualValuesShareTheirPlace) {
  EXPECT_EQ(ranks(std::vector<double>{5, 1, 5, -inf, inf}),
            (std::vector<double>{3.5, 2, 3.5, 1, 5}));
  EXPECT_TRUE(ranks({}).empty());
  test::expect_error(ErrorCode::BadData, {"value 1"}, [] {
    ranks(std::vector<double>{1, std::numeric_limits<double>::quiet_NaN()});
  });
}

// Worked out by hand: ranks 1 2 3 4 against 2 1 4 3, squared differences 4, 1 - 6 * 4 / (4 * 15).
TEST(Ranks, CorrelationIsOfTheOrderAlone) {
  const auto of = [](std::vector<double> a, std::vector<double> b) {
    return rank_correlation(a, b);
  };
  EXPECT_DOUBLE_EQ(*of({1, 2, 3, 4}, {20, 10, 4000, 30}), 0.6);
  EXPECT_DOUBLE_EQ(*of({1, 2, 3}, {0.1, 0.2, inf}), 1);
  EXPECT_DOUBLE_EQ(*of({1, 2, 3}, {-1, -2, -3}), -1);
  EXPECT_FALSE(of({1, 2, 3}, {7, 7, 7}));
  EXPECT_FALSE(of({1}, {1}));
  test::expect_error(ErrorCode::InvalidArgument, {"2 values with 1"}, [&] { of({1, 2}, {1}); });
}

}  // namespace
}  // namespace veilnet::record
