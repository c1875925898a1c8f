// The inverse network, tuned for every picture by what the public transformation says of its guess.
#pragma once

#include "image/batch.h"
#include "nn/model.h"
#include "train/compute.h"

namespace veilnet::attack {

struct TuningOptions {
  int64_t steps = 200;
  double lr = 1e-4;  ///< Adam's, on the weights
};

/// For every picture by itself: minimises mean((h(inverse(p)) - p)^2) over the weights of a copy of
/// `inverse` (its batch normalisation as trained) and answers with inverse(p).
/// @return as many pictures as there are protected ones, of their size.
/// @throws Error{Interrupted} after a signal.
image::Batch invert_by_tuning(const nn::Model& h, const nn::Model& inverse,
                              const image::Batch& protected_pictures, const TuningOptions& options,
                              const train::Compute& compute);

}  // namespace veilnet::attack
