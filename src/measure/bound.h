// What no attacker can do where a protected picture depends on the plain one through a code alone:
// the derivation is in docs/bound.md.
#pragma once

#include <optional>
#include <span>

#include "data/dataset.h"
#include "record/matrix.h"

namespace veilnet::measure {

/// Measures the bound on the pictures of `plain`.
///
/// Pictures with the same protected version form a cell. The best answer by squared error to a cell
/// of n_k pictures is their mean, so no attacker's mean squared error is below E[Var(x | code)],
/// estimated by the mean over pictures of (n_k / (n_k - 1)) |x - mean of its cell|^2; a picture
/// that is alone in its cell counts as recovered. The interval is the normal approximation over
/// pictures. Among N candidates drawn from the pictures the right one is picked at best with the
/// expected number of different cells among them, over N.
///
/// @param protected_pictures of the same pictures, in their order. @param bits of the code.
/// @throws Error{InvalidArgument} for fewer than 2 pictures or another count.
record::Bound bound(const data::Dataset& plain, const image::Batch& protected_pictures,
                    int64_t bits);

/// beats_bound: guesses are closer than the bound allows, beyond both intervals, which no attack
/// can be: then bound or measurement is wrong.
/// @param psnr_db of each guess.
std::optional<record::Flag> bound_flag(const record::Bound& bound, std::span<const double> psnr_db);

}  // namespace veilnet::measure
