#include "data/pairs.h"

#include "data/fixtures.h"

namespace veilnet::data {
namespace {

using namespace test;

TEST(Pairs, KeepBothPicturesOfAPairTogether) {
  const auto set = numbered(5, 2, 3, 2);
  auto turned = set.pictures;
  for (auto& value : turned.pixels()) value = static_cast<std::uint8_t>(255 - value);
  const Pairs pairs(turned, set.pictures);
  EXPECT_EQ(pairs.count(), 5u);
  const std::vector<std::uint32_t> positions = {3, 0, 3};
  const auto some = pairs.subset(positions);
  ASSERT_EQ(some.count(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(bytes(some.plain().picture(i)), bytes(set.image(positions[i])));
    EXPECT_EQ(bytes(some.protected_pictures().picture(i)), bytes(turned.picture(positions[i])));
  }
}

TEST(Pairs, RefuseOtherCountsAndSizes) {
  const image::Batch five(2, 3, 5), four(2, 3, 4), turned(3, 2, 5);
  expect_error(ErrorCode::InvalidArgument, {"4 protected", "5 plain", "equally many"},
               [&] { Pairs(four, five); });
  expect_error(ErrorCode::InvalidArgument, {"2x3", "3x2", "same size"},
               [&] { Pairs(turned, five); });
}

}  // namespace
}  // namespace veilnet::data
