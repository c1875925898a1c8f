#include "image/exif.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace veilnet::image {
namespace {

using Bytes = std::span<const std::uint8_t>;

enum class Order { Little, Big };

/// An unsigned number of `size` bytes, or nothing where it would end outside.
std::optional<std::size_t> number(Bytes bytes, std::size_t at, std::size_t size, Order order) {
  if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
  std::size_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value = value << 8 | bytes[order == Order::Big ? at + i : at + size - 1 - i];
  return value;
}

bool starts_with(Bytes bytes, std::string_view text) {
  return bytes.size() >= text.size() &&
         std::ranges::equal(bytes.first(text.size()), text, {}, {},
                            [](char c) { return static_cast<std::uint8_t>(c); });
}

constexpr std::string_view kExifHeader("Exif\0\0", 6);

/// The parts of a file from `at` on whose sizes stand in front of them. `next` tells where a part
/// begins and ends and whether it is the one, or nothing to stop.
struct Part {
  std::size_t begin, size, end;
  bool found;
};
template <class Next>
Bytes find(Bytes file, std::size_t at, Next&& next) {
  while (const std::optional<Part> part = next(at)) {
    if (part->begin > file.size() || file.size() - part->begin < part->size) break;
    if (part->found) return file.subspan(part->begin, part->size);
    at = part->end;
  }
  return {};
}

/// Segments of marker and size (which counts itself) up to the first scan.
Bytes exif_of_jpeg(Bytes file) {
  return find(file, 2, [&](std::size_t at) -> std::optional<Part> {
    while (number(file, at, 2, Order::Big) == 0xffff) ++at;  // padding
    const auto marker = number(file, at, 2, Order::Big);
    const auto size = number(file, at + 2, 2, Order::Big);
    if (!size || *marker >> 8 != 0xff || *marker == 0xffda || *size < 2) return std::nullopt;
    const auto begin = at + 4;
    return Part{
        begin, *size - 2, begin + *size - 2,
        *marker == 0xffe1 && begin < file.size() && starts_with(file.subspan(begin), kExifHeader)};
  });
}

/// Chunks of size, type, data and checksum.
Bytes exif_of_png(Bytes file) {
  return find(file, 8, [&](std::size_t at) -> std::optional<Part> {
    const auto size = number(file, at, 4, Order::Big);
    if (!size || !number(file, at + 4, 4, Order::Big)) return std::nullopt;
    return Part{at + 8, *size, at + 12 + *size, starts_with(file.subspan(at + 4), "eXIf")};
  });
}

/// Chunks of type, size and data, which are padded to an even size.
Bytes exif_of_webp(Bytes file) {
  return find(file, 12, [&](std::size_t at) -> std::optional<Part> {
    const auto size = number(file, at + 4, 4, Order::Little);
    if (!size) return std::nullopt;
    return Part{at + 8, *size, at + 8 + *size + *size % 2, starts_with(file.subspan(at), "EXIF")};
  });
}

}  // namespace

int exif_orientation(std::span<const std::uint8_t> bytes) {
  auto tiff = starts_with(bytes, "\xff\xd8")  ? exif_of_jpeg(bytes)
              : starts_with(bytes, "\x89PNG") ? exif_of_png(bytes)
              : starts_with(bytes, "RIFF")    ? exif_of_webp(bytes)
                                              : Bytes();
  // Some writers put JPEG's header in front in other formats, too.
  if (starts_with(tiff, kExifHeader)) tiff = tiff.subspan(kExifHeader.size());
  const bool big = starts_with(tiff, std::string_view("MM\0*", 4));
  if (!big && !starts_with(tiff, std::string_view("II*\0", 4))) return 1;
  const auto order = big ? Order::Big : Order::Little;
  const auto directory = number(tiff, 4, 4, order);
  const auto entries = directory ? number(tiff, *directory, 2, order) : std::nullopt;
  for (std::size_t i = 0; entries && i < *entries; ++i) {
    const auto at = *directory + 2 + 12 * i;
    const auto tag = number(tiff, at, 2, order), type = number(tiff, at + 2, 2, order),
               count = number(tiff, at + 4, 4, order), value = number(tiff, at + 8, 2, order);
    if (!value) break;
    constexpr std::size_t orientation = 0x0112, type_short = 3;
    if (tag != orientation) continue;
    return type == type_short && count == 1 && value >= 1 && value <= 8 ? static_cast<int>(*value)
                                                                        : 1;
  }
  return 1;
}

Image upright(Image stored, int orientation) {
  assert(orientation >= 1 && orientation <= 8);
  if (orientation == 1) return stored;
  // What the orientation says of the stored picture: its rows stand upright; its first row is at
  // the bottom or right; its first column is at the right or bottom.
  const bool turned = orientation >= 5;
  const bool rows_reversed =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool columns_reversed =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const int height = stored.height, width = stored.width;
  Image out{turned ? width : height, turned ? height : width, {}};
  out.rgb.reserve(stored.rgb.size());
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      int row = turned ? x : y, column = turned ? y : x;
      if (rows_reversed) row = height - 1 - row;
      if (columns_reversed) column = width - 1 - column;
      const auto pixel = stored.rgb.begin() + 3 * (std::ptrdiff_t{row} * width + column);
      out.rgb.insert(out.rgb.end(), pixel, pixel + 3);
    }
  }
  return out;
}

}  // namespace veilnet::image
