#include "image/exif.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <zlib.h>

#include "encoders.h"
#include "support.h"

namespace veilnet::image {
namespace {

using test::Bytes;

enum class Order { Little, Big };
constexpr std::array orders{Order::Little, Order::Big};

void put(Bytes& bytes, std::size_t value, std::size_t size, Order order) {
  for (std::size_t i = 0; i < size; ++i) {
    const auto shift = 8 * (order == Order::Big ? size - 1 - i : i);
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}
void put(Bytes& bytes, std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
}

struct Entry {
  std::size_t tag, type, count, value;
};

/// A TIFF header and one directory.
Bytes tiff(const std::vector<Entry>& entries, Order order) {
  Bytes out;
  put(out, order == Order::Big ? "MM" : "II");
  put(out, 42, 2, order);
  put(out, 8, 4, order);
  put(out, entries.size(), 2, order);
  for (const auto& [tag, type, count, value] : entries) {
    put(out, tag, 2, order);
    put(out, type, 2, order);
    put(out, count, 4, order);
    put(out, value, 2, order);
    put(out, 0, 2, order);
  }
  put(out, 0, 4, order);
  return out;
}
Bytes tiff(int orientation, Order order) {
  return tiff({{0x010f, 2, 4, 0}, {0x0112, 3, 1, static_cast<std::size_t>(orientation)}}, order);
}

Bytes inserted(const Bytes& into, std::ptrdiff_t at, const Bytes& part) {
  Bytes out(into.begin(), into.begin() + at);
  out.insert(out.end(), part.begin(), part.end());
  out.insert(out.end(), into.begin() + at, into.end());
  return out;
}

/// An APP1 segment behind the first marker; another APP1, such as XMP, stands before it.
Bytes jpeg_with(const Bytes& jpeg, const Bytes& exif) {
  Bytes part;
  put(part, std::string_view("\xff\xe1\0\x06http\xff", 9));  // and a byte of padding
  put(part, 0xffe1, 2, Order::Big);
  put(part, exif.size() + 8, 2, Order::Big);
  put(part, std::string_view("Exif\0\0", 6));
  part.insert(part.end(), exif.begin(), exif.end());
  return inserted(jpeg, 2, part);
}

/// A chunk behind the header, which takes 33 bytes.
Bytes png_with(const Bytes& png, const Bytes& exif) {
  Bytes part;
  put(part, exif.size(), 4, Order::Big);
  put(part, "eXIf");
  part.insert(part.end(), exif.begin(), exif.end());
  put(part, crc32(0, part.data() + 4, static_cast<uInt>(part.size() - 4)), 4, Order::Big);
  return inserted(png, 33, part);
}

/// The same picture in the extended form.
Bytes webp_with(const Bytes& webp, const Image& image, const Bytes& exif, bool with_header) {
  Bytes out;
  put(out, "RIFF....WEBPVP8X");
  put(out, 10, 4, Order::Little);
  put(out, 8, 4, Order::Little);  // there is Exif
  put(out, static_cast<std::size_t>(image.width - 1), 3, Order::Little);
  put(out, static_cast<std::size_t>(image.height - 1), 3, Order::Little);
  out.insert(out.end(), webp.begin() + 12, webp.end());
  put(out, "EXIF");
  put(out, exif.size() + (with_header ? 6 : 0), 4, Order::Little);
  if (with_header) put(out, std::string_view("Exif\0\0", 6));
  out.insert(out.end(), exif.begin(), exif.end());
  if (out.size() % 2 == 1) out.push_back(0);
  Bytes size;
  put(size, out.size() - 8, 4, Order::Little);
  std::ranges::copy(size, out.begin() + 4);
  return out;
}

/// Each letter of the rows is a field of 16x16 pixels of its own colour.
Image fields(const std::vector<std::string>& rows) {
  constexpr int side = 16;
  Image image{static_cast<int>(rows.size()) * side, static_cast<int>(rows[0].size()) * side, {}};
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const int letter =
          rows[static_cast<std::size_t>(y / side)][static_cast<std::size_t>(x / side)] - 'a';
      for (int c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<std::uint8_t>(40 + 30 * ((letter + 2 * c) % 6)));
    }
  }
  return image;
}

void expect_picture(const Image& got, const Image& expected, int tolerance) {
  ASSERT_EQ(got.height, expected.height);
  ASSERT_EQ(got.width, expected.width);
  int largest = 0;
  for (std::size_t i = 0; i < expected.rgb.size(); ++i)
    largest = std::max(largest, std::abs(int{got.rgb[i]} - int{expected.rgb[i]}));
  EXPECT_LE(largest, tolerance);
}

// What a viewer shows of the stored rows "abc", "def" under the orientations 1 to 8, after the
// drawings of Exif 2.32, section 4.6.4.
const std::vector<std::vector<std::string>> kShown = {
    {"abc", "def"},     {"cba", "fed"},     {"fed", "cba"},     {"def", "abc"},
    {"ad", "be", "cf"}, {"da", "eb", "fc"}, {"fc", "eb", "da"}, {"cf", "be", "ad"}};

TEST(Exif, EveryOrientationOfEveryFormatIsShownUpright) {
  const auto stored = fields({"abc", "def"});
  const auto jpeg = test::encode_jpeg(stored), png = encode_png(stored),
             webp = test::encode_webp_lossless(stored);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto shown = fields(kShown[static_cast<std::size_t>(orientation - 1)]);
    for (const auto order : orders) {
      SCOPED_TRACE(std::to_string(orientation) + (order == Order::Big ? " MM" : " II"));
      const auto exif = tiff(orientation, order);
      expect_picture(decode(jpeg_with(jpeg, exif), "x"), shown, 4);
      expect_picture(decode(png_with(png, exif), "x"), shown, 0);
      expect_picture(decode(webp_with(webp, stored, exif, false), "x"), shown, 0);
      expect_picture(decode(webp_with(webp, stored, exif, true), "x"), shown, 0);
    }
  }
}

