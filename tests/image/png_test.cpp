#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/resource.h>

#include "encoders.h"
#include "support.h"

namespace veilnet::image {
namespace {

using test::Bytes;
using test::encode_png_form;
using test::gradient;
using test::PngForm;
using veilnet::test::expect_error;
using veilnet::test::TemporaryFolder;

Image decode_it(const Bytes& bytes, const DecodeLimits& limits = {}) {
  return decode(bytes, "x.png", limits);
}

void expect_pixels(const Image& image, int height, int width, const Bytes& rgb) {
  EXPECT_EQ(image.height, height);
  EXPECT_EQ(image.width, width);
  EXPECT_EQ(image.rgb, rgb);
}

std::vector<std::string> chunks_of(const Bytes& png) {
  std::vector<std::string> names;
  for (std::size_t at = 8; at + 8 <= png.size();) {
    const std::size_t length = png[at] << 24 | png[at + 1] << 16 | png[at + 2] << 8 | png[at + 3];
    names.emplace_back(png.begin() + static_cast<std::ptrdiff_t>(at) + 4,
                       png.begin() + static_cast<std::ptrdiff_t>(at) + 8);
    at += length + 12;
  }
  return names;
}

/// Writes the sizes into the header and repairs its checksum.
Bytes with_claimed_size(Bytes png, std::uint32_t height, std::uint32_t width) {
  png_save_uint_32(&png[16], width);
  png_save_uint_32(&png[20], height);
  std::uint32_t crc = ~0u;
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= png[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  png_save_uint_32(&png[29], ~crc);
  return png;
}

TEST(Png, RoundTripsEverySize) {
  for (const auto& [height, width] :
       {std::pair{1, 1}, {1, 7}, {5, 3}, {17, 33}, {32, 32}, {100, 1}}) {
    const auto image = gradient(height, width);
    expect_pixels(decode_it(encode_png(image)), height, width, image.rgb);
  }
}

TEST(Png, EqualPixelsGiveEqualBytesWithoutAncillaryChunks) {
  const auto image = gradient(20, 30);
  const auto bytes = encode_png(image);
  EXPECT_EQ(bytes, encode_png(gradient(20, 30)));
  for (const auto& name : chunks_of(bytes))
    EXPECT_TRUE(name == "IHDR" || name == "IDAT" || name == "IEND") << name;
  EXPECT_EQ(chunks_of(bytes).back(), "IEND");
}

TEST(Png, RefusesToEncodeWhatIsNoPicture) {
  expect_error(ErrorCode::InvalidArgument, {"encode_png", "0x0"}, [] { encode_png({}); });
  expect_error(ErrorCode::InvalidArgument, {"encode_png", "2x2", "11 bytes"}, [] {
    encode_png({2, 2, Bytes(11)});
  });
  expect_error(ErrorCode::InvalidArgument, {"encode_png", "-1"}, [] { encode_png({-1, 1, {}}); });
}

TEST(Png, ReadsGreyOfEveryDepth) {
  expect_pixels(decode_it(encode_png_form(1, 2, {0, 200}, {PNG_COLOR_TYPE_GRAY, 8})), 1, 2,
                {0, 0, 0, 200, 200, 200});
  expect_pixels(decode_it(encode_png_form(1, 2, {0x80}, {PNG_COLOR_TYPE_GRAY, 1})), 1, 2,
                {255, 255, 255, 0, 0, 0});
  expect_pixels(decode_it(encode_png_form(1, 3, {0b00'01'10'00}, {PNG_COLOR_TYPE_GRAY, 2})), 1, 3,
                {0, 0, 0, 85, 85, 85, 170, 170, 170});
  expect_pixels(decode_it(encode_png_form(1, 2, {0x3f}, {PNG_COLOR_TYPE_GRAY, 4})), 1, 2,
                {51, 51, 51, 255, 255, 255});
  expect_pixels(
      decode_it(encode_png_form(1, 2, {0x80, 0x80, 0xff, 0xff}, {PNG_COLOR_TYPE_GRAY, 16})), 1, 2,
      {128, 128, 128, 255, 255, 255});
}

TEST(Png, RoundsSixteenBitsToTheNearest) {
  // 0x12ff is 18.9 of 255 in steps of 257; cutting the low byte would give 18.
  expect_pixels(decode_it(encode_png_form(1, 1, {0x12, 0xff, 0x00, 0x40, 0xff, 0x00},
                                          {PNG_COLOR_TYPE_RGB, 16})),
                1, 1, {19, 0, 254});
}

TEST(Png, ReadsPalettes) {
  PngForm form{PNG_COLOR_TYPE_PALETTE, 2};
  form.palette = {{1, 2, 3}, {10, 20, 30}, {100, 110, 120}};
  expect_pixels(decode_it(encode_png_form(1, 3, {0b10'00'01'00}, form)), 1, 3,
                {100, 110, 120, 1, 2, 3, 10, 20, 30});
  form.palette_alpha = {0, 255, 128};
  const unsigned half = 128;
  const auto on_white = [&](unsigned v) {
    return static_cast<std::uint8_t>((v * half + 255 * (255 - half) + 127) / 255);
  };
  expect_pixels(decode_it(encode_png_form(1, 3, {0b10'00'01'00}, form)), 1, 3,
                {on_white(100), on_white(110), on_white(120), 255, 255, 255, 10, 20, 30});
}

TEST(Png, ComposesAlphaOnWhite) {
  expect_pixels(decode_it(encode_png_form(1, 3, {10, 20, 30, 255, 10, 20, 30, 0, 0, 255, 100, 51},
                                          {PNG_COLOR_TYPE_RGBA, 8})),
                1, 3, {10, 20, 30, 255, 255, 255, 204, 255, 224});
  expect_pixels(decode_it(encode_png_form(2, 1, {0, 255, 0, 51}, {PNG_COLOR_TYPE_GRAY_ALPHA, 8})),
                2, 1, {0, 0, 0, 204, 204, 204});
  expect_pixels(
      decode_it(encode_png_form(1, 1, {0, 0, 0, 0, 0, 0, 0x33, 0x33}, {PNG_COLOR_TYPE_RGBA, 16})),
      1, 1, {204, 204, 204});
}

TEST(Png, ComposesTransparentColoursOnWhite) {
  PngForm form{PNG_COLOR_TYPE_RGB, 8};
  form.transparent_color = true;
  expect_pixels(decode_it(encode_png_form(1, 2, {0, 0, 0, 0, 0, 1}, form)), 1, 2,
                {255, 255, 255, 0, 0, 1});
  form.color_type = PNG_COLOR_TYPE_GRAY;
  expect_pixels(decode_it(encode_png_form(1, 2, {0, 9}, form)), 1, 2, {255, 255, 255, 9, 9, 9});
}

TEST(Png, ReadsInterlaced) {
  const auto image = gradient(13, 9);
  expect_pixels(
      decode_it(encode_png_form(13, 9, image.rgb, {PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_ADAM7})),
      13, 9, image.rgb);
}

TEST(Png, IgnoresTextChunks) {
  PngForm form;
  form.text = std::string(20'000'000, 'x');  // inflates a thousandfold
  const auto image = gradient(3, 3);
  const auto bytes = encode_png_form(3, 3, image.rgb, form);
  EXPECT_LT(bytes.size(), 100'000u);
  expect_pixels(decode_it(bytes), 3, 3, image.rgb);
}

TEST(PngHostile, EveryTruncationIsRefused) {
  const auto good = encode_png(gradient(9, 11));
  for (std::size_t size = 8; size < good.size(); ++size)
    expect_error(ErrorCode::BadData, {"x.png: PNG: "},
                 [&] { decode_it(Bytes(good.begin(), good.begin() + size)); });
  expect_error(ErrorCode::BadData, {"truncated"},
               [&] { decode_it(Bytes(good.begin(), good.end() - 20)); });
}

TEST(PngHostile, FlippedBytesNeverDoHarm) {
  const auto good = encode_png(gradient(9, 11));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x55;
    try {
      expect_pixels(decode_it(bad), 9, 11, gradient(9, 11).rgb);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::BadData);
      ++refused;
    }
  }
  // Checksums cover every byte. Newer libraries pass over that of the last chunk, which holds
  // nothing.
  EXPECT_GE(refused, good.size() - 4);
}

TEST(PngHostile, HugeClaimsAreRefusedBeforeMemoryIsTaken) {
  const auto good = encode_png(gradient(2, 2));
  expect_pixels(decode_it(with_claimed_size(good, 2, 2)), 2, 2, gradient(2, 2).rgb);
  expect_error(ErrorCode::BadData,
               {"x.png: picture of 60000x60000 pixels", "from 1 to 32768", "at most 64000000"},
               [&] { decode_it(with_claimed_size(good, 60'000, 60'000)); });
  expect_error(ErrorCode::BadData, {"picture of 30000x20000"},
               [&] { decode_it(with_claimed_size(good, 20'000, 30'000)); });
  expect_error(ErrorCode::BadData, {"picture of 2147483647x2147483647"},
               [&] { decode_it(with_claimed_size(good, 0x7fffffff, 0x7fffffff)); });
  expect_error(ErrorCode::BadData, {"x.png"}, [&] { decode_it(with_claimed_size(good, 0, 2)); });
  expect_error(ErrorCode::BadData, {"x.png"},
               [&] { decode_it(with_claimed_size(good, 0xffffffff, 2)); });
}

// In a process of its own, whose memory is limited.
TEST(PngHostile, WhatMemoryDoesNotSufficeForIsAnErrorOfThatPicture) {
  const auto large = with_claimed_size(encode_png(gradient(2, 2)), 30'000, 30'000);
  DecodeLimits limits;
  limits.max_pixels = 1'000'000'000;  // 2.7 GB
  const auto decode_with_little_memory = [&] {
    const rlimit one_gigabyte{1u << 30, 1u << 30};
    setrlimit(RLIMIT_AS, &one_gigabyte);
    try {
      decode(large, "x.png", limits);
    } catch (const Error& e) {
      std::fputs(e.what(), stderr);
      std::exit(e.code() == ErrorCode::Unsupported ? 0 : 2);
    }
    std::exit(1);
  };
  EXPECT_EXIT(decode_with_little_memory(), testing::ExitedWithCode(0), "x.png: not enough memory");
}

TEST(PngHostile, LimitsAreExact) {
  const auto bytes = encode_png(gradient(4, 6));
  DecodeLimits limits{bytes.size(), 24, 6};
  EXPECT_NO_THROW(decode_it(bytes, limits));
  limits.max_pixels = 23;
  expect_error(ErrorCode::BadData, {"6x4", "at most 23 pixels"}, [&] { decode_it(bytes, limits); });
  limits = {bytes.size(), 24, 5};
  expect_error(ErrorCode::BadData, {"6x4", "from 1 to 5"}, [&] { decode_it(bytes, limits); });
  limits = {bytes.size() - 1, 24, 6};
  expect_error(ErrorCode::BadData, {std::to_string(bytes.size()) + " bytes"},
               [&] { decode_it(bytes, limits); });
}

TEST(Decode, RefusesWhatIsNoPicture) {
  const auto refuse = [](const std::string& text) {
    expect_error(ErrorCode::BadData, {"note.txt", "not a PNG, JPEG or WebP"},
                 [&] { decode(Bytes(text.begin(), text.end()), "note.txt"); });
  };
  refuse("hello");
  refuse("\x89PN");
  refuse("RIFF1234WAVE");
  refuse("GIF89a..........");
  expect_error(ErrorCode::BadData, {"empty.png: is empty"}, [] { decode({}, "empty.png"); });
}

TEST(ReadImage, ReadsFilesAndReportsTheirNames) {
  const TemporaryFolder folder;
  const auto image = gradient(3, 5);
  write_png(folder / "a.png", image, Overwrite::No);
  expect_pixels(read_image(folder / "a.png"), 3, 5, image.rgb);
  expect_error(ErrorCode::AlreadyExists, {"a.png"},
               [&] { write_png(folder / "a.png", image, Overwrite::No); });
  write_png(folder / "a.png", gradient(1, 1), Overwrite::Yes);
  EXPECT_EQ(read_image(folder / "a.png").width, 1);

  expect_error(ErrorCode::NotFound, {"gone.png"}, [&] { read_image(folder / "gone.png"); });
  write_file(folder / "empty.png", "", Overwrite::No);
  expect_error(ErrorCode::BadData, {"empty.png", "is empty"},
               [&] { read_image(folder / "empty.png"); });
  DecodeLimits limits;
  limits.max_file_bytes = 10;
  expect_error(ErrorCode::BadData, {"a.png", "at most 10"},
               [&] { read_image(folder / "a.png", limits); });
}

}  // namespace
}  // namespace veilnet::image
