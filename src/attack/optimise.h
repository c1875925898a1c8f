// Gradient inversion: a search for the picture that the public transformation turns into the
// protected one.
#pragma once

#include "image/batch.h"
#include "nn/model.h"
#include "train/compute.h"

namespace veilnet::attack {

struct OptimiseOptions {
  int64_t steps = 300;
  double lr = 0.05;  ///< Adam's, on the logits of the picture; falls along a cosine to a hundredth
  double total_variation = 0.0005;  ///< weight of a prior: mean absolute difference of neighbours
  double nearness = 0;              ///< weight of another: mean squared distance from the start
};

/// Minimises mean((h(x) - protected)^2) + total_variation * TV(x) + nearness * mean((x - start)^2)
/// over x in [0, 1] with Adam, every picture by itself (the loss is a sum over pictures). What
/// breaching-style attacks do to gradients, done to h: h is public, so the attacker differentiates
/// it.
/// @param start where the search begins, as many pictures: mid-grey, or what another attack
/// recovered.
/// @throws Error{InvalidArgument} for sizes that do not fit; Error{Interrupted} after a signal.
image::Batch invert_by_optimisation(const nn::Model& h, const image::Batch& protected_pictures,
                                    const image::Batch& start, const OptimiseOptions& options,
                                    const train::Compute& compute);

/// Where many pictures lead to much the same protected one, the priors decide what is found. The
/// attacker tries them on pictures of his own: returns `options` with the weights, of a small grid,
/// under which the mean SSIM of what is found is highest.
/// @param own not those that `start` was learned from. @param start as above, for h(own).
OptimiseOptions tune_priors(const nn::Model& h, const image::Batch& own, const image::Batch& start,
                            const OptimiseOptions& options, const train::Compute& compute);

}  // namespace veilnet::attack
