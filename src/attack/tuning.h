// A network whose weights are found anew for every picture, by what the public transformation says
// of its guess: what itn-tuned and deep-prior share.
#pragma once

#include <vector>

#include "attack/attack.h"
#include "image/batch.h"
#include "nn/model.h"
#include "train/compute.h"

namespace veilnet::attack {

/// Where the search for a picture begins.
struct TuningStart {
  const nn::Model& network;  ///< stays as it is; copies are tuned
  torch::Tensor input = {};  ///< what it is fed, [1, 3, H, W]; undefined: the protected picture
  /// Batch normalisation by the one picture's own statistics, not by those of the training.
  bool own_statistics = false;
};

struct TuningOptions {
  int64_t steps = 200;
  double lr = 1e-4;  ///< Adam's, on the weights
};

/// For every picture p by itself: minimises mean((h(network(input)) - p)^2) over the weights of a
/// copy of the network and answers with network(input).
/// @return as many pictures as there are protected ones, of their size.
/// @throws Error{Interrupted} after a signal.
image::Batch invert_by_tuning(const nn::Model& h, const TuningStart& start,
                              const image::Batch& protected_pictures, const TuningOptions& options,
                              const train::Compute& compute);

/// That attack on the first Budget::optimised pictures, at the one of `rates` under which pictures
/// of the attacker's own come out best by SSIM.
Outcome tune_each(const Materials& materials, const Setting& setting, const TuningStart& start,
                  int64_t steps, const std::vector<double>& rates);

}  // namespace veilnet::attack
