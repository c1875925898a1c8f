// The loops that the runtime does itself, once for each instruction set.
//
// Activations are float32 NHWC. Channel counts must be multiples of `lanes` where a function says
// so. Nothing here allocates, throws or starts a thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace veilnet::runtime {

/// Winograd's minimal filtering F(m x m, 3 x 3) with m = 2 or 4 (Lavin and Gray 2015) reads tiles
/// of (m + 2)^2 values and writes m^2: 2.25 and 4 times fewer multiplications than 9 a value.
constexpr int winograd_points(int m) { return (m + 2) * (m + 2); }

/// What follows a sum: max(y, slope * y), so 0 is ReLU, 1 nothing, between them leaky ReLU.
/// One pixel of the kernel functions' pictures takes `stride` floats.
struct Kernels {
  std::string_view name;  ///< "avx512", "avx2", "portable"
  int lanes;              ///< floats in a vector
  int rows;               ///< of the register tile of gemm: blocks of rows should be multiples

  /// c[m][n] = sum over k of a[m][k] b[k][n]. b is packed (pack); n must be a multiple of lanes.
  void (*gemm)(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
               float* c, int64_t ldc);
  /// c[m][n] += sum over k of a[k][m] b[k][n]; n must be a multiple of lanes.
  void (*add_outer)(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
                    int64_t ldb, float* c, int64_t ldc);
  /// b[k][n] with row length ldb into the form that gemm reads; n * k floats.
  void (*pack)(int64_t n, int64_t k, const float* b, int64_t ldb, float* packed);

  /// One input tile. pixels[i] is where value i of the tile's (m + 2)^2 begins; result i of channel
  /// c goes to v[i * v_stride + c]. channels must be a multiple of lanes.
  void (*winograd_input)(int m, const float* const* pixels, int64_t channels, float* v,
                         int64_t v_stride);
  /// One output tile: from sums[i * sums_stride + c] to out[i][c], i of m^2; where out[i] is null,
  /// nothing is written. Adds bias[c] and, where residual[i] is not null, residual[i][c], then
  /// applies slope. `residual` may be null and may be `out`.
  void (*winograd_output)(int m, const float* sums, int64_t sums_stride, int64_t channels,
                          const float* bias, const float* const* residual, float slope,
                          float* const* out);

  /// One tile of the output's gradient, of m^2 pixels, in the form whose products with those of
  /// winograd_input are the gradient of the kernels in theirs; otherwise as winograd_input.
  void (*winograd_gradient)(int m, const float* const* pixels, int64_t channels, float* u,
                            int64_t u_stride);

  /// d[c] = a[c] - b[c]; n values. Null stands for zeros.
  void (*difference)(int64_t n, const float* a, const float* b, float* d);
  /// out[c] = max(y, slope y) with y = a[c] + b[c] + c_[c] + d[c] + bias[c].
  void (*sum4)(int64_t n, const float* a, const float* b, const float* c, const float* d,
               const float* bias, float slope, float* out);

  /// out[p][c] = max(y, slope y), y = sums[p][c] + bias[c] (+ out[p][c] where residual), p <
  /// pixels.
  void (*finish)(int64_t pixels, int64_t channels, const float* sums, int64_t sums_stride,
                 const float* bias, bool residual, float slope, float* out, int64_t out_stride);
  /// out[p][c] = max(y, slope y), y = in[p][c] * scale[c] + shift[c].
  void (*scale_shift)(int64_t pixels, int64_t channels, const float* in, int64_t in_stride,
                      const float* scale, const float* shift, float slope, float* out,
                      int64_t out_stride);
  /// sums[c] and squares[c] of x[p][c] - x[0][c]. channels must be a multiple of lanes, here and in
  /// the three below.
  void (*moments)(int64_t pixels, int64_t channels, const float* x, float* sums, float* squares);
  /// With g[p][c] = gradient[p][c] where y > 0, else 0: sums[c] of g and products[c] of g (x -
  /// mean). Where y is null, it is x scale + shift.
  void (*relu_sums)(int64_t pixels, int64_t channels, const float* gradient, const float* x,
                    const float* scale, const float* shift, const float* y, const float* mean,
                    float* sums, float* products);
  /// With the same g: x_gradient = by_gradient g + by_x x + constant, and g itself to
  /// added_gradient, which may be null. x_gradient may be `gradient`.
  void (*relu_gradient)(int64_t pixels, int64_t channels, const float* gradient, const float* x,
                        const float* scale, const float* shift, const float* y,
                        const float* by_gradient, const float* by_x, const float* constant,
                        float* x_gradient, float* added_gradient);
  /// out = max(y, slope y), y = in scale + shift + added.
  void (*scale_shift_add)(int64_t pixels, int64_t channels, const float* in, const float* scale,
                          const float* shift, const float* added, float slope, float* out);
  /// out[c] = max(x[c] + y[c], slope * (x[c] + y[c])).
  void (*add)(int64_t n, const float* x, const float* y, float slope, float* out);
  /// One row of a pooled picture: `width` pixels from two rows of 2 * width.
  void (*max_pool)(int64_t width, int64_t channels, const float* row0, const float* row1,
                   float* out);
  /// Its gradient, to the first of the four that is the largest: `out` is what max_pool wrote,
  /// `gradient` its gradient; to0 and to1 are the rows of the pictures' gradient. channels must be
  /// a multiple of lanes.
  void (*max_pool_gradient)(int64_t width, int64_t channels, const float* row0, const float* row1,
                            const float* out, const float* gradient, float* to0, float* to1);
  void (*average_pool)(int64_t width, int64_t channels, const float* row0, const float* row1,
                       float* out);

  /// out[i] = round(255 sigmoid(x[i])), half to even; false if one of them is not finite. The
  /// sigmoid's own error is below 1e-6.
  bool (*sigmoid_bytes)(int64_t n, const float* x, uint8_t* out);
};

/// The fastest of those that this processor runs, or what the environment variable VEILNET_SIMD
/// limits them to (core/cpu.h): plain to "portable", avx2 to "avx2" where the processor has it.
const Kernels& kernels();
/// Every set that this processor runs, the fastest first.
std::span<const Kernels* const> available_kernels();

}  // namespace veilnet::runtime
