#include "image/transport.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <webp/encode.h>
// clang-format off
#include <jpeglib.h>  // needs FILE
// clang-format on

#include "core/error.h"

namespace veilnet::image {

namespace {

constexpr std::array<std::string_view, 5> kKinds{"png", "jpeg", "webp", "resize",
                                                 "crop"};  // as Transport::Kind

void check(const Transport& transport) {
  const auto refuse = [&](const char* allowed) {
    fail(ErrorCode::InvalidArgument, "the transport \"{}\": allowed is {}", to_text(transport),
         allowed);
  };
  const double amount = transport.amount;
  switch (transport.kind) {
    case Transport::Kind::Png: return;
    case Transport::Kind::Jpeg:
    case Transport::Kind::Webp:
      if (!(amount >= 1 && amount <= 100 && amount == std::floor(amount)))
        refuse("a quality of 1 to 100, whole");
      return;
    case Transport::Kind::Resize:
    case Transport::Kind::Crop:
      if (!(amount > 0 && amount <= 1)) refuse("a share of each side above 0 up to 1");
  }
}

void check_sides(const char* format, const Image& image, int most) {
  if (image.height <= most && image.width <= most) return;
  fail(ErrorCode::InvalidArgument, "{}: the picture is {}x{}; allowed are sides up to {}", format,
       image.width, image.height, most);
}

struct JpegErrors {
  jpeg_error_mgr manager;  // first, so that the library's pointer is also ours
  std::jmp_buf jump;
};

[[noreturn]] void stop(j_common_ptr info) {
  std::longjmp(reinterpret_cast<JpegErrors*>(info->err)->jump, 1);
}

/// An encoder and what it writes. Nothing with a destructor lives in the function that longjmp
/// leaves.
struct JpegEncoder {
  jpeg_compress_struct info{};
  JpegErrors errors{};
  unsigned char* bytes = nullptr;
  unsigned long size = 0;

  JpegEncoder() {
    info.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = stop;
  }
  ~JpegEncoder() {
    jpeg_destroy_compress(&info);
    std::free(bytes);  // NOLINT: the library took it from malloc
  }
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;

  /// False where memory ran out, which is all that can go wrong.
  bool run(const Image& image, int quality) {
    if (setjmp(errors.jump)) return false;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &size);
    info.image_width = static_cast<JDIMENSION>(image.width);
    info.image_height = static_cast<JDIMENSION>(image.height);
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      auto* row = const_cast<JSAMPROW>(
          &image.rgb[3 * static_cast<std::size_t>(info.next_scanline) * info.image_width]);
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    return true;
  }
};

Image through_jpeg(const Image& image, int quality) {
  check_sides("jpeg", image, JPEG_MAX_DIMENSION);
  JpegEncoder encoder;
  if (!encoder.run(image, quality))
    fail(ErrorCode::Unsupported, "jpeg: not enough memory to encode the picture");
  return decode(std::span(encoder.bytes, encoder.size), "the picture as JPEG");
}

Image through_webp(const Image& image, float quality) {
  check_sides("webp", image, WEBP_MAX_DIMENSION);
  std::uint8_t* bytes = nullptr;
  const auto size =
      WebPEncodeRGB(image.rgb.data(), image.width, image.height, 3 * image.width, quality, &bytes);
  const std::unique_ptr<std::uint8_t, decltype(&WebPFree)> owner(bytes, WebPFree);
  if (size == 0) fail(ErrorCode::Unsupported, "webp: not enough memory to encode the picture");
  return decode(std::span(bytes, size), "the picture as WebP");
}

int share_of(int side, double share) {
  return std::max(1, static_cast<int>(std::lround(side * share)));
}

Image centre(const Image& image, double share) {
  Image out{share_of(image.height, share), share_of(image.width, share), {}};
  const auto top = (image.height - out.height) / 2, left = (image.width - out.width) / 2;
  for (int y = top; y < top + out.height; ++y) {
    const auto row = image.rgb.begin() + 3 * (std::ptrdiff_t{y} * image.width + left);
    out.rgb.insert(out.rgb.end(), row, row + 3 * std::ptrdiff_t{out.width});
  }
  return out;
}

}  // namespace

Transport transport_from(std::string_view text) {
  const auto refuse = [&] {
    fail(ErrorCode::InvalidArgument,
         "the transport is \"{}\"; allowed: png, jpeg:QUALITY, webp:QUALITY, resize:SHARE, "
         "crop:SHARE, with a quality of 1 to 100 and a share of each side above 0 up to 1",
         text);
  };
  const auto colon = text.find(':');
  const auto kind = std::ranges::find(kKinds, text.substr(0, colon));
  if (kind == kKinds.end()) refuse();
  Transport transport{static_cast<Transport::Kind>(kind - kKinds.begin()), 0};
  if ((transport.kind == Transport::Kind::Png) != (colon == text.npos)) refuse();
  if (colon != text.npos) {
    const auto* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, transport.amount);
    if (error != std::errc() || stopped != end) refuse();
  }
  check(transport);
  return transport;
}

std::string to_text(const Transport& transport) {
  const auto kind = kKinds.at(static_cast<std::size_t>(transport.kind));
  return transport.kind == Transport::Kind::Png ? std::string(kind)
                                                : fmt::format("{}:{}", kind, transport.amount);
}

Image apply(const Transport& transport, const Image& image) {
  check(transport);
  if (image.height < 1 || image.width < 1 ||
      image.rgb.size() != 3 * static_cast<std::size_t>(image.height) * image.width) {
    fail(ErrorCode::InvalidArgument, "transport: the picture is {}x{} with {} bytes", image.width,
         image.height, image.rgb.size());
  }
  const double amount = transport.amount;
  switch (transport.kind) {
    case Transport::Kind::Png: break;
    case Transport::Kind::Jpeg: return through_jpeg(image, static_cast<int>(amount));
    case Transport::Kind::Webp: return through_webp(image, static_cast<float>(amount));
    case Transport::Kind::Resize:
      return resize(resize(image, share_of(image.height, amount), share_of(image.width, amount)),
                    image.height, image.width);
    case Transport::Kind::Crop: return resize(centre(image, amount), image.height, image.width);
  }
  return image;
}

}  // namespace veilnet::image
