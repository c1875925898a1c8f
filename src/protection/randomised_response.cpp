#include "protection/randomised_response.h"

#include <algorithm>
#include <cmath>
#include <sodium.h>

#include "core/error.h"

namespace veilnet::protection {
namespace {

// Above it the chance of another answer is below what 64 bits can draw.
constexpr double kLargestEpsilon = 40;

}  // namespace

RandomisedResponse::RandomisedResponse(std::int64_t bits, double epsilon)
    : bits_(bits), epsilon_(epsilon), others_(std::ldexp(1.0, static_cast<int>(bits)) - 1) {
  if (bits < 1 || bits > 64)
    fail(ErrorCode::InvalidArgument, "the code's bits are {}; allowed: 1 to 64", bits);
  if (!(epsilon > 0 && epsilon <= kLargestEpsilon))
    fail(ErrorCode::InvalidArgument, "epsilon is {}; allowed: above 0, at most {}", epsilon,
         kLargestEpsilon);
  // Rounded down: a code that is kept less often promises more.
  threshold_ =
      static_cast<std::uint64_t>(std::floor(std::nextafter(kept(), 0.0) * std::ldexp(1.0, 64)));
}

double RandomisedResponse::kept() const { return 1 / (1 + others_ * std::exp(-epsilon_)); }

double RandomisedResponse::each_other() const { return (1 - kept()) / others_; }

std::uint64_t RandomisedResponse::answer(std::uint64_t code, std::span<const std::uint8_t> picture,
                                         const cipher::Key& secret, std::string_view model) const {
  cipher::Key drawn;
  crypto_generichash_state state;
  const auto add = [&](const void* bytes, std::size_t size) {
    crypto_generichash_update(&state, static_cast<const unsigned char*>(bytes), size);
  };
  if (sodium_init() < 0) fail(ErrorCode::Unsupported, "libsodium cannot start");
  crypto_generichash_init(&state, secret.bytes.data(), secret.bytes.size(), drawn.bytes.size());
  // One secret serves several models, codes and values of epsilon, whose draws must not be related:
  // with one coin for two codes, two different answers would be the true ones.
  const double settings[] = {static_cast<double>(bits_), epsilon_,
                             static_cast<double>(model.size())};
  add(settings, sizeof settings);
  add(&code, sizeof code);
  add(model.data(), model.size());
  add(picture.data(), picture.size());
  crypto_generichash_final(&state, drawn.bytes.data(), drawn.bytes.size());

  cipher::KeyStream stream(drawn, cipher::Purpose::Response);
  const auto draw = [&] {
    const auto high = std::uint64_t{stream.next()} << 32;
    return high | stream.next();
  };
  if (draw() < threshold_) return code;
  const std::uint64_t mask = bits_ == 64 ? ~0ull : (1ull << bits_) - 1;
  for (;;) {
    const auto other = draw() & mask;
    if (other != code) return other;
  }
}

double RandomisedResponse::reidentified(double distinct, double candidates) const {
  // Of each answer the best guess is a candidate of that code, where there is one.
  const double rate = (distinct * kept() + (others_ + 1 - distinct) * each_other()) / candidates;
  return std::min(rate, 1.0);
}

}  // namespace veilnet::protection
