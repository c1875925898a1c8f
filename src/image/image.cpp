#include "image/image.h"

#include <algorithm>
#include <array>
#include <string_view>

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
      height * width > limits.max_pixels)
    throw Error(ErrorCode::BadData,
                name + ": picture of " + std::to_string(width) + "x" + std::to_string(height) +
                    " pixels; allowed are sides from 1 to " + std::to_string(limits.max_side) +
                    " and at most " + std::to_string(limits.max_pixels) + " pixels");
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

Image decode(std::span<const std::uint8_t> bytes, const std::string& name,
             const DecodeLimits& limits) {
  if (bytes.empty())
    fail(ErrorCode::BadData, "{}: is empty; expected a PNG, JPEG or WebP picture", name);
  if (bytes.size() > limits.max_file_bytes) {
    fail(ErrorCode::BadData, "{}: has {} bytes; allowed are at most {}", name, bytes.size(),
         limits.max_file_bytes);
  }
  const auto stored = [&] {
    if (has_text_at(bytes, 0, "\x89PNG\r\n\x1a\n")) return decode_png(bytes, name, limits);
    if (has_text_at(bytes, 0, "\xff\xd8\xff")) return decode_jpeg(bytes, name, limits);
    if (has_text_at(bytes, 0, "RIFF") && has_text_at(bytes, 8, "WEBP"))
      return decode_webp(bytes, name, limits);
    fail(ErrorCode::BadData, "{}: is not a PNG, JPEG or WebP picture", name);
  };
  return upright(stored(), exif_orientation(bytes));
}

Image read_image(const std::filesystem::path& path, const DecodeLimits& limits) {
  return decode(read_file(path, limits.max_file_bytes), path.string(), limits);
}

void write_png(const std::filesystem::path& path, const Image& image, Overwrite overwrite) {
  write_file(path, encode_png(image), overwrite);
}

Image tile(std::span<const Image> images, int columns, int gap, int scale) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorCode::InvalidArgument, "tile: " + message);
  };
  if (images.empty()) refuse("there are no pictures");
  if (columns < 1 || gap < 0 || scale < 1)
    refuse("columns " + std::to_string(columns) + ", gap " + std::to_string(gap) + ", scale " +
           std::to_string(scale) + "; they must be at least 1, 0 and 1");
  const auto size_text = [](const Image& image) {
    return std::to_string(image.width) + "x" + std::to_string(image.height);
  };
  const int height = images[0].height, width = images[0].width;
  for (const auto& image : images) {
    if (image.height != height || image.width != width)
      refuse("a picture of " + size_text(image) + " among pictures of " + size_text(images[0]) +
             "; all must be of one size");
    if (height < 1 || width < 1 || image.rgb.size() != static_cast<std::size_t>(height) * width * 3)
      refuse("a picture of " + size_text(image) + " with " + std::to_string(image.rgb.size()) +
             " bytes");
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

bool has_picture_extension(const std::filesystem::path& path) {
  auto extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  constexpr std::array<std::string_view, 4> known{".png", ".jpg", ".jpeg", ".webp"};
  return std::ranges::find(known, extension) != known.end();
}

}  // namespace veilnet::image
