// 2x2 maximum pooling as a training computes it.
#pragma once

#include <cstdint>

namespace veilnet::runtime {

/// Pictures of float32 NHWC that are pooled; height and width are even, channels a multiple of
/// vector_lanes().
struct PoolSize {
  int64_t count = 0, height = 0, width = 0, channels = 0;
  int threads = 1;
};

/// y[count][height / 2][width / 2][channels].
void max_pool(const PoolSize& size, const float* x, float* y);

/// The gradient of x: that of y goes to the first of the four values that is the largest.
void max_pool_gradient(const PoolSize& size, const float* x, const float* y,
                       const float* y_gradient, float* x_gradient);

}  // namespace veilnet::runtime
