// The leak guard: does an arriving picture look like what h makes, or like one that was sent plain?
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "image/batch.h"

namespace veilnet::service {

/// What a guard does with a request that holds a picture which looks unprotected.
enum class GuardAction {
  Refuse,
  Warn,   ///< answer it, and say so in the answer and in the access log
  Count,  ///< answer it, and count
  Off,
};

/// Statistics of one picture in which protected and plain ones differ: levels, contrast, how
/// neighbours and channels go together, a coarse map, the phases of enlarging twice. Their number
/// is the same for all sizes.
/// @param pixels_hwc height * width * 3 bytes; sides of at least 8.
std::vector<float> picture_statistics(std::span<const uint8_t> pixels_hwc, int height, int width);

/// Takes for protected what lies near the pictures that one h made: the squared Mahalanobis
/// distance of the statistics to them, divided by their number, is at most a threshold. It knows
/// h's outputs alone and so has no list of what plain pictures look like.
///
/// Not a proof: who knows the guard can make a picture that passes it and shows something.
class Guard {
 public:
  /// @param fitted pictures that h made, at least 1000; @param held_out others, from which comes
  /// the threshold: a share `false_alarms` of them lies beyond it.
  /// @throws Error{InvalidArgument} for fewer pictures, for two sizes and for sides below 8.
  static Guard fit(const image::Batch& fitted, const image::Batch& held_out, double false_alarms);

  /// guard.safetensors: "mean" [d], "whitening" [d, d] and as metadata the threshold and notes.
  void save(const std::filesystem::path& path, const std::map<std::string, std::string>& notes,
            Overwrite overwrite) const;
  /// @param psi_sha256 of the classifier that the note "classifier_sha256" must name.
  /// @throws as Safetensors::load, and Error{BadData} for a file that is no guard of this version,
  /// or one of another classifier.
  static Guard load(const std::filesystem::path& path, const std::string& psi_sha256);

  double distance(std::span<const uint8_t> pixels_hwc, int height, int width) const;
  bool looks_unprotected(std::span<const uint8_t> pixels_hwc, int height, int width) const {
    return distance(pixels_hwc, height, width) > threshold_;
  }
  double threshold() const { return threshold_; }

 private:
  std::vector<float> mean_;
  std::vector<float> whitening_;  ///< lower triangle, rows: the inverse of the Cholesky factor
  double threshold_ = 0;
};

}  // namespace veilnet::service
