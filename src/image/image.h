// Pictures in memory, and how they come from and go to files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"

namespace veilnet::image {

/// 8-bit RGB, rows top to bottom, row-major, interleaved (HWC). rgb.size() == height * width * 3.
struct Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> rgb;
};

struct DecodeLimits {
  std::uint64_t max_file_bytes = 64u << 20;
  std::uint64_t max_pixels =
      64'000'000;  ///< checked from the header, before memory for pixels is taken
  int max_side = 32768;
};

/// Decodes PNG (any colour type and depth), JPEG (grey, YCbCr, CMYK) or WebP (still), recognised by
/// content. Alpha is composed on white; grey becomes RGB; 16 bit becomes 8. The picture is turned
/// and mirrored as its Exif orientation says; other metadata (GPS, XMP, text, profiles) are
/// skipped.
/// @param name stands for the file in messages.
/// @throws Error{BadData} if the bytes are no such picture, are truncated or corrupt, or exceed the
/// limits; Error{Unsupported} where memory does not suffice.
Image decode(std::span<const std::uint8_t> bytes, const std::string& name,
             const DecodeLimits& limits = {});
/// @throws also Error{NotFound, Io} as read_file.
Image read_image(const std::filesystem::path& path, const DecodeLimits& limits = {});

/// As decode(), for a picture that will be shrunk to cover height x width: a JPEG is decoded at
/// 1/8, 1/4 or 1/2 of its size where both sides stay at least twice as long, which is two to three
/// times faster for pictures of cameras; nearer to the target, hard edges would differ from those
/// of the whole picture. Other formats, and smaller JPEGs, come at their own size.
/// @throws also Error{InvalidArgument} for sides below 1.
Image decode_to_cover(std::span<const std::uint8_t> bytes, const std::string& name, int height,
                      int width, const DecodeLimits& limits = {});
/// The picture as resize_and_crop() makes it, by way of decode_to_cover(): within rounding of
/// decoding it whole (tests: 40 dB).
Image decode_fitted(std::span<const std::uint8_t> bytes, const std::string& name, int height,
                    int width, const DecodeLimits& limits = {});
Image read_fitted(const std::filesystem::path& path, int height, int width,
                  const DecodeLimits& limits = {});

/// 8-bit RGB PNG without ancillary chunks, so that equal pixels give equal bytes. @throws
/// Error{InvalidArgument} for an empty picture.
std::vector<std::uint8_t> encode_png(const Image& image);
void write_png(const std::filesystem::path& path, const Image& image, Overwrite overwrite);

/// Box-filter (area) resampling when shrinking, bilinear when growing, half-pixel centres. @throws
/// Error{InvalidArgument} for sides < 1.
Image resize(const Image& image, int height, int width);
/// Scales so that the picture covers height x width, then crops the centre.
Image resize_and_crop(const Image& image, int height, int width);

/// Pictures of one size in rows of `columns`, separated and framed by `gap` white pixels, each
/// enlarged `scale` times by pixel repetition.
/// @throws Error{InvalidArgument} for no pictures or different sizes.
Image tile(std::span<const Image> images, int columns, int gap = 2, int scale = 1);

}  // namespace veilnet::image
