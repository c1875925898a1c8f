#include "service/codebook.h"

#include <algorithm>
#include <fmt/format.h>
#include <sodium.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_file.h"
#include "image/image.h"

namespace veilnet::service {

Codebook Codebook::load(const std::filesystem::path& folder, int64_t height, int64_t width) {
  constexpr int kMostBits = 16;
  const auto file = folder / "codebook.json";
  const auto about = read_json(file, {.max_bytes = 1u << 16});
  const auto bits = about.is_object() ? about.value("bits", nlohmann::json()) : nlohmann::json();
  if (!bits.is_number_integer() || bits < 1 || bits > kMostBits)
    fail(ErrorCode::BadData, "{}: bits is missing or not 1 to {}", file.string(), kMostBits);
  image::DecodeLimits limits;
  limits.max_side = static_cast<int>(std::max(height, width));
  Codebook book;
  for (uint32_t code = 0; code < 1u << bits.get<uint32_t>(); ++code) {
    const auto path = folder / fmt::format("{:05}.png", code);
    const auto picture = image::read_image(path, limits);
    if (picture.height != height || picture.width != width)
      fail(ErrorCode::BadData, "{}: has {}x{} pixels; the model takes {}x{}", path.string(),
           picture.width, picture.height, width, height);
    book.hashes_.push_back(hash_of(picture.rgb));
  }
  std::ranges::sort(book.hashes_);
  book.hashes_.erase(std::unique(book.hashes_.begin(), book.hashes_.end()), book.hashes_.end());
  return book;
}

bool Codebook::holds(std::span<const uint8_t> pixels_hwc) const {
  return std::ranges::binary_search(hashes_, hash_of(pixels_hwc));
}

Codebook::Hash Codebook::hash_of(std::span<const uint8_t> pixels_hwc) {
  Hash hash{};
  crypto_generichash(hash.data(), hash.size(), pixels_hwc.data(), pixels_hwc.size(), nullptr, 0);
  return hash;
}

}  // namespace veilnet::service
