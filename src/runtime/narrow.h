// Convolutions whose inputs, and mostly outputs, have 8 or 16 bits a value.
//
// Int8: an activation that is never negative (behind ReLU) is kept as 8 bits without a sign, value
// = scale * byte, with one scale a tensor; weights have 8 bits with a sign (7 with AVX2 alone,
// whose sums of two products would overflow) and one scale for each output channel; sums are exact.
// BFloat16: both are rounded to bfloat16; sums are float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime/convolve.h"
#include "runtime/memory.h"

namespace veilnet::runtime {

/// What the values of an activation are kept as: Int8 as a byte without a sign.
enum class Type { Float32, BFloat16, Int8 };
constexpr int64_t type_bytes(Type type) {
  return type == Type::Float32 ? 4 : type == Type::BFloat16 ? 2 : 1;
}

/// The loops for one type. Values are read in blocks of 16 bytes, so channels of an input must be
/// multiples of 16 bytes.
struct NarrowKernels {
  std::string_view name;  ///< "avx512_vnni", "avx512_bf16", "avx2" or "portable"
  int rows;               ///< of the register tile of gemm
  int weight_limit;       ///< the largest absolute weight of Int8 with which sums stay exact

  /// c[m][32] = sums over `blocks` blocks of 16 bytes. Block i of row m is at a + i * a_stride + m
  /// *
  /// 16. b holds for every block four steps, each with 4 bytes of every column; columns is 16
  /// or 32.
  void (*gemm)(int64_t m, int64_t blocks, const void* a, int64_t a_stride, const void* b,
               int64_t columns, float* c);
  /// out[m][n] = max(y, slope y) with y = sums[m][n] * scale[n] + bias[n] + residual * out[m][n], n
  /// < columns; sums has rows of 32. Rounded to the type.
  void (*finish)(int64_t m, int64_t columns, const float* sums, const float* scale,
                 const float* bias, float residual, float slope, void* const* out);
  /// As finish, into float32.
  void (*finish_float)(int64_t m, int64_t columns, const float* sums, const float* scale,
                       const float* bias, float residual, float slope, void* const* out);
  /// From and to float32; n values.
  void (*narrow)(int64_t n, const float* from, float scale, void* to);
  void (*widen)(int64_t n, const void* from, float scale, float* to);
  /// One row of a pooled picture, as Kernels::max_pool, of values that are not negative.
  void (*max_pool)(int64_t width, int64_t channels, const void* row0, const void* row1, void* out);
};

/// The fastest loops that this processor runs and VEILNET_SIMD allows.
const NarrowKernels& narrow_kernels(Type type);
/// The loops that run everywhere.
const NarrowKernels& portable_narrow_kernels(Type type);

/// One convolution of a plan whose sources are all BFloat16 or all Int8.
struct NarrowJob {
  std::shared_ptr<const Convolution> convolution;
  Type type = Type::Int8;                    ///< of the sources
  int64_t count = 0, height = 0, width = 0;  ///< of the input, before it is enlarged
  int64_t out_height = 0, out_width = 0;
  struct Source {
    const void* data;
    int64_t channels;
    float scale;  ///< 1 for BFloat16
  };
  std::vector<Source> sources;
  void* out = nullptr;
  Type out_type = Type::Int8;  ///< the sources', or Float32
  float out_scale = 1;         ///< 1 unless Int8
  float residual_scale = 1;    ///< of what `out` holds before, where the convolution adds to it
  int threads = 1;
};

/// Whether channels of this type fill whole blocks.
constexpr bool whole_blocks(int64_t channels, Type type) {
  return channels * type_bytes(type) % 16 == 0;
}

std::unique_ptr<Step> make_narrow_convolution(const NarrowJob& job,
                                              const std::shared_ptr<Scratch>& scratch,
                                              PackedWeights& weights);

}  // namespace veilnet::runtime
