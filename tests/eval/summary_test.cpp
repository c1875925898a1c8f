#include "eval/summary.h"

#include <limits>
#include <vector>

#include "support.h"

namespace veilnet::eval {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

TEST(SummaryJson, JsonRoundTripThroughText) {
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

TEST(SummaryJson, BadJsonNamesThePlace) {
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
