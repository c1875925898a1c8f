// Batch normalisation with the ReLU that follows, as a training computes it.
#pragma once

#include <cstdint>
#include <vector>

namespace veilnet::runtime {

/// Values are float32 NHWC: `pixels` of all pictures, of `channels` values each. Channels must be a
/// multiple of vector_lanes().
struct NormSize {
  int64_t pixels = 0, channels = 0;
  int threads = 1;
};

/// Of every channel.
struct Moments {
  std::vector<double> mean, variance;  ///< variance: mean squared distance from the mean
};
Moments moments(const NormSize& size, const float* x);

/// y = max(0, x scale + shift + added); added may be null.
void norm_relu(const NormSize& size, const float* x, const float* scale, const float* shift,
               const float* added, float* y);

/// The values of the forward pass that its gradient asks for.
struct NormInputs {
  const float *x, *scale, *shift;
  const float* y;  ///< null where nothing was added
};

/// Of every channel, with the gradient g before the ReLU.
struct GradientSums {
  std::vector<double> gradient;  ///< of g
  std::vector<double> product;   ///< of g (x - mean)
};
GradientSums gradient_sums(const NormSize& size, const NormInputs& inputs, const float* y_gradient,
                           const float* mean);

/// x_gradient = by_gradient g + by_x x + constant, all per channel, and g to added_gradient where
/// that is not null.
void norm_relu_gradient(const NormSize& size, const NormInputs& inputs, const float* y_gradient,
                        const float* by_gradient, const float* by_x, const float* constant,
                        float* x_gradient, float* added_gradient);

}  // namespace veilnet::runtime
