// What happens to a picture on its way to the classifier: files of other formats, smaller copies,
// cropping.
#pragma once

#include <string>
#include <string_view>

#include "image/image.h"

namespace veilnet::image {

struct Transport {
  enum class Kind {
    Png,     ///< changes nothing
    Jpeg,    ///< baseline, 4:2:0 chroma
    Webp,    ///< lossy, 4:2:0 chroma
    Resize,  ///< down, and up again to the original size
    Crop,    ///< the centre, scaled to the original size
  };
  Kind kind = Kind::Png;
  /// Jpeg, Webp: quality, a whole number 1 to 100. Resize, Crop: each side's share, above 0 up to
  /// 1, rounded to at least one pixel.
  double amount = 0;

  bool operator==(const Transport&) const = default;
};

/// From "png", "jpeg:90", "webp:80", "resize:0.5" or "crop:0.875".
/// @throws Error{InvalidArgument} for anything else, naming what is allowed.
Transport transport_from(std::string_view text);
/// The inverse, in the shortest form.
std::string to_text(const Transport& transport);

/// What arrives: a picture of the same size. Lossy files are made in memory and read by decode().
/// @throws Error{InvalidArgument} for an amount that is not allowed, an empty picture, one whose
/// bytes do not fit its sides, or sides above 65500 (Jpeg) or 16383 (Webp); Error{BadData} for
/// sides above decode()'s limits.
Image apply(const Transport& transport, const Image& image);

}  // namespace veilnet::image
