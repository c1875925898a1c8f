// Chosen-plaintext breaks of the keyed schemes: exact, in a handful of pictures, whatever the key
// space.
//
// Every scheme but FFX moves units (nibbles or bytes) and complements some. Each unit is given a
// number of its own, written in digits of one unit each and below half of what the digits can hold:
// whatever the first bit of an answer then says is the complement, and the rest is where the unit
// came from. Follows the idea of Chang and Li 2020 (arXiv 2004.13263), who give each pixel the
// values 1, 2, 3 and take one picture for PE and 16 blocks for byte-wise block shuffling; the
// numbering, which breaks nibble-wise LE in two blocks and ELE, is ours.
#pragma once

#include <functional>

#include "attack/oracle.h"
#include "attack/threat_model.h"
#include "cipher/scheme.h"
#include "image/image.h"

namespace veilnet::attack {

/// What a chosen-plaintext break leaves the attacker with.
struct Recovered {
  static constexpr ThreatModel threat_model{Method::Public, Access::ChosenPlaintext, Keys::Same,
                                            Auxiliary::None};

  /// The plain picture of any picture encrypted under the attacked key, exactly. May be used by
  /// several threads at once.
  /// @throws Error{InvalidArgument} if the picture has not the size of those that the key holder
  /// makes.
  std::function<image::Image(const image::Image&)> decrypt;
};

/// Recovers what the oracle's key does to pictures of this size.
///
/// Pictures asked for, with d bits a unit and q(n) = the smallest q of 2^(dq - 1) >= n:
///   le, pixel-shuffle  ceil(q(units of a block) / whole blocks), the key being the same in each; a
///   picture without a whole
///                      block is treated as by ele. le: d = 4, one picture of 32x32; pixel-shuffle:
///                      d = 8
///   ele, etc           q(units of the picture); ele: d = 4, four of 32x32; etc: d = 8, two of
///   32x32 pe, bit-flip       one ffx                ceil(256 / blocks) at most, fewer where blocks
///   are few (two of 32x32), because asking for a value in each
///                      block first shows which positions take part
/// @param scheme public: id, block size and options. Nothing of the key.
/// @throws Error{InvalidArgument} for a scheme without a key, options or sides that are not
/// allowed, and pictures of more than 2^32 units; Error{Unsupported} for etc as published, which no
/// key opens; Error{BadData} if the answers are not this scheme's.
Recovered recover(const cipher::SchemeOptions& scheme, EncryptionOracle& oracle, int height,
                  int width);

}  // namespace veilnet::attack
