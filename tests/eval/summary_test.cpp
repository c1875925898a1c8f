#include "eval/summary.h"

#include <cmath>
#include <limits>
#include <vector>

#include "support.h"

namespace veilnet::eval {
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

TEST(Summary, JsonRoundTripThroughText) {
  const auto s = summarise(std::vector<double>{0.1, 0.7, inf, 0.25, 1.0 / 3});
  const auto text = to_json(s).dump();
  EXPECT_NE(text.find("\"max\":\"inf\""), std::string::npos) << text;
  const auto back = summary_from_json(nlohmann::json::parse(text), "here");
  EXPECT_EQ(back.n, 5u);
  EXPECT_EQ(back.infinite, 1u);
  EXPECT_EQ(back.mean, s.mean);
  EXPECT_EQ(back.standard_deviation, s.standard_deviation);
  EXPECT_EQ(back.q1, s.q1);
  EXPECT_EQ(back.median, s.median);
  EXPECT_EQ(back.p99, s.p99);
  EXPECT_EQ(back.max, inf);
}

TEST(Summary, BadJsonNamesThePlace) {
  auto j = to_json(summarise(std::vector<double>{1, 2}));
  j["median"] = "many";
  test::expect_error(ErrorCode::BadData, {"models[0].ssim.median", "string"},
                     [&] { summary_from_json(j, "models[0].ssim"); });
  j.erase("median");
  test::expect_error(ErrorCode::BadData, {"models[0].ssim.median", "missing"},
                     [&] { summary_from_json(j, "models[0].ssim"); });
  j["n"] = -1;
  test::expect_error(ErrorCode::BadData, {"x.n", "-1"}, [&] { summary_from_json(j, "x"); });
  test::expect_error(ErrorCode::BadData, {"x", "array"},
                     [] { summary_from_json(nlohmann::json::array(), "x"); });
}

}  // namespace
}  // namespace veilnet::eval
