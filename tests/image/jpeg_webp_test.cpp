#include <cmath>

#include "encoders.h"
#include "image/metrics.h"
#include "support.h"

namespace veilnet::image {
namespace {

using test::Bytes;
using test::encode_jpeg;
using test::gradient;
using veilnet::test::expect_error;

Image decoded(const Bytes& bytes, const DecodeLimits& limits = {}) {
  return decode(bytes, "x", limits);
}

/// A picture without hard edges, which lossy coding keeps nearly unchanged.
Image smooth(int height, int width) {
  Image image{height, width, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<std::uint8_t>(60 + 50 * c + 2 * y - x));
  return image;
}

void expect_close(const Image& got, const Image& expected, double min_psnr_db) {
  ASSERT_EQ(got.height, expected.height);
  ASSERT_EQ(got.width, expected.width);
  ASSERT_EQ(got.rgb.size(), expected.rgb.size());
  EXPECT_GE(psnr_db(got.rgb, expected.rgb), min_psnr_db);
}

TEST(Jpeg, ReadsColourOfEverySize) {
  for (const auto& [height, width] : {std::pair{1, 1}, {7, 5}, {16, 16}, {33, 17}})
    for (const bool progressive : {false, true})
      expect_close(decoded(encode_jpeg(smooth(height, width), progressive)), smooth(height, width),
                   38);
}

TEST(Jpeg, ReadsColourStoredAsRgb) {
  const auto image = smooth(12, 20);
  expect_close(decoded(encode_jpeg(12, 20, image.rgb, JCS_RGB, JCS_RGB)), image, 38);
}

TEST(Jpeg, ReadsGrey) {
  Bytes grey;
  Image expected{10, 14, {}};
  for (int i = 0; i < 140; ++i) {
    grey.push_back(static_cast<std::uint8_t>(50 + i));
    expected.rgb.insert(expected.rgb.end(), 3, grey.back());
  }
  const auto got = decoded(encode_jpeg(10, 14, grey, JCS_GRAYSCALE, JCS_GRAYSCALE));
  expect_close(got, expected, 38);
  for (std::size_t i = 0; i < got.rgb.size(); i += 3)
    EXPECT_TRUE(got.rgb[i] == got.rgb[i + 1] && got.rgb[i] == got.rgb[i + 2]);
}

/// A picture like those of cameras: several scales of structure, and fields with hard edges.
Image scenery(int height, int width) {
  Image image{height, width, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<std::uint8_t>(
            128 + 60 * std::sin(0.02 * (c + 1) * x + 0.013 * y) +
            20 * std::cos(0.09 * y - 0.05 * x) + 10 * std::sin(0.6 * x + c) * std::cos(0.5 * y) +
            30 * ((x / 9 + y / 13) % 2)));
  return image;
}

TEST(DecodeToCover, DecodesNoMoreOfAJpegThanNeeded) {
  struct Case {
    int height, width, wanted_height, wanted_width, decoded_height, decoded_width;
  };
  for (const auto& c : {Case{304, 400, 19, 25, 38, 50},
                        {304, 400, 20, 25, 76, 100},
                        {304, 400, 32, 32, 76, 100},
                        {304, 400, 32, 51, 152, 200},
                        {304, 400, 77, 10, 304, 400},
                        {304, 400, 304, 400, 304, 400},
                        {304, 400, 1000, 10, 304, 400},
                        {300, 400, 18, 18, 75, 100},      // 37.5 rows would be taken for 38
                        {1203, 1600, 8, 8, 151, 200}}) {  // 150.4 for 151 do not matter here
    const auto image = decode_to_cover(encode_jpeg(scenery(c.height, c.width)), "x",
                                       c.wanted_height, c.wanted_width);
    EXPECT_EQ(image.height, c.decoded_height) << c.wanted_height << 'x' << c.wanted_width;
    EXPECT_EQ(image.width, c.decoded_width) << c.wanted_height << 'x' << c.wanted_width;
  }
  // Small pictures are neither stretched nor touched.
  for (const int side : {1, 7, 8, 9}) {
    const auto small = encode_jpeg(smooth(side, side));
    EXPECT_EQ(decode_to_cover(small, "x", side, side).rgb, decoded(small).rgb) << side;
  }
}

TEST(DecodeToCover, GivesWhatDecodingWholeAndShrinkingGives) {
  for (const auto& [height, width] : {std::pair{480, 640}, {700, 500}, {701, 503}, {96, 96}})
    for (const bool progressive : {false, true})
      for (const int side : {32, 64, 90}) {
        const auto bytes = encode_jpeg(scenery(height, width), progressive);
        expect_close(resize_and_crop(decode_to_cover(bytes, "x", side, side), side, side),
                     resize_and_crop(decoded(bytes), side, side), 40);
      }
}

TEST(DecodeToCover, LeavesOtherFormatsAndLargerTargetsAlone) {
  const auto image = gradient(40, 50);
  EXPECT_EQ(decode_to_cover(encode_png(image), "x", 8, 8).rgb, image.rgb);
  EXPECT_EQ(decode_to_cover(test::encode_webp_lossless(image), "x", 8, 8).rgb, image.rgb);
  const auto bytes = encode_jpeg(image);
  EXPECT_EQ(decode_to_cover(bytes, "x", 100, 100).rgb, decoded(bytes).rgb);
}

TEST(DecodeToCover, KeepsTheLimitsOfTheHeaderAndRefusesBadSizes) {
  const auto bytes = encode_jpeg(smooth(64, 64));
  DecodeLimits limits;
  limits.max_pixels = 64 * 64 - 1;
  expect_error(ErrorCode::BadData, {"x: picture of 64x64", "4095"},
               [&] { decode_to_cover(bytes, "x", 8, 8, limits); });
  expect_error(ErrorCode::InvalidArgument, {"0x8", "at least 1"},
               [&] { decode_to_cover(bytes, "x", 8, 0); });
}

TEST(Jpeg, ReadsInkPlainAndInvertedAsAdobeWritesIt) {
  const auto image = smooth(16, 16);
  // With a quarter of black: rgb = (255 - ink) * (255 - black) / 255.
  const int black = 64;
  Bytes plain, inverted;
  Image expected{16, 16, {}};
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) {
      plain.push_back(static_cast<std::uint8_t>(255 - image.rgb[i + c]));
      expected.rgb.push_back(
          static_cast<std::uint8_t>(std::lround(image.rgb[i + c] * (255.0 - black) / 255)));
    }
    plain.push_back(black);
  }
  for (const auto value : plain) inverted.push_back(static_cast<std::uint8_t>(255 - value));
  expect_close(decoded(encode_jpeg(16, 16, plain, JCS_CMYK, JCS_CMYK, false)), expected, 38);
  expect_close(decoded(encode_jpeg(16, 16, inverted, JCS_CMYK, JCS_CMYK, true)), expected, 38);
  expect_close(decoded(encode_jpeg(16, 16, inverted, JCS_CMYK, JCS_YCCK, true)), expected, 36);
}

