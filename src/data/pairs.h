// Protected pictures beside the plain ones they belong to.
#pragma once

#include <cstdint>
#include <span>

#include "image/batch.h"

namespace veilnet::data {

/// Picture i of protected_pictures() belongs to picture i of plain(): what a trained attack learns
/// from. Both are of one size.
class Pairs {
 public:
  /// @throws Error{InvalidArgument} unless both have equally many pictures of the same size.
  Pairs(image::Batch protected_pictures, image::Batch plain);

  const image::Batch& protected_pictures() const { return protected_; }
  const image::Batch& plain() const { return plain_; }
  std::size_t count() const { return plain_.count(); }
  /// The pairs at these positions, which may repeat. @throws as image::Batch::subset.
  Pairs subset(std::span<const std::uint32_t> positions) const;

 private:
  image::Batch protected_, plain_;
};

}  // namespace veilnet::data
