#include <csetjmp>
#include <cstring>
#include <exception>
#include <png.h>
#include <zlib.h>

#include "core/error.h"
#include "image/codecs.h"

namespace veilnet::image {

namespace {

struct ErrorState {
  std::jmp_buf jump;
  char message[128] = "";
};

[[noreturn]] void stop(png_structp png, png_const_charp message) {
  auto* state = static_cast<ErrorState*>(png_get_error_ptr(png));
  std::strncpy(state->message, message, sizeof state->message - 1);
  std::longjmp(state->jump, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

constexpr png_uint_32 kImageData = 0x49444154;  // "IDAT"

/// A reader over bytes in memory. Nothing with a destructor lives in a function that longjmp
/// leaves.
struct Reader {
  ErrorState error;
  std::span<const std::uint8_t> rest;
  png_structp png;
  png_infop info;
  std::size_t beyond_rows = 0;  ///< bytes of the picture's stream that were read after its rows

  explicit Reader(std::span<const std::uint8_t> bytes) : rest(bytes) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &error, stop, ignore_warning);
    info = png ? png_create_info_struct(png) : nullptr;
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  bool all_rows_read() const {
    constexpr png_byte kPasses = 7;  // of Adam7
    return png_get_interlace_type(png, info) == PNG_INTERLACE_NONE
               ? png_get_current_row_number(png) >= png_get_image_height(png, info)
               : png_get_current_pass_number(png) >= kPasses;
  }

  static void take(png_structp png, png_bytep out, std::size_t size) {
    // libpng inflates what follows the last row up to the stream's end, a thousand times its size.
    constexpr std::size_t kMostBeyondRows = 16 << 10;
    auto& reader = *static_cast<Reader*>(png_get_io_ptr(png));
    auto& rest = reader.rest;
    if (size > rest.size()) png_error(png, "truncated");
    if (png_get_io_chunk_type(png) == kImageData && reader.all_rows_read())
      if ((reader.beyond_rows += size) > kMostBeyondRows)
        png_error(png, "more data than the picture has");
    std::memcpy(out, rest.data(), size);
    rest = rest.subspan(size);
  }

  /// Each step returns false after an error, with the message in `error`.
  bool read_header() {
    if (setjmp(error.jump)) return false;
    png_set_read_fn(png, this, take);
    png_set_user_limits(png, PNG_UINT_31_MAX,
                        PNG_UINT_31_MAX);  // ours are checked next and explain themselves
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr,
                                -1);  // text, profiles: skipped, never inflated
    png_set_benign_errors(png, 1);
    png_read_info(png, info);
    return true;
  }
  /// Asks for 8-bit RGB or RGBA and says how many channels that makes.
  bool choose_format(int& channels) {
    if (setjmp(error.jump)) return false;
    png_set_expand(png);  // palette, 1-4 bit grey and transparent colours
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    channels = png_get_channels(png, info);
    return true;
  }
  bool read_pixels(png_bytepp rows) {
    if (setjmp(error.jump)) return false;
    png_read_image(png, rows);
    png_read_end(png, nullptr);
    return true;
  }
};

struct Writer {
  ErrorState error;
  std::vector<std::uint8_t> bytes;
  png_structp png;
  png_infop info;

  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &error, stop, ignore_warning);
    info = png ? png_create_info_struct(png) : nullptr;
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// False where memory runs out; a C++ exception must not cross the library.
  static bool append(std::vector<std::uint8_t>& bytes, png_const_bytep data, std::size_t size) {
    try {
      bytes.insert(bytes.end(), data, data + size);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }
  static void give(png_structp png, png_bytep data, std::size_t size) {
    if (!append(static_cast<Writer*>(png_get_io_ptr(png))->bytes, data, size))
      png_error(png, "out of memory");
  }
  static void flush(png_structp) {}

  bool write(const Image& image) {
    if (setjmp(error.jump)) return false;
    png_set_write_fn(png, this, give, flush);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    // Fixed here, so that the bytes do not follow a library's change of default.
    png_set_compression_level(png, 6);
    // Filtered rows of such pictures repeat single bytes at most: this takes half the time of
    // zlib's full search, for protected pictures in files of 94 to 103 % of its size; drawings
    // grow.
    png_set_compression_strategy(png, Z_RLE);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
    png_set_IHDR(png, info, static_cast<png_uint_32>(image.width),
                 static_cast<png_uint_32>(image.height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    png_write_info(png, info);
    for (int y = 0; y < image.height; ++y)
      png_write_row(png, &image.rgb[static_cast<std::size_t>(y) * image.width * 3]);
    png_write_end(png, nullptr);
    return true;
  }
};

}  // namespace

Image decode_png(std::span<const std::uint8_t> bytes, const std::string& name,
                 const DecodeLimits& limits) {
  Reader reader(bytes);
  if (!reader.info) throw std::bad_alloc();
  const auto require = [&](bool done) {
    if (!done) fail(ErrorCode::BadData, "{}: PNG: {}", name, reader.error.message);
  };
  require(reader.read_header());
  const auto height = png_get_image_height(reader.png, reader.info),
             width = png_get_image_width(reader.png, reader.info);
  check_dimensions(height, width, name, limits);
  int channels = 0;
  require(reader.choose_format(channels));

  Image image{static_cast<int>(height), static_cast<int>(width), {}};
  const std::size_t stride = static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  image.rgb.resize(height * stride);
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = &image.rgb[y * stride];
  require(reader.read_pixels(rows.data()));
  if (channels == 4) image.rgb = compose_on_white(std::move(image.rgb));
  return image;
}

std::vector<std::uint8_t> encode_png(const Image& image) {
  if (image.height < 1 || image.width < 1 ||
      image.rgb.size() != static_cast<std::size_t>(image.height) * image.width * 3) {
    fail(ErrorCode::InvalidArgument,
         "encode_png: picture of {}x{} with {} bytes; sides must be at least 1 and bytes 3 per "
         "pixel",
         image.width, image.height, image.rgb.size());
  }
  Writer writer;
  if (!writer.info) throw std::bad_alloc();
  if (!writer.write(image)) fail(ErrorCode::Unsupported, "encode_png: {}", writer.error.message);
  return std::move(writer.bytes);
}

}  // namespace veilnet::image