// The sides change places before the scale is chosen.
TEST(Exif, ATurnedJpegIsDecodedLargeEnough) {
  const auto jpeg = jpeg_with(test::encode_jpeg(test::gradient(80, 400)), tiff(6, Order::Big));
  const auto image = decode_to_cover(jpeg, "x", 100, 10);
  EXPECT_EQ(image.height, 200);
  EXPECT_EQ(image.width, 40);
}

TEST(Exif, AFileWithoutIsLeftAsItIs) {
  const auto stored = fields({"abc", "def"});
  for (const auto& bytes : {test::encode_jpeg(stored), encode_png(stored),
                            test::encode_webp_lossless(stored), test::encode_webp_lossy(stored)})
    EXPECT_EQ(exif_orientation(bytes), 1);
  EXPECT_EQ(exif_orientation({}), 1);
}

TEST(Exif, OtherValuesTypesAndCountsAreIgnored) {
  const auto jpeg = test::encode_jpeg(fields({"ab"}));
  const auto orientation = [&](const std::vector<Entry>& entries, Order order) {
    return exif_orientation(jpeg_with(jpeg, tiff(entries, order)));
  };
  for (const auto order : orders) {
    EXPECT_EQ(orientation({{0x0112, 3, 1, 6}}, order), 6);
    EXPECT_EQ(orientation({{0x0112, 3, 1, 0}}, order), 1);
    EXPECT_EQ(orientation({{0x0112, 3, 1, 9}}, order), 1);
    EXPECT_EQ(orientation({{0x0112, 4, 1, 6}}, order), 1);
    EXPECT_EQ(orientation({{0x0112, 3, 2, 6}}, order), 1);
    EXPECT_EQ(orientation({{0x0113, 3, 1, 6}}, order), 1);
    EXPECT_EQ(orientation({}, order), 1);
  }
}

// Cut anywhere, with sizes and offsets that lead anywhere: the picture is read, and nothing beyond
// the data (the address sanitizer watches in the fuzzing build).
TEST(Exif, MalformedDataAreIgnored) {
  const auto stored = fields({"abc", "def"});
  const auto jpeg = test::encode_jpeg(stored), png = encode_png(stored),
             webp = test::encode_webp_lossless(stored);
  const auto expect_stored = [&](const Bytes& exif) {
    for (const auto& file :
         {jpeg_with(jpeg, exif), png_with(png, exif), webp_with(webp, stored, exif, false)}) {
      EXPECT_EQ(exif_orientation(file), 1);
      const auto image = decode(file, "x");
      EXPECT_EQ(image.height, stored.height);
      EXPECT_EQ(image.width, stored.width);
    }
  };
  for (const auto order : orders) {
    const auto whole = tiff(6, order);
    const std::size_t used = 8 + 2 + 12 + 10;  // up to the value of the second entry
    for (std::size_t size = 0; size < used; ++size)
      expect_stored({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    for (const std::size_t offset : {std::size_t{9}, whole.size() - 1, whole.size(),
                                     std::size_t{0x7fffffff}, std::size_t{0xffffffff}}) {
      auto broken = whole;
      Bytes value;
      put(value, offset, 4, order);
      std::ranges::copy(value, broken.begin() + 4);
      expect_stored(broken);
    }
    auto many = tiff({{0x010f, 2, 4, 0}}, order);
    many[8] = many[9] = 0xff;
    expect_stored(many);
  }
  auto other = tiff(6, Order::Big);
  other[1] = 'I';
  expect_stored(other);
}

TEST(Exif, SizesOfPartsThatLeadOutOfTheFileAreIgnored) {
  const auto stored = fields({"abc", "def"});
  const auto exif = tiff(6, Order::Big);
  auto jpeg = jpeg_with(test::encode_jpeg(stored), exif);
  auto png = png_with(encode_png(stored), exif);
  auto webp = webp_with(test::encode_webp_lossless(stored), stored, exif, false);
  for (auto* file : {&jpeg, &png, &webp}) {
    ASSERT_EQ(exif_orientation(*file), 6);
    for (std::size_t size = 0; size < file->size(); ++size)  // every prefix
      EXPECT_LE(exif_orientation(std::span(*file).first(size)), 6);
  }
  const std::array<std::uint8_t, 4> marks{'e', 'X', 'I', 'f'};
  const auto found = std::ranges::search(png, marks).begin();
  std::fill(found - 4, found, 0xff);
  EXPECT_EQ(exif_orientation(png), 1);
}

}  // namespace
}  // namespace veilnet::image
