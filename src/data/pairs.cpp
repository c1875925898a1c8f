#include "data/pairs.h"

#include <utility>

#include "core/error.h"

namespace veilnet::data {

Pairs::Pairs(image::Batch protected_pictures, image::Batch plain)
    : protected_(std::move(protected_pictures)), plain_(std::move(plain)) {
  if (protected_.count() == plain_.count() && protected_.same_size(plain_)) return;
  fail(ErrorCode::InvalidArgument,
       "pairs of {} protected pictures of {}x{} and {} plain ones of {}x{}; pairs need equally "
       "many of the same size",
       protected_.count(), protected_.width(), protected_.height(), plain_.count(), plain_.width(),
       plain_.height());
}

Pairs Pairs::subset(std::span<const std::uint32_t> positions) const {
  return {protected_.subset(positions), plain_.subset(positions)};
}

}  // namespace veilnet::data
