// The decoders behind decode(), one per format. Internal to this folder.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/image.h"

namespace veilnet::image {

Image decode_png(std::span<const std::uint8_t> bytes, const std::string& name,
                 const DecodeLimits& limits);
Image decode_jpeg(std::span<const std::uint8_t> bytes, const std::string& name,
                  const DecodeLimits& limits);
Image decode_webp(std::span<const std::uint8_t> bytes, const std::string& name,
                  const DecodeLimits& limits);

/// @throws Error{BadData} if the header claims no pixels, or more than the limits allow.
void check_dimensions(std::uint64_t height, std::uint64_t width, const std::string& name,
                      const DecodeLimits& limits);

/// Composes interleaved RGBA on white and drops alpha.
std::vector<std::uint8_t> compose_on_white(std::vector<std::uint8_t> rgba);

}  // namespace veilnet::image
