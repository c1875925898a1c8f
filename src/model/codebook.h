// All pictures that a coded h can make, as `veilnet export --format codebook` writes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "image/batch.h"

namespace veilnet::model {

inline constexpr int64_t kMostCodebookBits = 16;

struct Codebook {
  int64_t bits = 0;
  std::string model_sha256;  ///< content_hash of the h that drew them; empty where not said
  image::Batch pictures;     ///< 2^bits; picture i is that of code i
};

/// Reads codebook.json and 00000.png and so on, and hands on each picture, that of code 0 first.
/// @return all but the pictures.
/// @throws Error{NotFound} for a folder without codebook.json or one of its pictures,
/// Error{BadData} naming the file for what is no such folder and for pictures of another size.
Codebook read_codebook(const std::filesystem::path& folder, int64_t height, int64_t width,
                       const std::function<void(const image::Image&)>& take);
/// Keeps the pictures. @throws as above.
Codebook read_codebook(const std::filesystem::path& folder, int64_t height, int64_t width);

}  // namespace veilnet::model
