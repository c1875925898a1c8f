#include "model/codebook.h"

#include <algorithm>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_file.h"
#include "image/image.h"

namespace veilnet::model {

Codebook read_codebook(const std::filesystem::path& folder, int64_t height, int64_t width,
                       const std::function<void(const image::Image&)>& take) {
  const auto file = folder / "codebook.json";
  const auto about = read_json(file, {.max_bytes = 1u << 16});
  const auto of = [&](const char* name) {
    return about.is_object() ? about.value(name, nlohmann::json()) : nlohmann::json();
  };
  const auto bits = of("bits"), sha256 = of("model_sha256");
  if (!bits.is_number_integer() || bits < 1 || bits > kMostCodebookBits)
    fail(ErrorCode::BadData, "{}: bits is missing or not 1 to {}", file.string(),
         kMostCodebookBits);
  image::DecodeLimits limits;
  limits.max_side = static_cast<int>(std::max(height, width));
  Codebook book{bits, sha256.is_string() ? sha256.get<std::string>() : "", {}};
  for (uint32_t code = 0; code < 1u << book.bits; ++code) {
    const auto path = folder / fmt::format("{:05}.png", code);
    const auto picture = image::read_image(path, limits);
    if (picture.height != height || picture.width != width)
      fail(ErrorCode::BadData, "{}: has {}x{} pixels; the model takes {}x{}", path.string(),
           picture.width, picture.height, width, height);
    take(picture);
  }
  return book;
}

Codebook read_codebook(const std::filesystem::path& folder, int64_t height, int64_t width) {
  image::Batch pictures(static_cast<int>(height), static_cast<int>(width));
  auto book =
      read_codebook(folder, height, width, [&](const image::Image& p) { pictures.append(p); });
  book.pictures = std::move(pictures);
  return book;
}

}  // namespace veilnet::model
