// Re-identification: which of a set of known pictures is this protected one?
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cipher/scheme.h"
#include "image/batch.h"

namespace veilnet::attack {

/// What no key of the scheme changes in a picture, in a canonical form; two pictures with equal
/// fingerprints differ at most in what the key hides.
///
/// By the scheme's cipher::Structure: its units, v and 255 - v (15 - v) taken as one where units
/// are complemented, sorted within the pixel or block in which they are permuted; the blocks sorted
/// where blocks move. Of everything else, a transformation without a key included (scheme.id
/// empty): the picture itself.
/// @param picture protected, sides multiples of the block size. @throws Error{InvalidArgument}
/// otherwise.
std::vector<std::uint8_t> fingerprint(const cipher::SchemeOptions& scheme,
                                      const image::Image& picture);

/// For each protected picture the index of the candidate whose fingerprint is nearest (sum of
/// absolute differences; the first of equals). The attacker runs the public method on every
/// candidate under a key of his own and never sees the attacked key.
/// @throws Error{InvalidArgument} for no candidate, pictures of different sizes, and as
/// fingerprint.
std::vector<std::uint32_t> retrieve(const cipher::SchemeOptions& scheme,
                                    const image::Batch& protected_pictures,
                                    const image::Batch& protected_candidates);

}  // namespace veilnet::attack
