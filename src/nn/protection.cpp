#include "nn/protection.h"

#include "core/error.h"
#include "nn/infer.h"

namespace veilnet::nn {

NetworkProtection::NetworkProtection(std::string label, const std::string& text, Model network,
                                     std::optional<protection::RandomisedResponse> response,
                                     std::uint64_t seed)
    : Protection(std::move(label), text + ", " + model::describe(network.card) + ", public",
                 protection::Keys::None),
      network_(std::move(network)),
      response_(response),
      seed_(seed) {
  if (response_ && response_->bits() != network_.card.bits)
    fail(ErrorCode::InvalidArgument, "a response to {} bits beside a code of {}", response_->bits(),
         network_.card.bits);
}

std::string NetworkProtection::describe() const {
  const auto network = "network " + content_hash(network_);
  return response_
             ? fmt::format("{}, epsilon {}, seed {}, draws 2", network, response_->epsilon(), seed_)
             : network;
}

image::Batch NetworkProtection::protect(const image::Batch& plain, std::uint64_t first_key,
                                        std::span<const std::int32_t>) const {
  if (!response_) return transform(network_, plain);
  const auto master = cipher::key_from_seed(seed_);
  const auto model = content_hash(network_);
  auto codes = nn::codes(network_, plain);
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = response_->answer(codes[i], plain.picture(i),
                                 cipher::derive_key(master, first_key + i), model);
  return pictures_of(network_, codes);
}

image::Batch NetworkProtection::protect_without_key(const image::Batch& plain,
                                                    std::uint64_t first_key,
                                                    std::span<const std::int32_t> labels) const {
  return protect(plain, first_key, labels);
}

}  // namespace veilnet::nn
