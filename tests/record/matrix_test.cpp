#include "record/matrix.h"

#include <gmock/gmock.h>

#include "record/matrices.h"
#include "support.h"

namespace veilnet::record {
namespace {

Bound some_bound() {
  Bound b;
  b.bits = 4;
  b.pictures = 10000;
  b.distinct = 16;
  b.psnr_db = 12.42;
  b.reidentified = {{"100", 0.1412}, {"1000", 0.016}, {"10000", 0.0016}, {"20", 0.5}};
  return b;
}

TEST(Bound, IsSaidOfEverySetOfCandidates) {
  auto b = some_bound();
  using testing::HasSubstr;
  EXPECT_THAT(to_text(b), HasSubstr("(16 among those of 10000 test pictures)"));
  EXPECT_THAT(to_text(b), HasSubstr("picked at most for 50 % of 20, 14.1 % of 100, 1.6 % of 1000, "
                                    "0.16 % of 10000"));
  EXPECT_THAT(to_text(b), testing::Not(HasSubstr("epsilon")));
  b.at_hand = 60000;
  b.distinct_at_hand = 16;
  EXPECT_THAT(to_text(b), HasSubstr("test pictures, 16 codes among all 60000 pictures at hand)"));
  b.epsilon = 8;
  b.kept = 0.995;
  EXPECT_THAT(to_text(b), HasSubstr("chance of epsilon 8 for each picture, which keeps 99.5 %"));
}

TEST(Bound, OfAsManyCandidatesOrFewerTheMost) {
  const auto b = some_bound();
  EXPECT_EQ(by_candidates(b).front(), std::pair(std::uint64_t{20}, 0.5));
  EXPECT_EQ(reidentified_at_most(b, 5000), 0.016);
  EXPECT_EQ(reidentified_at_most(b, 10000), 0.0016);
  EXPECT_EQ(reidentified_at_most(b, 20), 0.5);
  EXPECT_FALSE(reidentified_at_most(b, 19));
}

TEST(Leading, OneOverFewerPicturesLeadsBeyondItsIntervalOnly) {
  auto m = test::matrix();
  m.cells = {test::cell("le", "some", {0.3, 0.4}), test::cell("le", "all", {0.3, 0.32})};
  m.cells[0].n = 2;
  const auto reached = [](const Cell& c) { return reached_by(c, measure("ssim")); };
  EXPECT_EQ(leading(m, "le", reached)->attack, "all") << "0.35 of two pictures";
  m.cells[0].n = m.cells[1].n;
  EXPECT_EQ(leading(m, "le", reached)->attack, "some");
  m.cells[0].n = 2;
  m.cells[0].measures["ssim"] = test::summary({0.6, 0.6, 0.6, 0.61, 0.61});
  EXPECT_EQ(leading(m, "le", reached)->attack, "some") << "no chance of few pictures";
  EXPECT_EQ(leading(m, "other", reached), nullptr);
}

}  // namespace
}  // namespace veilnet::record
