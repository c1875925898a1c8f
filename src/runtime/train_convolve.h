// What a training computes of 3x3 convolutions: the sums and both gradients.
#pragma once

#include <cstdint>

namespace veilnet::runtime {

/// What channel counts must be a multiple of where a function asks for whole vectors.
int64_t vector_lanes();

/// A 3x3 convolution of stride 1 and padding 1 over float32 NHWC; weights are [out][in][3][3].
struct Convolution3x3 {
  int64_t count = 0, height = 0, width = 0;
  int64_t in = 0, out = 0;  ///< channels
  int threads = 1;

  /// The one that the gradient of the input is.
  Convolution3x3 reversed() const { return {count, height, width, out, in, threads}; }
};

/// Whether Winograd's way can compute these sums and is expected to be the fastest.
bool winograd_pays(const Convolution3x3& convolution);
/// The same, or a plain matrix product, with a ReLU computed along.
bool own_way_pays(const Convolution3x3& convolution);

/// y[count][height][width][out]; bias[out] may be null. With `relu` nothing below 0.
void convolve(const Convolution3x3& convolution, const float* x, const float* weights,
              const float* bias, bool relu, float* y);

/// The gradient of x, from that of y. Asks for winograd_pays of the reversed one.
void input_gradient(const Convolution3x3& convolution, const float* y_gradient,
                    const float* weights, float* x_gradient);

/// The gradient of the weights, [out][in][3][3]. Every thread's over tiles of its own, added in a
/// fixed order: depends on the number of threads in the last bits. Asks for
/// winograd_pays_for_weights.
void weight_gradient(const Convolution3x3& convolution, const float* x, const float* y_gradient,
                     float* weight_gradient);

/// Whether weight_gradient is expected to be faster than plain sums.
bool winograd_pays_for_weights(const Convolution3x3& convolution);

}  // namespace veilnet::runtime
