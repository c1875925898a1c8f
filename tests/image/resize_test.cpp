#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "encoders.h"
#include "support.h"

namespace veilnet::image {
namespace {

using test::Bytes;
using test::gradient;
using veilnet::test::expect_error;

Image noise(int height, int width, std::uint64_t seed) {
  Random random(seed);
  Image image{height, width, Bytes(static_cast<std::size_t>(height) * width * 3)};
  for (auto& value : image.rgb) value = static_cast<std::uint8_t>(random.below(256));
  return image;
}

Image one_row(const Bytes& grey) {
  Image image{1, static_cast<int>(grey.size()), {}};
  for (const auto value : grey) image.rgb.insert(image.rgb.end(), 3, value);
  return image;
}

/// The weight of input k in output i, straight from the definition of each filter.
double weight(int input, int output, int i, int k) {
  const double step = static_cast<double>(input) / output;
  if (step > 1)
    return std::max(0.0, std::min((i + 1) * step, k + 1.0) - std::max<double>(i * step, k)) / step;
  const double centre = std::clamp((i + 0.5) * step - 0.5, 0.0, input - 1.0);
  return std::max(0.0, 1 - std::abs(centre - k));
}

/// Plain four-fold loop in double, to test the separable version against.
double ref_resized(const Image& image, int height, int width, int y, int x, int c) {
  double sum = 0;
  for (int ky = 0; ky < image.height; ++ky)
    for (int kx = 0; kx < image.width; ++kx)
      sum += weight(image.height, height, y, ky) * weight(image.width, width, x, kx) *
             image.rgb[static_cast<std::size_t>((ky * image.width + kx) * 3 + c)];
  return sum;
}

TEST(Resize, KnownValues) {
  EXPECT_EQ(resize(one_row({0, 100, 200, 100}), 1, 2).rgb, one_row({50, 150}).rgb);
  EXPECT_EQ(resize(one_row({0, 90, 240}), 1, 2).rgb, one_row({30, 190}).rgb);
  EXPECT_EQ(resize(one_row({0, 100}), 1, 4).rgb, one_row({0, 25, 75, 100}).rgb);
  EXPECT_EQ(resize(one_row({7}), 3, 5).rgb, Bytes(45, 7));
}

TEST(Resize, SameSizeIsTheSamePicture) {
  const auto image = noise(13, 7, 1);
  EXPECT_EQ(resize(image, 13, 7).rgb, image.rgb);
  EXPECT_EQ(resize_and_crop(image, 13, 7).rgb, image.rgb);
}

TEST(Resize, ConstantStaysConstant) {
  for (const std::uint8_t value : {0, 1, 127, 254, 255}) {
    const Image image{11, 17, Bytes(11 * 17 * 3, value)};
    for (const auto& [height, width] : {std::pair{1, 1}, {5, 40}, {32, 32}, {3, 17}})
      EXPECT_EQ(resize(image, height, width).rgb,
                Bytes(static_cast<std::size_t>(height) * width * 3, value));
  }
}

TEST(Resize, MatchesThePlainVersion) {
  const auto image = noise(9, 14, 2);
  for (const auto& [height, width] :
       {std::pair{9, 14}, {4, 5}, {20, 31}, {4, 31}, {20, 5}, {1, 1}, {8, 13}, {10, 15}}) {
    const auto got = resize(image, height, width);
    ASSERT_EQ(got.height, height);
    ASSERT_EQ(got.width, width);
    ASSERT_EQ(got.rgb.size(), static_cast<std::size_t>(height) * width * 3);
    std::size_t i = 0;
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < 3; ++c)
          ASSERT_NEAR(got.rgb[i++], ref_resized(image, height, width, y, x, c), 0.5 + 1e-3)
              << height << "x" << width;
  }
}

TEST(Resize, RefusesEmptySides) {
  const auto image = gradient(4, 4);
  expect_error(ErrorCode::InvalidArgument, {"resize", "3x0", "at least 1"},
               [&] { resize(image, 0, 3); });
  expect_error(ErrorCode::InvalidArgument, {"resize_and_crop", "-1x3"},
               [&] { resize_and_crop(image, 3, -1); });
  expect_error(ErrorCode::InvalidArgument, {"resize", "0x0 with 0 bytes"},
               [] { resize({}, 3, 3); });
  expect_error(ErrorCode::InvalidArgument, {"resize_and_crop", "2x2 with 5 bytes"}, [] {
    resize_and_crop({2, 2, Bytes(5)}, 3, 3);
  });
}

Image crop_centre(const Image& image, int height, int width) {
  const int top = (image.height - height) / 2, left = (image.width - width) / 2;
  Image result{height, width, {}};
  for (int y = 0; y < height; ++y) {
    const auto row = image.rgb.begin() + ((top + y) * image.width + left) * 3;
    result.rgb.insert(result.rgb.end(), row, row + width * 3);
  }
  return result;
}

TEST(ResizeAndCrop, EqualsResizingAndThenCropping) {
  for (const auto& [ih, iw] : {std::pair{40, 60}, {60, 40}, {10, 25}, {33, 32}, {7, 90}}) {
    const auto image = noise(ih, iw, 3);
    for (const auto& [height, width] : {std::pair{32, 32}, {16, 48}, {5, 5}}) {
      const double scale = std::max(double(height) / ih, double(width) / iw);
      const int scaled_h = std::max(height, static_cast<int>(std::lround(ih * scale)));
      const int scaled_w = std::max(width, static_cast<int>(std::lround(iw * scale)));
      const auto expected = crop_centre(resize(image, scaled_h, scaled_w), height, width);
      const auto got = resize_and_crop(image, height, width);
      ASSERT_EQ(got.height, height);
      ASSERT_EQ(got.width, width);
      int largest = 0;
      for (std::size_t i = 0; i < got.rgb.size(); ++i)
        largest = std::max(largest, std::abs(got.rgb[i] - expected.rgb[i]));
      EXPECT_LE(largest, 1) << ih << "x" << iw << " to " << height << "x" << width;
    }
  }
}

TEST(ResizeAndCrop, OnlyCropsWhereNoScalingIsNeeded) {
  const auto image = noise(32, 47, 4);
  EXPECT_EQ(resize_and_crop(image, 32, 32).rgb, crop_centre(image, 32, 32).rgb);
}

TEST(ResizeAndCrop, ExtremeShapesStayCheap) {
  const Image thin{1, 32768, Bytes(32768 * 3, 9)};
  EXPECT_EQ(resize_and_crop(thin, 224, 224).rgb,
            Bytes(224 * 224 * 3, 9));  // the scaled picture would have 5 GB
}

TEST(Tile, PlacesFramesAndEnlarges) {
  const Image black{1, 2, Bytes(6, 0)}, grey{1, 2, Bytes(6, 100)}, dark{1, 2, Bytes(6, 50)};
  const auto grid = tile(std::vector{black, grey, dark}, 2, 1, 2);
  ASSERT_EQ(grid.height, 2 * 2 + 3);
  ASSERT_EQ(grid.width, 2 * 4 + 3);
  const std::string expected =
      "wwwwwwwwwww"
      "wbbbbwggggw"
      "wbbbbwggggw"
      "wwwwwwwwwww"
      "wddddwwwwww"
      "wddddwwwwww"
      "wwwwwwwwwww";
  ASSERT_EQ(grid.rgb.size(), expected.size() * 3);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const int value = expected[i] == 'w'   ? 255
                      : expected[i] == 'b' ? 0
                      : expected[i] == 'g' ? 100
                                           : 50;
    for (std::size_t c = 0; c < 3; ++c) ASSERT_EQ(grid.rgb[3 * i + c], value) << i;
  }
}

TEST(Tile, OnePictureWithoutFrameIsThePicture) {
  const auto image = noise(5, 4, 5);
  const auto same = tile(std::vector{image}, 10, 0, 1);
  EXPECT_EQ(same.width, 4);
  EXPECT_EQ(same.rgb, image.rgb);
}

TEST(Tile, RefusesWhatCannotBeTiled) {
  const auto code = ErrorCode::InvalidArgument;
  const auto image = gradient(2, 2);
  expect_error(code, {"tile", "no pictures"}, [] { tile({}, 3); });
  expect_error(code, {"tile", "3x2", "2x2", "one size"}, [&] {
    tile(std::vector{image, gradient(2, 3)}, 3);
  });
  expect_error(code, {"tile", "0 bytes"}, [] { tile(std::vector{Image{}}, 3); });
  expect_error(code, {"columns 0"}, [&] { tile(std::vector{image}, 0); });
  expect_error(code, {"gap -1"}, [&] { tile(std::vector{image}, 1, -1); });
  expect_error(code, {"scale 0"}, [&] { tile(std::vector{image}, 1, 0, 0); });
}

}  // namespace
}  // namespace veilnet::image
