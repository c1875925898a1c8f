#include "nn/protection.h"

#include "nn/infer.h"

namespace veilnet::nn {

NetworkProtection::NetworkProtection(std::string label, const std::string& text, Model network)
    : Protection(std::move(label), text + ", " + model::describe(network.card) + ", public",
                 protection::Keys::None),
      network_(std::move(network)) {}

std::string NetworkProtection::describe() const { return "network " + content_hash(network_); }

image::Batch NetworkProtection::protect(const image::Batch& plain, std::uint64_t,
                                        std::span<const std::int32_t>) const {
  return transform(network_, plain);
}

image::Batch NetworkProtection::protect_without_key(const image::Batch& plain, std::uint64_t,
                                                    std::span<const std::int32_t>) const {
  return transform(network_, plain);
}

}  // namespace veilnet::nn
