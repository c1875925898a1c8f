// A transformation network as a way of protecting pictures.
#pragma once

#include <optional>

#include "nn/model.h"
#include "protection/protection.h"
#include "protection/randomised_response.h"

namespace veilnet::nn {

/// Public, and without a key: whoever has the network makes the same of a picture.
class NetworkProtection : public protection::Protection {
 public:
  /// @param text what it is, for people: its architecture follows.
  /// @param response chance on the network's code, drawn from `seed` and each picture's key; the
  /// attacker runs it himself with draws of his own.
  /// @throws Error{InvalidArgument} for a response to another number of bits than the code's.
  NetworkProtection(std::string label, const std::string& text, Model network,
                    std::optional<protection::RandomisedResponse> response = std::nullopt,
                    std::uint64_t seed = 0);

  const Model& network() const { return network_; }
  const std::optional<protection::RandomisedResponse>& response() const { return response_; }
  /// "network " and the hash of its content, and epsilon and seed where there is chance.
  std::string describe() const override;
  image::Batch protect(const image::Batch& plain, std::uint64_t first_key,
                       std::span<const std::int32_t> labels) const override;
  image::Batch protect_without_key(const image::Batch& plain, std::uint64_t first_key,
                                   std::span<const std::int32_t> labels) const override;

 private:
  Model network_;
  std::optional<protection::RandomisedResponse> response_;
  std::uint64_t seed_;
};

}  // namespace veilnet::nn
