// Brute force: what a key space means in years, and searches of reduced keys that show how cost
// grows.
//
// Large key spaces say nothing about attacks that read a key off instead of searching it
// (attack/chosen_plaintext.h): a single exact pair gives every bit of a PE key. The searches here
// test keys blindly, as a search of a whole key space must.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "attack/threat_model.h"
#include "cipher/explicit_key.h"
#include "image/image.h"

namespace veilnet::attack {

inline constexpr ThreatModel kBruteForceThreatModel{Method::Public, Access::ExactPairs, Keys::Same,
                                                    Auxiliary::None};

/// log10 of the years that trying all 2^bits keys takes at this rate. Half of that on average.
/// @throws Error{InvalidArgument} for negative bits or a rate that is not positive.
double log10_years(double key_space_bits, double keys_per_second);

/// A plain picture and what the attacked key makes of it.
struct ExactPair {
  image::Image plain, cipher;
};

template <class Key>
struct Search {
  std::optional<Key> key;   ///< the first that explains every pair; nothing where none does
  std::uint64_t tried = 0;  ///< keys
  double seconds = 0;
};

inline constexpr std::size_t kMaxUnknownBits = 40;
inline constexpr std::size_t kMaxUnknownEntries = 14;

/// Tries the 2^k negations of k unknown values; the rest of the key is given. Whatever fits is the
/// key, as no value is its own complement.
/// @param unknown positions in PeKey::negate, whose entries are ignored there.
/// @throws Error{InvalidArgument} for no pair, pictures that do not fit the key or each other,
/// unknown positions outside the key, given twice or more than kMaxUnknownBits, and as make_scheme;
/// Error{Interrupted} after a signal.
Search<cipher::PeKey> search(const cipher::PeKey& given, std::span<const std::size_t> unknown,
                             std::span<const ExactPair> pairs);

/// Tries the k! orders of k unknown entries of the permutation; the rest of the key is given. With
/// block size 1 and k = 6 that is the whole key space, 720 keys. Pairs in which nibbles repeat
/// leave several keys that explain them; a block holds only 16 different nibbles, so take pairs of
/// many blocks.
/// @param unknown positions in LeKey::permutation; their entries are those that are left, in any
/// order.
/// @throws as above, with kMaxUnknownEntries.
Search<cipher::LeKey> search(const cipher::LeKey& given, std::span<const std::size_t> unknown,
                             std::span<const ExactPair> pairs);

}  // namespace veilnet::attack
