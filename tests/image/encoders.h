// Writes small pictures of every kind with the libraries themselves, for the decoders to read.
#pragma once

#include <cstdint>
#include <cstdio>
#include <png.h>
#include <string>
#include <vector>
// clang-format off
#include <jpeglib.h>  // needs FILE
// clang-format on
#include <webp/encode.h>

#include "image/image.h"

namespace veilnet::image::test {

using Bytes = std::vector<std::uint8_t>;

/// A smooth coloured picture whose every row, column and channel differs.
inline Image gradient(int height, int width) {
  Image image{height, width, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.rgb.push_back(static_cast<std::uint8_t>((c == 0   ? 255 * y / height
                                                       : c == 1 ? 255 * x / width
                                                                : 40 + 5 * (x + y)) &
                                                      255));
  return image;
}

struct PngForm {
  int color_type = PNG_COLOR_TYPE_RGB;
  int depth = 8;
  int interlace = PNG_INTERLACE_NONE;
  std::vector<png_color> palette = {};
  std::vector<std::uint8_t> palette_alpha = {};
  bool transparent_color = false;  ///< the colour 0 is transparent
  std::string text = {};           ///< a compressed text chunk
};

/// `rows` holds height * stride bytes in the layout of the PNG itself (16 bit big-endian).
inline Bytes encode_png_form(int height, int width, Bytes rows, const PngForm& form) {
  Bytes bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, std::size_t size) {
        auto* out = static_cast<Bytes*>(png_get_io_ptr(p));
        out->insert(out->end(), data, data + size);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
               form.depth, form.color_type, form.interlace, PNG_COMPRESSION_TYPE_BASE,
               PNG_FILTER_TYPE_BASE);
  if (!form.palette.empty())
    png_set_PLTE(png, info, form.palette.data(), static_cast<int>(form.palette.size()));
  if (!form.palette_alpha.empty())
    png_set_tRNS(png, info, form.palette_alpha.data(), static_cast<int>(form.palette_alpha.size()),
                 nullptr);
  png_color_16 zero{};
  if (form.transparent_color) png_set_tRNS(png, info, nullptr, 0, &zero);
  std::string text = form.text;
  png_text entry{};
  entry.compression = PNG_TEXT_COMPRESSION_zTXt;
  entry.key = const_cast<char*>("Comment");
  entry.text = text.data();
  entry.text_length = text.size();
  if (!text.empty()) png_set_text(png, info, &entry, 1);
  png_write_info(png, info);
  const std::size_t stride = rows.size() / static_cast<std::size_t>(height);
  std::vector<png_bytep> pointers;
  for (int y = 0; y < height; ++y)
    pointers.push_back(rows.data() + static_cast<std::size_t>(y) * stride);
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

/// `samples` has 1, 3 or 4 components per pixel, as `space` says, or 2 for JCS_UNKNOWN. @param
/// stored colour space inside the file.
inline Bytes encode_jpeg(int height, int width, const Bytes& samples, J_COLOR_SPACE space,
                         J_COLOR_SPACE stored, bool adobe = false, bool progressive = false,
                         int quality = 95) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = static_cast<JDIMENSION>(width);
  info.image_height = static_cast<JDIMENSION>(height);
  info.input_components = space == JCS_GRAYSCALE ? 1
                          : space == JCS_UNKNOWN ? 2
                          : space == JCS_CMYK    ? 4
                                                 : 3;
  info.in_color_space = space;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, stored);
  if (stored == JCS_CMYK || stored == JCS_YCCK) info.write_Adobe_marker = adobe;
  jpeg_set_quality(&info, quality, TRUE);
  for (int c = 0; c < info.num_components; ++c)
    info.comp_info[c].h_samp_factor = info.comp_info[c].v_samp_factor = 1;
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(
        &samples[static_cast<std::size_t>(info.next_scanline) * width * info.input_components]);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes bytes(buffer, buffer + size);
  std::free(buffer);
  return bytes;
}

inline Bytes encode_jpeg(const Image& image, bool progressive = false) {
  return encode_jpeg(image.height, image.width, image.rgb, JCS_RGB, JCS_YCbCr, false, progressive);
}

inline Bytes take_webp(std::uint8_t* buffer, std::size_t size) {
  Bytes bytes(buffer, buffer + size);
  WebPFree(buffer);
  return bytes;
}
inline Bytes encode_webp_lossless(const Image& image) {
  std::uint8_t* buffer = nullptr;
  const auto size =
      WebPEncodeLosslessRGB(image.rgb.data(), image.width, image.height, image.width * 3, &buffer);
  return take_webp(buffer, size);
}
inline Bytes encode_webp_lossy(const Image& image) {
  std::uint8_t* buffer = nullptr;
  const auto size =
      WebPEncodeRGB(image.rgb.data(), image.width, image.height, image.width * 3, 95, &buffer);
  return take_webp(buffer, size);
}
inline Bytes encode_webp_rgba(int height, int width, const Bytes& rgba) {
  std::uint8_t* buffer = nullptr;
  const auto size = WebPEncodeLosslessRGBA(rgba.data(), width, height, width * 4, &buffer);
  return take_webp(buffer, size);
}

}  // namespace veilnet::image::test
