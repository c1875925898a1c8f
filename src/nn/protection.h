// A transformation network as a way of protecting pictures.
#pragma once

#include "nn/model.h"
#include "protection/protection.h"

namespace veilnet::nn {

/// Public, and without a key: whoever has the network makes the same of a picture.
class NetworkProtection : public protection::Protection {
 public:
  /// @param text what it is, for people: its architecture follows.
  NetworkProtection(std::string label, const std::string& text, Model network);

  const Model& network() const { return network_; }
  /// "network " and the hash of its content.
  std::string describe() const override;
  image::Batch protect(const image::Batch& plain, std::uint64_t first_key,
                       std::span<const std::int32_t> labels) const override;
  image::Batch protect_without_key(const image::Batch& plain, std::uint64_t first_key,
                                   std::span<const std::int32_t> labels) const override;

 private:
  Model network_;
};

}  // namespace veilnet::nn
