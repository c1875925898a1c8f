// What no attacker can do where a protected picture depends on the plain one through a code alone:
// the derivation is in docs/bound.md.
#pragma once

#include <optional>
#include <span>

#include "data/dataset.h"
#include "protection/randomised_response.h"
#include "record/matrix.h"

namespace veilnet::measure {

/// Measures the bound on the pictures of `plain`.
///
/// Pictures with the same protected version form a cell. The best answer by squared error to a cell
/// of n_k pictures is their mean, so no attacker's mean squared error is below E[Var(x | code)],
/// estimated by the mean over pictures of (n_k / (n_k - 1)) |x - mean of its cell|^2; a picture
/// that is alone in its cell counts as recovered. The interval is the normal approximation over
/// pictures, wider for cells of few. Among N candidates drawn from the pictures at random the right
/// one is picked at best, on average over draws, with the expected number of different cells among
/// them, over N; of candidates that somebody chose, with as many as these have.
///
/// @param protected_pictures of the same pictures, in their order. @param bits of the code.
/// @throws Error{InvalidArgument} for fewer than 2 pictures or another count.
record::Bound bound(const data::Dataset& plain, const image::Batch& protected_pictures,
                    int64_t bits);

/// The same where chance decides on the code: an answer tells less than the code, so cells are
/// those of the answers, and the rate of picking is response.reidentified of the different codes.
/// Also tries how much chance hides (audited_epsilon).
/// @param codes of the same pictures, before chance.
record::Bound bound(const data::Dataset& plain, const image::Batch& protected_pictures,
                    std::span<const uint64_t> codes,
                    const protection::RandomisedResponse& response);

/// Adds to a bound what holds of all pictures at hand, whose codes these are, before chance: how
/// many codes they have, and how often the right one of them all is picked at most.
/// @param response of the bound; null where no chance decides.
/// @throws Error{InvalidArgument} for no codes.
void add_pictures_at_hand(record::Bound& bound, std::span<const uint64_t> codes,
                          const protection::RandomisedResponse* response = nullptr);

/// What epsilon is at least, seen from outside: two pictures of different codes are answered
/// `draws` times, each time under a new secret, and the answers of one code counted (Clopper and
/// Pearson's intervals, 95 % confidence together). A figure above response.epsilon() is an error of
/// the response.
double audited_epsilon(const protection::RandomisedResponse& response, uint64_t draws,
                       uint64_t seed);

/// beats_bound: guesses are closer than the bound allows, beyond both intervals, which no attack
/// can be: then bound or measurement is wrong.
/// @param psnr_db of each guess.
std::optional<record::Flag> bound_flag(const record::Bound& bound, std::span<const double> psnr_db);

}  // namespace veilnet::measure
