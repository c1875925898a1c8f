// The FR-Attack (feature reconstruction) of Chang and Li 2020 (arXiv 2004.13263) on pixel-based
// encryption.
#pragma once

#include <array>
#include <cstdint>

#include "attack/threat_model.h"
#include "image/image.h"

namespace veilnet::attack {

/// One encrypted picture is all that the attacker has; each may have a key of its own.
inline constexpr ThreatModel kFrThreatModel{Method::Public, Access::CiphertextOnly,
                                            Keys::Independent, Auxiliary::None};

/// Replaces every value v by min(v, 255 - v). On PE that is what the same step makes of the plain
/// picture, whatever the key, but for the order of the components where those are permuted.
/// Outlines come out, brightness and colour do not. The literature applies it to the other schemes
/// too, where it recovers nothing.
image::Image fr_basic(const image::Image& cipher);

/// Reads each pixel as that of its 48 originals (6 component orders, 8 complement patterns) that is
/// nearest to its decrypted neighbour by the sum of absolute differences: the left one in the first
/// row, the one above elsewhere.
///
/// Of component orders that tie, the last is taken, as in the authors' code (RGB, RBG, GRB, GBR,
/// BRG, BGR); complements never tie, as no value is 127.5. The nearer of v and 255 - v is on the
/// neighbour's side of that middle, so every component stays on the side where the guess has it:
/// without permuted components nothing else of the guess matters.
/// @param first_pixel the attacker's guess at the top left plain pixel, which is taken as it is.
/// @param shuffled_components false: the scheme is known not to permute components; only
/// complements are tried.
image::Image fr_advanced(const image::Image& cipher, const std::array<std::uint8_t, 3>& first_pixel,
                         bool shuffled_components);

}  // namespace veilnet::attack