TEST(Jpeg, ToleratesBytesAfterTheEnd) {
  auto bytes = encode_jpeg(smooth(8, 8));
  bytes.insert(bytes.end(), 100, 0);
  expect_close(decoded(bytes), smooth(8, 8), 38);
}

TEST(JpegHostile, EveryTruncationIsRefused) {
  for (const bool progressive : {false, true}) {
    const auto good = encode_jpeg(gradient(24, 24), progressive);
    for (std::size_t size = 3; size < good.size(); ++size) {
      SCOPED_TRACE(size);
      expect_error(ErrorCode::BadData, {"x: JPEG"},
                   [&] { decoded(Bytes(good.begin(), good.begin() + size)); });
    }
    expect_error(ErrorCode::BadData, {"Premature end"},
                 [&] { decoded(Bytes(good.begin(), good.end() - 20)); });
  }
}

TEST(JpegHostile, FlippedBytesNeverDoHarm) {
  const auto good = encode_jpeg(gradient(24, 24), true);
  int refused = 0;
  for (std::size_t i = 3; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x55;
    try {
      const auto image = decoded(bad, {1 << 20, 1 << 20, 4096});
      EXPECT_EQ(image.rgb.size(), static_cast<std::size_t>(image.height) * image.width * 3);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::BadData);
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

std::size_t find_frame_header(const Bytes& jpeg) {
  for (std::size_t i = 0; i + 1 < jpeg.size(); ++i)
    if (jpeg[i] == 0xff && jpeg[i + 1] >= 0xc0 && jpeg[i + 1] <= 0xc2) return i;
  throw std::logic_error("no frame header");
}

TEST(JpegHostile, HugeClaimsAreRefused) {
  auto bytes = encode_jpeg(gradient(8, 8));
  const auto frame = find_frame_header(bytes);
  for (const std::size_t at : {frame + 5, frame + 7}) {
    bytes[at] = 60'000 >> 8;
    bytes[at + 1] = 60'000 & 255;
  }
  expect_error(ErrorCode::BadData, {"x: picture of 60000x60000 pixels", "at most 64000000"},
               [&] { decoded(bytes); });
}

TEST(JpegHostile, TooManyScansAreRefused) {
  auto bytes = encode_jpeg(gradient(8, 8), true);
  // Repeats the first scan, which is complete in itself; the entropy-coded data ends at the next
  // real marker.
  std::size_t begin = 0;
  while (bytes[begin] != 0xff || bytes[begin + 1] != 0xda) ++begin;
  std::size_t end = begin + 2;
  while (bytes[end] != 0xff || bytes[end + 1] == 0) ++end;
  const auto at = [&](std::size_t i) { return bytes.begin() + static_cast<std::ptrdiff_t>(i); };
  const auto repeated = [&](int times) {
    Bytes many(bytes.begin(), at(end));
    for (int i = 0; i < times; ++i) many.insert(many.end(), at(begin), at(end));
    many.insert(many.end(), at(end), bytes.end());
    return many;
  };
  EXPECT_NO_THROW(decoded(repeated(100)));
  const auto many = repeated(600);
  expect_error(ErrorCode::BadData, {"x: JPEG", "more than 500 scans"}, [&] { decoded(many); });
}

TEST(JpegHostile, TwoComponentsAreRefused) {
  const auto bytes = encode_jpeg(8, 8, Bytes(8 * 8 * 2, 100), JCS_UNKNOWN, JCS_UNKNOWN);
  expect_error(ErrorCode::BadData, {"x: JPEG with 2 components"}, [&] { decoded(bytes); });
}

TEST(WebP, ReadsLosslessExactly) {
  for (const auto& [height, width] : {std::pair{1, 1}, {7, 5}, {33, 17}})
    EXPECT_EQ(decoded(test::encode_webp_lossless(gradient(height, width))).rgb,
              gradient(height, width).rgb);
}

TEST(WebP, ReadsLossy) {
  expect_close(decoded(test::encode_webp_lossy(smooth(20, 31))), smooth(20, 31), 32);
}

TEST(WebP, ComposesAlphaOnWhite) {
  const auto image =
      decoded(test::encode_webp_rgba(1, 3, {10, 20, 30, 255, 0, 255, 100, 51, 1, 2, 3, 254}));
  EXPECT_EQ(image.width, 3);
  EXPECT_EQ(image.rgb, (Bytes{10, 20, 30, 204, 255, 224, 2, 3, 4}));
}

TEST(WebPHostile, EveryTruncationIsRefused) {
  for (const auto& good :
       {test::encode_webp_lossless(gradient(24, 24)), test::encode_webp_lossy(gradient(24, 24))})
    for (std::size_t size = 12; size < good.size(); ++size) {
      SCOPED_TRACE(size);
      expect_error(ErrorCode::BadData, {"x: ", "WebP"},
                   [&] { decoded(Bytes(good.begin(), good.begin() + size)); });
    }
}

TEST(WebPHostile, FlippedBytesNeverDoHarm) {
  const auto good = test::encode_webp_lossy(gradient(24, 24));
  int refused = 0;
  for (std::size_t i = 12; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x55;
    try {
      const auto image = decoded(bad, {1 << 20, 1 << 20, 4096});
      EXPECT_EQ(image.rgb.size(), static_cast<std::size_t>(image.height) * image.width * 3);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::BadData);
      ++refused;
    }
  }
  EXPECT_GT(refused, 10);
}

/// The extended header alone, for a canvas of this size.
Bytes extended_header(std::uint32_t height, std::uint32_t width, std::uint8_t flags) {
  Bytes bytes{'R', 'I', 'F', 'F', 100, 0, 0, 0, 'W',   'E', 'B', 'P',
              'V', 'P', '8', 'X', 10,  0, 0, 0, flags, 0,   0,   0};
  for (const std::uint32_t side : {width - 1, height - 1})
    for (int i = 0; i < 3; ++i) bytes.push_back(static_cast<std::uint8_t>(side >> (8 * i)));
  bytes.insert(bytes.end(), 78, 0);
  return bytes;
}

TEST(WebPHostile, AnimationsAreRefused) {
  expect_error(ErrorCode::BadData, {"x: animated WebP"}, [] { decoded(extended_header(4, 4, 2)); });
}

TEST(WebPHostile, HugeClaimsAreRefused) {
  expect_error(ErrorCode::BadData, {"x: picture of 60000x60000", "at most 64000000"},
               [] { decoded(extended_header(60'000, 60'000, 2)); });
  const auto bytes = test::encode_webp_lossless(gradient(9, 9));
  expect_error(ErrorCode::BadData, {"9x9", "at most 80 pixels"}, [&] {
    decoded(bytes, {1 << 20, 80, 100});
  });
}

}  // namespace
}  // namespace veilnet::image
