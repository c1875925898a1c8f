// Batch normalisation over a batch that several processes hold together.
#pragma once

#include <functional>
#include <torch/types.h>

namespace veilnet::nn {

/// While it lives, batch normalisation in training mode takes mean and variance over the pictures
/// of all processes, running statistics included, and the gradient of its input is that of the
/// whole batch. Numbers of pictures may differ. The gradients of weight and bias are those of this
/// process's pictures, as of every other parameter. Evaluation mode is as ever. On the CPU only;
/// one lives at a time.
class WholeBatchNorm {
 public:
  /// @param sum adds up a tensor (double, one dimension, on the CPU) over all processes, in place;
  /// called once a layer on the way forward and once on the way back. What it throws comes out of
  /// forward or backward.
  explicit WholeBatchNorm(std::function<void(const torch::Tensor&)> sum);
  ~WholeBatchNorm();
  static bool lives();
  WholeBatchNorm(const WholeBatchNorm&) = delete;
  WholeBatchNorm& operator=(const WholeBatchNorm&) = delete;
};

}  // namespace veilnet::nn
