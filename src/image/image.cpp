#include "image/image.h"

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "image/codecs.h"
#include "image/exif.h"

namespace veilnet::image {

namespace {

bool has_text_at(std::span<const std::uint8_t> bytes, std::size_t at, std::string_view text) {
  return bytes.size() >= at + text.size() &&
         std::ranges::equal(bytes.subspan(at, text.size()), text, {}, {},
                            [](char c) { return static_cast<std::uint8_t>(c); });
}

}  // namespace

void check_dimensions(std::uint64_t height, std::uint64_t width, const std::string& name,
                      const DecodeLimits& limits) {
  const auto side = static_cast<std::uint64_t>(std::max(limits.max_side, 0));
  if (height == 0 || width == 0 || height > side || width > side ||
      height * width > limits.max_pixels) {
    fail(ErrorCode::BadData,
         "{}: picture of {}x{} pixels; allowed are sides from 1 to {} and at most {} pixels", name,
         width, height, limits.max_side, limits.max_pixels);
  }
}

std::vector<std::uint8_t> compose_on_white(std::vector<std::uint8_t> rgba) {
  const std::size_t pixels = rgba.size() / 4;
  for (std::size_t i = 0; i < pixels; ++i) {  // in place: reading is always ahead of writing
    const unsigned alpha = rgba[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c)
      rgba[3 * i + c] =
          static_cast<std::uint8_t>((rgba[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
  }
  rgba.resize(pixels * 3);
  return rgba;
}

namespace {

Image decode_any(std::span<const std::uint8_t> bytes, const std::string& name,
                 const DecodeLimits& limits, std::optional<Cover> cover) {
  if (bytes.empty())
    fail(ErrorCode::BadData, "{}: is empty; expected a PNG, JPEG or WebP picture", name);
  if (bytes.size() > limits.max_file_bytes) {
    fail(ErrorCode::BadData, "{}: has {} bytes; allowed are at most {}", name, bytes.size(),
         limits.max_file_bytes);
  }
  const int orientation = exif_orientation(bytes);
  if (cover && orientation >= 5) std::swap(cover->height, cover->width);
  const auto stored = [&] {
    if (has_text_at(bytes, 0, "\x89PNG\r\n\x1a\n")) return decode_png(bytes, name, limits);
    if (has_text_at(bytes, 0, "\xff\xd8\xff")) return decode_jpeg(bytes, name, limits, cover);
    if (has_text_at(bytes, 0, "RIFF") && has_text_at(bytes, 8, "WEBP"))
      return decode_webp(bytes, name, limits);
    fail(ErrorCode::BadData, "{}: is not a PNG, JPEG or WebP picture", name);
  };
  try {
    return upright(stored(), orientation);
  } catch (const std::bad_alloc&) {  // one picture, which need not stop the others
    fail(ErrorCode::Unsupported, "{}: not enough memory to decode it", name);
  }
}

}  // namespace

Image decode(std::span<const std::uint8_t> bytes, const std::string& name,
             const DecodeLimits& limits) {
  return decode_any(bytes, name, limits, std::nullopt);
}

Image decode_to_cover(std::span<const std::uint8_t> bytes, const std::string& name, int height,
                      int width, const DecodeLimits& limits) {
  if (height < 1 || width < 1) {
    fail(ErrorCode::InvalidArgument, "{}: asked for at {}x{}; both sides must be at least 1", name,
         width, height);
  }
  return decode_any(bytes, name, limits, Cover{height, width});
}

Image read_image(const std::filesystem::path& path, const DecodeLimits& limits) {
  return decode(read_file(path, limits.max_file_bytes), path.string(), limits);
}

Image decode_fitted(std::span<const std::uint8_t> bytes, const std::string& name, int height,
                    int width, const DecodeLimits& limits) {
  return resize_and_crop(decode_to_cover(bytes, name, height, width, limits), height, width);
}

Image read_fitted(const std::filesystem::path& path, int height, int width,
                  const DecodeLimits& limits) {
  return decode_fitted(read_file(path, limits.max_file_bytes), path.string(), height, width,
                       limits);
}

void write_png(const std::filesystem::path& path, const Image& image, Overwrite overwrite) {
  write_file(path, encode_png(image), overwrite);
}

Image tile(std::span<const Image> images, int columns, int gap, int scale) {
  constexpr auto wrong = ErrorCode::InvalidArgument;
  if (images.empty()) fail(wrong, "tile: there are no pictures");
  if (columns < 1 || gap < 0 || scale < 1) {
    fail(wrong, "tile: columns {}, gap {}, scale {}; they must be at least 1, 0 and 1", columns,
         gap, scale);
  }
  const int height = images[0].height, width = images[0].width;
  for (const auto& image : images) {
    if (image.height != height || image.width != width) {
      fail(wrong, "tile: a picture of {}x{} among pictures of {}x{}; all must be of one size",
           image.width, image.height, width, height);
    }
    if (height < 1 || width < 1 || image.rgb.size() != static_cast<std::size_t>(height) * width * 3)
      fail(wrong, "tile: a picture of {}x{} with {} bytes", width, height, image.rgb.size());
  }

  const int count = static_cast<int>(images.size());
  columns = std::min(columns, count);
  const int rows = (count + columns - 1) / columns;
  Image result;
  result.height = rows * height * scale + (rows + 1) * gap;
  result.width = columns * width * scale + (columns + 1) * gap;
  result.rgb.assign(static_cast<std::size_t>(result.height) * result.width * 3, 255);
  for (int i = 0; i < count; ++i) {
    const int top = gap + i / columns * (height * scale + gap);
    const int left = gap + i % columns * (width * scale + gap);
    for (int y = 0; y < height * scale; ++y) {
      auto* out = &result.rgb[(static_cast<std::size_t>(top + y) * result.width + left) * 3];
      const auto* row = &images[i].rgb[static_cast<std::size_t>(y / scale) * width * 3];
      for (int x = 0; x < width * scale; ++x) std::copy_n(row + x / scale * 3, 3, out + x * 3);
    }
  }
  return result;
}

}  // namespace veilnet::image
