// A coded transformation whose code can be seen, and changed, before its picture is drawn.
#pragma once

#include <memory>
#include <optional>

#include "model/codebook.h"
#include "model/coded.h"
#include "runtime/network.h"

namespace veilnet::runtime {

/// Thread-safe as Network. The same functions as the whole network's, in two steps.
class CodedNetwork {
 public:
  /// @param h a coded Transform, or with a codebook an Encoder.
  /// @param codebook its pictures, which are then taken instead of drawn: the same on every
  /// machine.
  /// @throws Error{InvalidArgument} for a network without a code, for another precision than
  /// float32 (a bit that rounding turns would be another picture), for an Encoder without a
  /// codebook, and for a codebook of other bits or another picture size.
  explicit CodedNetwork(const model::Model& h, const Options& options = {},
                        std::optional<model::Codebook> codebook = std::nullopt);

  const model::Card& card() const { return encoder_.card(); }

  /// The code of each picture, bit i of it in bit i. images_nhwc: uint8 RGB pictures of one size.
  /// @throws as Network::transform.
  std::vector<std::uint64_t> codes(std::span<const uint8_t> images_nhwc, int64_t height,
                                   int64_t width) const;
  /// The protected pictures of codes, uint8 NHWC of the card's size: the codebook's, or drawn each
  /// by itself, so that a code has one picture whatever stands beside it, and kept for the next
  /// time. @throws Error{BadData} for an output that is not finite.
  std::vector<uint8_t> pictures(std::span<const std::uint64_t> codes) const;

 private:
  model::Model input_;  // card and layers without weights: what the input must look like
  Network encoder_;
  std::optional<model::Codebook> codebook_;
  std::optional<Network> decoder_;  ///< without a codebook
  struct Drawn;
  std::shared_ptr<Drawn> drawn_;
};

}  // namespace veilnet::runtime
