// Pictures across the border of the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "image/image.h"
#include "veilnet/veilnet.h"

namespace veilnet::api {

/// @throws Error{InvalidArgument} for sides below 1 or bytes that do not fit them.
image::Image checked(const Picture& picture);
Picture to_public(image::Image picture);

/// @throws Error{InvalidArgument} for no pictures, sides below 1, or sizes beyond the address
/// space.
std::span<const std::uint8_t> checked(const std::uint8_t* images_nhwc, std::size_t count,
                                      int height, int width);

}  // namespace veilnet::api
