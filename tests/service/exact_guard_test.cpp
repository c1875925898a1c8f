#include "service/exact_guard.h"

#include <gtest/gtest.h>

namespace veilnet::service {
namespace {

TEST(ExactGuard, HoldsItsPicturesAndNoOther) {
  image::Batch pictures(2, 3);  // four, of which two are the same
  for (int code = 0; code < 4; ++code)
    pictures.append(std::vector<uint8_t>(18, static_cast<uint8_t>(code / 2)));
  const ExactGuard guard(pictures);
  EXPECT_EQ(guard.pictures(), 2u);
  std::vector<uint8_t> pixels(18, 1);
  EXPECT_TRUE(guard.holds(pixels));
  pixels[17] = 0;
  EXPECT_FALSE(guard.holds(pixels));
  EXPECT_FALSE(guard.holds(std::vector<uint8_t>(18, 2)));
}

}  // namespace
}  // namespace veilnet::service
