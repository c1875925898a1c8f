// Picture files of every kind.
#include "fuzz.h"
#include "image/image.h"

using namespace veilnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  image::DecodeLimits limits;
  limits.max_pixels = 1u << 18;  // more only takes time
  fuzz::try_parse([&] {
    const auto picture = image::decode({data, size}, "x", limits);
    fuzz::require(picture.height > 0 && picture.width > 0, "a picture has pixels");
    fuzz::require(picture.rgb.size() == std::size_t{3} * picture.height * picture.width,
                  "three bytes a pixel");
  });
  return 0;
}
