// Which way up a picture is stored. Internal to this folder.
#pragma once

#include <cstdint>
#include <span>

#include "image/image.h"

namespace veilnet::image {

/// The orientation that the Exif data of a JPEG (first APP1 segment of that kind), PNG (eXIf) or
/// WebP (EXIF chunk) states: tag 0x0112 of IFD 0 in TIFF of either byte order (Exif 2.32, section
/// 4.6.4), 1 to 8. 1, which changes nothing, for a file that states none or whose Exif data are
/// malformed: no viewer refuses such a file. Never reads outside `bytes`.
int exif_orientation(std::span<const std::uint8_t> bytes);

/// The picture as it is to be looked at: turned and mirrored as the orientation says. From 5 on
/// height and width change places.
Image upright(Image stored, int orientation);

}  // namespace veilnet::image
