#include "image/transport.h"

#include <cmath>

#include "encoders.h"
#include "image/metrics.h"
#include "support.h"

namespace veilnet::image {
namespace {

using test::gradient;
using veilnet::test::expect_error;

Image sent(const std::string& text, const Image& image) {
  return apply(transport_from(text), image);
}

double psnr_after(const std::string& text, const Image& image) {
  return psnr_db(image.rgb, sent(text, image).rgb);
}

/// Detail in every row and column, so that losses show.
Image detailed(int height, int width) {
  Image image{height, width, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<std::uint8_t>(
            std::lround(127.5 + 70 * std::sin(0.5 * x + c) + 50 * std::cos(0.8 * y))));
  return image;
}

TEST(Transport, TextIsReadAndWritten) {
  for (const auto* text :
       {"png", "jpeg:90", "jpeg:1", "jpeg:100", "webp:80", "resize:0.5", "crop:0.875", "crop:1"})
    EXPECT_EQ(to_text(transport_from(text)), text);
  EXPECT_EQ(to_text(transport_from("resize:0.50")), "resize:0.5");
  EXPECT_EQ(transport_from("jpeg:50"), (Transport{Transport::Kind::Jpeg, 50}));
  EXPECT_EQ(transport_from("crop:0.25"), (Transport{Transport::Kind::Crop, 0.25}));
}

TEST(Transport, RefusesOtherTexts) {
  for (const std::string text : {"", "gif", "gif:3", "png:9", "png:", "jpeg", "jpeg:", "jpeg:x",
                                 "jpeg:90x", "jpeg: 90", "JPEG:90", "resize", "crop:0.5:"})
    expect_error(ErrorCode::InvalidArgument, {"\"" + text + "\"", "jpeg:QUALITY"},
                 [&] { transport_from(text); });
  for (const std::string text :
       {"jpeg:0", "jpeg:101", "jpeg:90.5", "webp:-1", "webp:1000", "jpeg:nan"})
    expect_error(ErrorCode::InvalidArgument, {"\"" + text + "\"", "1 to 100"},
                 [&] { transport_from(text); });
  for (const std::string text :
       {"resize:0", "resize:1.5", "crop:-0.5", "crop:2", "crop:inf", "resize:nan"})
    expect_error(ErrorCode::InvalidArgument, {"\"" + text + "\"", "above 0 up to 1"},
                 [&] { transport_from(text); });
}

TEST(Transport, RefusesAmountsAndPicturesThatCannotBe) {
  const auto code = ErrorCode::InvalidArgument;
  expect_error(code, {"\"jpeg:0\"", "1 to 100"}, [] {
    apply({Transport::Kind::Jpeg, 0}, gradient(8, 8));
  });
  expect_error(code, {"\"resize:2\"", "up to 1"}, [] {
    apply({Transport::Kind::Resize, 2}, gradient(8, 8));
  });
  for (const auto* text : {"png", "jpeg:90", "webp:80", "resize:0.5", "crop:0.5"}) {
    expect_error(code, {"0x0 with 0 bytes"}, [&] { sent(text, {}); });
    expect_error(code, {"2x2 with 5 bytes"}, [&] {
      sent(text, {2, 2, std::vector<std::uint8_t>(5)});
    });
  }
  const Image wide{1, 16384, std::vector<std::uint8_t>(3 * 16384)},
      wider{1, 65501, std::vector<std::uint8_t>(3 * 65501)};
  expect_error(code, {"webp", "16384x1", "16383"}, [&] { sent("webp:80", wide); });
  expect_error(code, {"jpeg", "65501x1", "65500"}, [&] { sent("jpeg:80", wider); });
  expect_error(ErrorCode::BadData, {"as JPEG", "32768"}, [] {
    sent("jpeg:80", {1, 40000, std::vector<std::uint8_t>(3 * 40000)});
  });
}

TEST(Transport, KeepsTheSize) {
  for (const auto& [height, width] : {std::pair{32, 32}, {1, 1}, {7, 30}, {33, 2}})
    for (const auto* text : {"png", "jpeg:90", "jpeg:1", "webp:80", "webp:100", "resize:0.5",
                             "resize:0.01", "crop:0.875", "crop:0.01"}) {
      const auto arrived = sent(text, gradient(height, width));
      EXPECT_EQ(arrived.height, height) << text;
      EXPECT_EQ(arrived.width, width) << text;
      EXPECT_EQ(arrived.rgb.size(), static_cast<std::size_t>(3 * height * width)) << text;
    }
}

TEST(Transport, ChangesNothingWhereNothingIsLost) {
  const auto image = detailed(21, 34);
  for (const auto* text : {"png", "resize:1", "crop:1"})
    EXPECT_EQ(sent(text, image).rgb, image.rgb) << text;
}

TEST(Transport, LosesMoreTheStrongerItIs) {
  const auto image = detailed(64, 48);
  for (const auto& steps : {std::vector{"jpeg:95", "jpeg:75", "jpeg:50", "jpeg:10"},
                            {"webp:95", "webp:50", "webp:5"},
                            {"resize:0.75", "resize:0.5", "resize:0.2"}}) {
    EXPECT_GT(psnr_after(steps[0], image), 20);
    EXPECT_TRUE(std::isfinite(psnr_after(steps[0], image))) << steps[0];
    for (std::size_t i = 1; i < steps.size(); ++i)
      EXPECT_LT(psnr_after(steps[i], image), psnr_after(steps[i - 1], image)) << steps[i];
  }
}

TEST(Transport, LossyFilesHalveTheResolutionOfColour) {
  // Columns of red and blue: their brightness survives, their colour does not.
  Image image{32, 32, {}};
  for (int i = 0; i < 32 * 32; ++i) {
    const std::uint8_t red = i % 2 ? 200 : 0;
    image.rgb.insert(image.rgb.end(), {red, 60, static_cast<std::uint8_t>(200 - red)});
  }
  for (const auto* text : {"jpeg:100", "webp:100"}) {
    const auto arrived = sent(text, image);
    const auto* pixel = &arrived.rgb[3 * (16 * 32 + 16)];
    EXPECT_LT(std::abs(pixel[2] - pixel[0]), 100) << text;  // 200 apart before
  }
}

TEST(Transport, ResizingAveragesAndCroppingKeepsTheCentre) {
  // A row of 4 grey pixels: 0 100 | 200 100 are averaged to 50 and 150, and lie a quarter and three
  // quarters along the row.
  const auto grey = [](std::initializer_list<int> values) {
    Image image{1, static_cast<int>(values.size()), {}};
    for (const int value : values)
      image.rgb.insert(image.rgb.end(), 3, static_cast<std::uint8_t>(value));
    return image;
  };
  EXPECT_EQ(sent("resize:0.5", grey({0, 100, 200, 100})).rgb, grey({50, 75, 125, 150}).rgb);
  EXPECT_EQ(sent("crop:0.5", grey({9, 50, 150, 7})).rgb, grey({50, 75, 125, 150}).rgb);
  EXPECT_EQ(sent("crop:0.25", grey({9, 50, 150, 7})).rgb, grey({50, 50, 50, 50}).rgb);
}

}  // namespace
}  // namespace veilnet::image
