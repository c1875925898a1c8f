// Known-plaintext breaks of the keyed schemes: from pairs of natural pictures that the attacker did
// not choose.
//
// Every scheme but FFX moves units (nibbles or bytes) and complements some, the same in all
// pictures of a key. What a unit is in one pair after the other is therefore found again, or its
// complement, in one place of the encrypted pictures. Pairs tell two units apart as soon as they
// differ in one of them; those that never differ are interchanged at worst, which shows only where
// a later picture has two values in places that were equal so far. The matching is ours.
#pragma once

#include <functional>
#include <span>

#include "attack/brute_force.h"
#include "attack/threat_model.h"
#include "cipher/scheme.h"
#include "image/image.h"

namespace veilnet::attack {

/// What a known-plaintext break leaves the attacker with.
struct RecoveredFromPairs {
  static constexpr ThreatModel threat_model{Method::Public, Access::ExactPairs, Keys::Same,
                                            Auxiliary::None};

  /// The plain picture of any picture encrypted under the attacked key: exactly where the pairs say
  /// how, the given pictures always. May be used by several threads at once.
  /// @throws Error{InvalidArgument} if the picture has not the size of the pairs' encrypted ones.
  std::function<image::Image(const image::Image&)> decrypt;

  /// Share of the plain picture's units (0 to 1) for which the pairs leave one source; with 1 every
  /// picture comes out exactly. ffx: share of (position in the block, encrypted value) that the
  /// pairs determine.
  double unique = 0;
};

/// Recovers what the pairs' key does to pictures of their size. A unit is looked for where the
/// scheme can move it: le and pixel-shuffle, whose blocks have one key, in the block, and every
/// block of every pair is a sample; ele and etc in the block that has the same units in another
/// order, etc only in orders that it makes; pe with shuffled components in the pixel; pe and
/// bit-flip nowhere else. ffx: values of the table that no pair shows stay as they are. Linear in
/// the pairs.
/// @param scheme public: id, block size and options. Nothing of the key.
/// @throws Error{InvalidArgument} for no pair, pairs of different or wrong sizes, and as recover;
/// Error{Unsupported} for etc as published; Error{BadData} if no key of this scheme explains the
/// pairs.
RecoveredFromPairs recover_from_pairs(const cipher::SchemeOptions& scheme,
                                      std::span<const ExactPair> pairs);

}  // namespace veilnet::attack
