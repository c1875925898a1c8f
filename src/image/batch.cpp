#include "image/batch.h"

#include <limits>
#include <utility>

#include "core/error.h"

namespace veilnet::image {
namespace {

void check_whole(const Batch& batch, std::size_t bytes) {
  if (batch.picture_bytes() != 0 && bytes % batch.picture_bytes() == 0) return;
  fail(ErrorCode::InvalidArgument,
       "picture batch: {} bytes of pixels; allowed are whole pictures of {}x{}, {} bytes each",
       bytes, batch.width(), batch.height(), batch.picture_bytes());
}

}  // namespace

Batch::Batch(int height, int width, std::size_t count) : height_(height), width_(width) {
  if (height < 1 || width < 1) {
    fail(ErrorCode::InvalidArgument,
         "picture batch: pictures of {}x{}; both sides must be at least 1", width, height);
  }
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
  const auto row_bytes = std::size_t{3} * static_cast<std::size_t>(width);
  if (static_cast<std::size_t>(height) > most / row_bytes || count > most / picture_bytes()) {
    fail(ErrorCode::InvalidArgument,
         "picture batch: {} pictures of {}x{} are more bytes than can be addressed", count, width,
         height);
  }
  pixels_.resize(count * picture_bytes());
}

Batch::Batch(int height, int width, std::vector<std::uint8_t> pixels_nhwc) : Batch(height, width) {
  check_whole(*this, pixels_nhwc.size());
  pixels_ = std::move(pixels_nhwc);
}

Image Batch::image(std::size_t i) const {
  const auto pixels = picture(i);
  return {height_, width_, {pixels.begin(), pixels.end()}};
}

void Batch::append(std::span<const std::uint8_t> pixels_nhwc) {
  check_whole(*this, pixels_nhwc.size());
  pixels_.insert(pixels_.end(), pixels_nhwc.begin(), pixels_nhwc.end());
}

void Batch::append(const Image& image) {
  if (image.height != height_ || image.width != width_) {
    fail(ErrorCode::InvalidArgument, "picture batch: a picture of {}x{} among pictures of {}x{}",
         image.width, image.height, width_, height_);
  }
  append(image.rgb);
}

Batch Batch::subset(std::span<const std::uint32_t> positions) const {
  Batch out;
  out.height_ = height_;
  out.width_ = width_;
  out.pixels_.reserve(positions.size() * picture_bytes());
  for (const auto i : positions) {
    if (i >= count()) {
      fail(ErrorCode::InvalidArgument, "picture batch: picture {} of {}; allowed are 0 to {}", i,
           count(), static_cast<std::int64_t>(count()) - 1);
    }
    out.append(picture(i));
  }
  return out;
}

}  // namespace veilnet::image
