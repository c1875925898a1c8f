// The decoders behind decode(), one per format. Internal to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "image/image.h"

namespace veilnet::image {

Image decode_png(std::span<const std::uint8_t> bytes, const std::string& name,
                 const DecodeLimits& limits);
/// At 1/8, 1/4 or 1/2 of its size, the smallest at which both sides are at least twice those of
/// `cover`, or at its own size: the inverse transform of a block then makes fewer pixels (the other
/// eighths are slower than all of them). The limits hold for the size in the header.
struct Cover {
  int height, width;
};
Image decode_jpeg(std::span<const std::uint8_t> bytes, const std::string& name,
                  const DecodeLimits& limits, const std::optional<Cover>& cover);
Image decode_webp(std::span<const std::uint8_t> bytes, const std::string& name,
                  const DecodeLimits& limits);

/// @throws Error{BadData} if the header claims no pixels, or more than the limits allow.
void check_dimensions(std::uint64_t height, std::uint64_t width, const std::string& name,
                      const DecodeLimits& limits);

/// Composes interleaved RGBA on white and drops alpha.
std::vector<std::uint8_t> compose_on_white(std::vector<std::uint8_t> rgba);

}  // namespace veilnet::image
