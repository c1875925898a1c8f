// A coded transformation whose code can be seen, and changed, before its picture is drawn.
#pragma once

#include <memory>

#include "model/coded.h"
#include "runtime/network.h"

namespace veilnet::runtime {

/// Thread-safe as Network. The same functions as the whole network's, in two steps.
class CodedNetwork {
 public:
  /// @throws Error{InvalidArgument} for a network without a code, and for another precision than
  /// float32: a bit that rounding turns would be another picture.
  explicit CodedNetwork(const model::Model& h, const Options& options = {});

  const model::Card& card() const { return encoder_.card(); }

  /// The code of each picture, bit i of it in bit i. images_nhwc: uint8 RGB pictures of one size.
  /// @throws as Network::transform.
  std::vector<std::uint64_t> codes(std::span<const uint8_t> images_nhwc, int64_t height,
                                   int64_t width) const;
  /// The protected pictures of codes, uint8 NHWC of the card's size. Each is drawn by itself, so
  /// that a code has one picture whatever stands beside it, and is kept for the next time.
  /// @throws Error{BadData} for an output that is not finite.
  std::vector<uint8_t> pictures(std::span<const std::uint64_t> codes) const;

 private:
  CodedNetwork(model::CodedParts parts, const model::Model& h, const Options& options);

  model::Model input_;  // card and layers without weights: what the input must look like
  Network encoder_, decoder_;
  struct Drawn;
  std::shared_ptr<Drawn> drawn_;
};

}  // namespace veilnet::runtime
