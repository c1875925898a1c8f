// Many pictures of one size in one piece of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "image/image.h"

namespace veilnet::image {

/// uint8 RGB pictures [count, height, width, 3], row-major (NHWC). The pixels always fit the sizes.
class Batch {
 public:
  /// No pictures of no size.
  Batch() = default;
  /// `count` black pictures. @throws Error{InvalidArgument} for sides below 1 or sizes whose bytes
  /// do not fit the address space.
  Batch(int height, int width, std::size_t count = 0);
  /// @param pixels_nhwc whole pictures, as many as there are.
  /// @throws Error{InvalidArgument} for sides below 1, or bytes that are no whole number of
  /// pictures.
  Batch(int height, int width, std::vector<std::uint8_t> pixels_nhwc);

  int height() const { return height_; }
  int width() const { return width_; }
  std::size_t count() const { return picture_bytes() == 0 ? 0 : pixels_.size() / picture_bytes(); }
  bool empty() const { return pixels_.empty(); }
  std::size_t picture_bytes() const { return std::size_t{3} * height_ * width_; }
  bool same_size(const Batch& other) const {
    return height_ == other.height_ && width_ == other.width_;
  }

  std::span<const std::uint8_t> pixels() const { return pixels_; }
  std::span<std::uint8_t> pixels() { return pixels_; }
  /// Picture i < count(), HWC.
  std::span<const std::uint8_t> picture(std::size_t i) const {
    return pixels().subspan(i * picture_bytes(), picture_bytes());
  }
  std::span<std::uint8_t> picture(std::size_t i) {
    return pixels().subspan(i * picture_bytes(), picture_bytes());
  }
  /// A copy of picture i < count().
  Image image(std::size_t i) const;

  /// Puts whole pictures of this batch's size at the end. @throws Error{InvalidArgument} for bytes
  /// that are no whole number of pictures.
  void append(std::span<const std::uint8_t> pixels_nhwc);
  /// @throws Error{InvalidArgument} for a picture of another size.
  void append(const Image& image);
  /// Copies of the pictures at these positions, which may repeat. @throws Error{InvalidArgument}
  /// for a position that is not below count().
  Batch subset(std::span<const std::uint32_t> positions) const;

  bool operator==(const Batch&) const = default;

 private:
  int height_ = 0;
  int width_ = 0;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace veilnet::image
