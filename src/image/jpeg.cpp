#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdio>
// clang-format off
#include <jpeglib.h>  // needs FILE
#include <jerror.h>   // needs the configuration of jpeglib.h
// clang-format on

#include "core/error.h"
#include "image/codecs.h"

namespace veilnet::image {

namespace {

/// A progressive picture of very many empty scans would take hours; encoders use about ten.
constexpr int max_scans = 500;

struct ErrorState {
  jpeg_error_mgr manager;  // first, so that the library's pointer is also ours
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void stop(j_common_ptr info) {
  auto* state = reinterpret_cast<ErrorState*>(info->err);
  (*info->err->format_message)(info, state->message);
  std::longjmp(state->jump, 1);
}

/// The library fills gaps with grey and only warns; warnings that mean lost picture data are errors
/// here.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: stop(info);
    default: return;
  }
}

void on_progress(j_common_ptr info) {
  const auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number <= max_scans) return;
  auto* state = reinterpret_cast<ErrorState*>(info->err);
  std::snprintf(state->message, sizeof state->message, "more than %d scans", max_scans);
  std::longjmp(state->jump, 1);
}

/// A decoder and what it writes to. Nothing with a destructor lives in a function that longjmp
/// leaves.
struct Decoder {
  jpeg_decompress_struct info{};
  ErrorState error{};
  jpeg_progress_mgr progress{};

  Decoder() {
    info.err = jpeg_std_error(&error.manager);
    error.manager.error_exit = stop;
    error.manager.emit_message = on_message;
    progress.progress_monitor = on_progress;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Each step returns false after an error, with the message in `error`.
  bool read_header(std::span<const std::uint8_t> bytes) {
    if (setjmp(error.jump)) return false;
    jpeg_create_decompress(&info);
    info.progress = &progress;
    jpeg_mem_src(&info, bytes.data(), bytes.size());
    jpeg_read_header(&info, TRUE);
    return true;
  }
  bool choose_scale(Cover cover) {
    if (setjmp(error.jump)) return false;
    info.scale_denom = 8;
    for (info.scale_num = 1; info.scale_num < 8 && !covers(cover); info.scale_num *= 2) continue;
    jpeg_calc_output_dimensions(&info);
    return true;
  }
  /// Whether the picture at the chosen scale is large enough, and true to shape: its last row and
  /// column may stand for less than a whole one, so that shrinking it to `cover` moves what it
  /// shows, by at most an eighth of a pixel of the result.
  bool covers(Cover cover) const {
    const double height = info.image_height * info.scale_num / 8.0,
                 width = info.image_width * info.scale_num / 8.0;
    const double shrinking = std::max(cover.height / height, cover.width / width);
    const double missing = std::max(std::ceil(height) - height, std::ceil(width) - width);
    return shrinking <= 0.5 && missing * shrinking <= 1.0 / 8;
  }
  bool read_pixels(std::uint8_t* pixels, J_COLOR_SPACE space) {
    if (setjmp(error.jump)) return false;
    info.out_color_space = space;
    info.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&info);
    const std::size_t stride = static_cast<std::size_t>(info.output_width) * info.output_components;
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = pixels + info.output_scanline * stride;
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    return true;
  }
};

/// Adobe writes the four inks inverted, so that 255 is no ink.
std::vector<std::uint8_t> cmyk_to_rgb(const std::vector<std::uint8_t>& cmyk, bool inverted) {
  std::vector<std::uint8_t> rgb(cmyk.size() / 4 * 3);
  for (std::size_t i = 0; i < cmyk.size() / 4; ++i) {
    const auto light = [&](std::size_t c) -> unsigned {
      return inverted ? cmyk[4 * i + c] : 255u - cmyk[4 * i + c];
    };
    for (std::size_t c = 0; c < 3; ++c)
      rgb[3 * i + c] = static_cast<std::uint8_t>((light(c) * light(3) + 127) / 255);
  }
  return rgb;
}

}  // namespace

Image decode_jpeg(std::span<const std::uint8_t> bytes, const std::string& name,
                  const DecodeLimits& limits, const std::optional<Cover>& cover) {
  Decoder decoder;
  const auto require = [&](bool done) {
    if (!done) fail(ErrorCode::BadData, "{}: JPEG: {}", name, decoder.error.message);
  };
  require(decoder.read_header(bytes));
  const auto& info = decoder.info;
  check_dimensions(info.image_height, info.image_width, name, limits);
  const bool four_inks = info.num_components == 4;
  if (!four_inks && info.num_components != 1 && info.num_components != 3) {
    fail(ErrorCode::BadData, "{}: JPEG with {} components; allowed are 1, 3 and 4", name,
         info.num_components);
  }
  require(decoder.choose_scale(cover.value_or(
      Cover{static_cast<int>(info.image_height), static_cast<int>(info.image_width)})));

  Image image{static_cast<int>(info.output_height), static_cast<int>(info.output_width), {}};
  image.rgb.resize(static_cast<std::size_t>(image.height) * image.width * (four_inks ? 4 : 3));
  require(decoder.read_pixels(image.rgb.data(), four_inks ? JCS_CMYK : JCS_RGB));
  if (four_inks) image.rgb = cmyk_to_rgb(image.rgb, info.saw_Adobe_marker);
  return image;
}

}  // namespace veilnet::image
