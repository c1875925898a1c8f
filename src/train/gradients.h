// The gradients of several processes, added up while they are computed.
#pragma once

#include <functional>
#include <memory>
#include <torch/types.h>
#include <vector>

#include "train/group.h"

namespace veilnet::train {

/// Adds up gradients over a group in buckets of some megabytes, the last layers' first: a bucket is
/// on its way as soon as backward has filled it, and the layers before it are computed meanwhile.
/// A parameter that gets no gradient keeps none; that must be so on all processes.
class GradientSum {
 public:
  /// @param parameters that want gradients, in the order in which forward uses them.
  GradientSum(Group& group, const std::vector<torch::Tensor>& parameters);
  ~GradientSum();
  GradientSum(const GradientSum&) = delete;
  GradientSum& operator=(const GradientSum&) = delete;

  /// Before backward.
  void begin();
  /// After backward: waits, and puts the sums where the gradients were.
  void finish();

 private:
  struct Slot {
    torch::Tensor parameter, place;  ///< the place is a part of the bucket
    size_t bucket = 0;
    bool filled = false;
    unsigned hook = 0;
  };
  struct Bucket {
    torch::Tensor values;
    int64_t slots = 0, missing = 0;
    std::function<void()> wait;
  };

  void fill(Slot& slot, const torch::Tensor& gradient);
  void send_full();

  Group& group_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Bucket> buckets_;
  size_t sent_ = 0;  ///< all send them in this order
};

}  // namespace veilnet::train
