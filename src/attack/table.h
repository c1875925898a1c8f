// The list of attacks: a line here is all that a new file needs.
#pragma once

#include <functional>

#include "attack/attack.h"
#include "image/image.h"

// In the order of the attacker's power.
#define VEILNET_ATTACKS(X) \
  X(look)                  \
  X(look_blurred)          \
  X(fr)                    \
  X(brute_force)           \
  X(dictionary)            \
  X(code_means)            \
  X(retrieval)             \
  X(gan)                   \
  X(sia_gan)               \
  X(itn_small)             \
  X(ridge)                 \
  X(itn)                   \
  X(itn_unrelated)         \
  X(itn_perceptual)        \
  X(itn_ensemble)          \
  X(flow)                  \
  X(itn_tuned)             \
  X(deep_prior)            \
  X(optimise)              \
  X(itn_position)          \
  X(known_plaintext)       \
  X(chosen_plaintext)

namespace veilnet::attack {

#define VEILNET_DECLARE(name) Attack name();
VEILNET_ATTACKS(VEILNET_DECLARE)
#undef VEILNET_DECLARE

// What the files of the attacks share.

using Against = std::variant<ThreatModel, std::string>;

/// Protected pictures of the public method, and plain pictures of this kind.
Against ciphertext_only(const Target& target, Auxiliary auxiliary);
/// The public transformation network, and plain pictures of the same kind.
inline constexpr ThreatModel kPublicTransform{Method::Public, Access::PublicTransform, Keys::None,
                                              Auxiliary::SameDistribution};
/// That attacker, where the network has gradients to follow.
Against through_gradients(const Target& target);
/// Why nobody holds a key that opens all pictures; empty where somebody does.
std::string why_no_key_holder(const Target& target);
/// Calls `recover` with each attacked picture.
image::Batch each_picture(const Materials& materials,
                          const std::function<image::Image(const image::Image&)>& recover);

}  // namespace veilnet::attack
