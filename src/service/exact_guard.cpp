#include "service/exact_guard.h"

#include <algorithm>
#include <sodium.h>

#include "model/codebook.h"

namespace veilnet::service {

ExactGuard::ExactGuard(const std::filesystem::path& folder, int64_t height, int64_t width) {
  model::read_codebook(folder, height, width, [&](const image::Image& picture) {
    hashes_.push_back(hash_of(picture.rgb));
  });
  std::ranges::sort(hashes_);
  hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
}

bool ExactGuard::holds(std::span<const uint8_t> pixels_hwc) const {
  return std::ranges::binary_search(hashes_, hash_of(pixels_hwc));
}

ExactGuard::Hash ExactGuard::hash_of(std::span<const uint8_t> pixels_hwc) {
  Hash hash{};
  crypto_generichash(hash.data(), hash.size(), pixels_hwc.data(), pixels_hwc.size(), nullptr, 0);
  return hash;
}

}  // namespace veilnet::service
