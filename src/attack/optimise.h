// Gradient inversion: a search for the picture that the public transformation turns into the protected one.
#pragma once

#include <span>

#include "nn/model.h"
#include "train/compute.h"

namespace veilnet::attack {

struct OptimiseOptions {
  int64_t steps = 300;
  double lr = 0.05;                 ///< Adam's, on the logits of the picture; falls along a cosine to a hundredth
  double total_variation = 0.0005;  ///< weight of the prior: mean absolute difference of neighbours
};

/// Minimises mean((h(x) - protected)^2) + total_variation * TV(x) over x in [0, 1] with Adam, every picture by itself (the loss
/// is a sum over pictures). What breaching-style attacks do to gradients, done to h: h is public, so the attacker
/// differentiates it.
/// @param protected_nhwc 8-bit pictures. @param start where the search begins, as many pictures: mid-grey, or what another
/// attack recovered. Returns 8-bit pictures.
/// @throws Error{InvalidArgument} for sizes that do not fit; Error{Interrupted} after a signal.
std::vector<uint8_t> invert_by_optimisation(const nn::Model& h, std::span<const uint8_t> protected_nhwc,
                                            std::span<const uint8_t> start, int height, int width,
                                            const OptimiseOptions& options, const train::Compute& compute);

}  // namespace veilnet::attack
