// The exact leak guard: all pictures that a coded h can make, and so all that may arrive.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace veilnet::service {

/// A codebook's pictures (model/codebook.h) as hashes (BLAKE2b, 256 bits). A picture is one of
/// them, byte for byte, or it is not: no misses, and no false alarms for clients that send the
/// folder's pictures or compute them on the same kind of machine (docs/bound.md).
class ExactGuard {
 public:
  /// Of the codebook in this folder. @throws as model::read_codebook.
  ExactGuard(const std::filesystem::path& folder, int64_t height, int64_t width);

  bool holds(std::span<const uint8_t> pixels_hwc) const;
  /// Those that differ.
  size_t pictures() const { return hashes_.size(); }

 private:
  using Hash = std::array<uint8_t, 32>;
  static Hash hash_of(std::span<const uint8_t> pixels_hwc);

  std::vector<Hash> hashes_;  ///< sorted
};

}  // namespace veilnet::service
