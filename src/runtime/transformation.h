// h as clients run it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "runtime/coded.h"

namespace veilnet::runtime {

/// Back ends round differently, by one level in few bytes (docs/performance.md): a picture whose
/// bytes differ by less on average is taken for this model's.
inline constexpr double kOwnLevels = 0.25;

/// A transformation network, a coded one by way of its code, so that a code has one picture.
/// Thread-safe as Network.
class Transformation {
 public:
  /// @param file a Transform, or with a codebook the Encoder of one.
  /// @param codebook folder of its pictures, or empty.
  /// @throws as model::load, model::read_codebook, Network and CodedNetwork;
  /// Error{BadData} for another role, Error{InvalidArgument} for a codebook beside a network
  /// without a code, and for one that another network drew.
  explicit Transformation(const std::filesystem::path& file, const Options& options = {},
                          const std::filesystem::path& codebook = {});

  const model::Card& card() const { return card_; }

  /// What changes a picture's code: (code, picture) -> the code whose picture is shown.
  using Answer = std::function<std::uint64_t(std::uint64_t, std::span<const uint8_t>)>;

  /// Protected pictures, uint8 NHWC of the same size. `answer` needs a code.
  /// @throws as Network::transform.
  std::vector<uint8_t> transform(std::span<const uint8_t> images_nhwc, int64_t height,
                                 int64_t width, const Answer& answer = {}) const;

 private:
  model::Card card_;
  std::optional<Network> network_;
  std::optional<CodedNetwork> coded_;
};

}  // namespace veilnet::runtime
