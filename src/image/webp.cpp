#include <webp/decode.h>

#include "core/error.h"
#include "image/codecs.h"

namespace veilnet::image {

Image decode_webp(std::span<const std::uint8_t> bytes, const std::string& name,
                  const DecodeLimits& limits) {
  const auto refuse = [&](const char* what) { fail(ErrorCode::BadData, "{}: {}", name, what); };
  WebPBitstreamFeatures features;
  const auto status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) refuse("truncated WebP header");
  if (status != VP8_STATUS_OK) refuse("malformed WebP header");
  check_dimensions(static_cast<std::uint64_t>(features.height),
                   static_cast<std::uint64_t>(features.width), name, limits);
  if (features.has_animation) refuse("animated WebP; only still pictures are read");

  Image image{features.height, features.width, {}};
  const int channels = features.has_alpha ? 4 : 3;
  const int stride = features.width * channels;
  image.rgb.resize(static_cast<std::size_t>(features.height) * static_cast<std::size_t>(stride));
  const auto into = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!into(bytes.data(), bytes.size(), image.rgb.data(), image.rgb.size(), stride))
    refuse("truncated or corrupt WebP data");
  if (features.has_alpha) image.rgb = compose_on_white(std::move(image.rgb));
  return image;
}

}  // namespace veilnet::image
