#include "image/batch.h"

#include <limits>
#include <numeric>

#include "support.h"

namespace veilnet::image {
namespace {

using veilnet::test::bytes;
using veilnet::test::expect_error;

Batch counting(int height, int width, std::size_t count) {
  Batch batch(height, width, count);
  const auto pixels = batch.pixels();
  std::iota(pixels.begin(), pixels.end(), std::uint8_t{0});
  return batch;
}

TEST(Batch, HoldsPicturesOneAfterTheOther) {
  const auto batch = counting(2, 4, 3);
  EXPECT_EQ(batch.count(), 3u);
  EXPECT_EQ(batch.picture_bytes(), 24u);
  EXPECT_EQ(batch.pixels().size(), 72u);
  ASSERT_EQ(batch.picture(2).size(), 24u);
  EXPECT_EQ(batch.picture(2)[0], 48);
  const auto image = batch.image(1);
  EXPECT_EQ(image.height, 2);
  EXPECT_EQ(image.width, 4);
  EXPECT_EQ(image.rgb, bytes(batch.picture(1)));
  EXPECT_EQ(Batch(2, 4, bytes(batch.pixels())), batch);
  EXPECT_NE(Batch(4, 2, bytes(batch.pixels())), batch);
  EXPECT_EQ(Batch().count(), 0u);
  EXPECT_EQ(Batch(2, 4).count(), 0u);
}

TEST(Batch, GrowsAndIsTakenApart) {
  const auto batch = counting(2, 3, 4);
  const std::vector<std::uint32_t> order = {2, 0, 2};
  const auto some = batch.subset(order);
  ASSERT_EQ(some.count(), 3u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(bytes(some.picture(i)), bytes(batch.picture(order[i])));
  Batch again(2, 3);
  again.append(batch.pixels().first(36));
  again.append(batch.image(2));
  again.append(batch.picture(3));
  EXPECT_EQ(again, batch);
  EXPECT_EQ(batch.subset({}).count(), 0u);
}

TEST(Batch, RefusesSidesBelowOne) {
  for (const auto& [height, width] : {std::pair{0, 5}, {5, -1}}) {
    expect_error(ErrorCode::InvalidArgument,
                 {std::to_string(width) + "x" + std::to_string(height), "at least 1"},
                 [&] { Batch(height, width, std::size_t{1}); });
  }
}

TEST(Batch, RefusesSizesThatOverflow) {
  constexpr int longest = std::numeric_limits<int>::max();
  expect_error(ErrorCode::InvalidArgument, {"addressed", std::to_string(longest)},
               [&] { Batch(longest, longest, std::size_t{1}); });
  expect_error(ErrorCode::InvalidArgument, {"addressed", "1000000000000000000"},
               [&] { Batch(2, 2, std::size_t{1'000'000'000'000'000'000}); });
}

TEST(Batch, RefusesBytesThatAreNoWholePictures) {
  expect_error(ErrorCode::InvalidArgument, {"25 bytes", "4x2", "24 bytes each"},
               [&] { Batch(2, 4, std::vector<std::uint8_t>(25)); });
  auto batch = counting(2, 4, 1);
  expect_error(ErrorCode::InvalidArgument, {"23 bytes"},
               [&] { batch.append(std::vector<std::uint8_t>(23)); });
  Batch none;
  expect_error(ErrorCode::InvalidArgument, {"24 bytes", "0x0"},
               [&] { none.append(batch.pixels()); });
  EXPECT_EQ(batch.count(), 1u);
}

TEST(Batch, RefusesPicturesOfAnotherSizeAndPositionsBeyondTheLast) {
  auto batch = counting(2, 4, 2);
  expect_error(ErrorCode::InvalidArgument, {"2x4", "4x2"},
               [&] { batch.append(counting(4, 2, 1).image(0)); });
  expect_error(ErrorCode::InvalidArgument, {"picture 2 of 2", "0 to 1"},
               [&] { batch.subset(std::vector<std::uint32_t>{2}); });
}

}  // namespace
}  // namespace veilnet::image
