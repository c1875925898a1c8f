#include <cstdlib>
#include <string_view>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "runtime/narrow.h"

namespace veilnet::runtime {
namespace {

typedef float Float __attribute__((may_alias));
typedef uint16_t Bits16 __attribute__((may_alias));
typedef int16_t Signed16 __attribute__((may_alias));
// Sixteen values, as many as a block of weights has columns.
typedef float V __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t VBits __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t VInts __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint8_t VBytes __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint16_t VHalves __attribute__((vector_size(32), aligned(2), may_alias));

#define VEILNET_INLINE inline __attribute__((always_inline))

// Elements of 8 bits. Halves go up: which way matters less than the time.
#define VEILNET_UINT8                                                       \
  using Element = uint8_t;                                                  \
  using Ordered = uint8_t;                                                  \
  VEILNET_INLINE void to_float(const Element* from, V& v) {                 \
    v = __builtin_convertvector(*reinterpret_cast<const VBytes*>(from), V); \
  }                                                                         \
  VEILNET_INLINE void from_float(const V& v, Element* to) {                 \
    V x = v + 0.5f;                                                         \
    x = x > 0.0f ? x : V{};                                                 \
    x = x < 255.0f ? x : V{} + 255.0f;                                      \
    *reinterpret_cast<VBytes*>(to) =                                        \
        __builtin_convertvector(__builtin_convertvector(x, VInts), VBytes); \
  }

// bfloat16: the upper half of float32, rounded half to even.
#define VEILNET_BFLOAT16                                                                       \
  using Element = Bits16;                                                                      \
  using Ordered = Signed16;                                                                    \
  VEILNET_INLINE void to_float(const Element* from, V& v) {                                    \
    const VBits bits = __builtin_convertvector(*reinterpret_cast<const VHalves*>(from), VBits) \
                       << 16;                                                                  \
    __builtin_memcpy(&v, &bits, sizeof v);                                                     \
  }                                                                                            \
  VEILNET_INLINE void from_float(const V& v, Element* to) {                                    \
    VBits bits;                                                                                \
    __builtin_memcpy(&bits, &v, sizeof bits);                                                  \
    bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;                                           \
    *reinterpret_cast<VHalves*>(to) = __builtin_convertvector(bits, VHalves);                  \
  }

// What the portable dot products have in common.
struct Lanes {
  template <class T>
  struct Of {
    T lane[16];
  };
};

namespace portable_u8 {
constexpr std::string_view kName = "portable";
constexpr int kRows = 4;
VEILNET_UINT8
struct Dot {
  using Sum = Lanes::Of<int32_t>;
  struct Weights {
    const uint8_t* at;
  };
  static Sum zero() { return {}; }
  static Weights load(const uint8_t* p) { return {p}; }
  static Sum step(Sum sum, int32_t x, Weights w) {
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 4; ++j)
        sum.lane[i] += (x >> (8 * j) & 255) * static_cast<int8_t>(w.at[4 * i + j]);
    return sum;
  }
  static void store(float* p, const Sum& sum) {
    for (int i = 0; i < 16; ++i) p[i] = static_cast<float>(sum.lane[i]);
  }
};
#include "runtime/narrow.inl"  // NOLINT(readability-duplicate-include): once a target
}  // namespace portable_u8

namespace portable_bf16 {
constexpr std::string_view kName = "portable";
constexpr int kRows = 4;
VEILNET_BFLOAT16
struct Dot {
  using Sum = Lanes::Of<float>;
  struct Weights {
    const uint8_t* at;
  };
  static Sum zero() { return {}; }
  static Weights load(const uint8_t* p) { return {p}; }
  static Sum step(Sum sum, int32_t x, Weights w) {
    const float low = wide(static_cast<uint32_t>(x)), high = wide(static_cast<uint32_t>(x) >> 16);
    for (int i = 0; i < 16; ++i) {
      uint32_t pair;
      __builtin_memcpy(&pair, w.at + 4 * i, sizeof pair);
      sum.lane[i] += low * wide(pair) + high * wide(pair >> 16);
    }
    return sum;
  }
  static void store(float* p, const Sum& sum) {
    for (int i = 0; i < 16; ++i) p[i] = sum.lane[i];
  }
  static float wide(uint32_t bits) {
    bits <<= 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
  }
};
#include "runtime/narrow.inl"  // NOLINT(readability-duplicate-include): once a target
}  // namespace portable_bf16

#ifdef __x86_64__
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,prefer-vector-width=512")
namespace avx512_vnni {
constexpr std::string_view kName = "avx512_vnni";
constexpr int kRows = 14;
VEILNET_UINT8
struct Dot {
  using Sum = __m512i;
  using Weights = __m512i;
  static VEILNET_INLINE Sum zero() { return _mm512_setzero_si512(); }
  static VEILNET_INLINE Weights load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static VEILNET_INLINE Sum step(Sum sum, int32_t x, Weights w) {
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(x), w);
  }
  static VEILNET_INLINE void store(float* p, Sum sum) {
    typedef int32_t Ints __attribute__((vector_size(64)));
    typedef float Floats __attribute__((vector_size(64)));
    _mm512_storeu_ps(
        p, reinterpret_cast<__m512>(__builtin_convertvector(reinterpret_cast<Ints>(sum), Floats)));
  }
};
#include "runtime/narrow.inl"  // NOLINT(readability-duplicate-include): once a target
}  // namespace avx512_vnni
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,prefer-vector-width=512")
namespace avx512_bf16 {
constexpr std::string_view kName = "avx512_bf16";
constexpr int kRows = 14;
VEILNET_BFLOAT16
struct Dot {
  using Sum = __m512;
  using Weights = __m512bh;
  static VEILNET_INLINE Sum zero() { return _mm512_setzero_ps(); }
  static VEILNET_INLINE Weights load(const uint8_t* p) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p));
  }
  static VEILNET_INLINE Sum step(Sum sum, int32_t x, Weights w) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(x)), w);
  }
  static VEILNET_INLINE void store(float* p, Sum sum) { _mm512_storeu_ps(p, sum); }
};
#include "runtime/narrow.inl"  // NOLINT(readability-duplicate-include): once a target
}  // namespace avx512_bf16
#pragma GCC pop_options
#endif

bool wants_portable() {
  const char* variable = std::getenv("VEILNET_SIMD");
  const std::string_view wanted = variable ? variable : "";
  return wanted == "plain" || wanted == "avx2";
}

bool runs_avx512() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

}  // namespace

const NarrowKernels& portable_narrow_kernels(Type type) {
  return type == Type::Int8 ? portable_u8::kTable : portable_bf16::kTable;
}

const NarrowKernels& narrow_kernels(Type type) {
#ifdef __x86_64__
  static const bool avx512 = runs_avx512() && !wants_portable();
  if (type == Type::Int8 && avx512 && __builtin_cpu_supports("avx512vnni"))
    return avx512_vnni::kTable;
  if (type == Type::BFloat16 && avx512 && __builtin_cpu_supports("avx512bf16"))
    return avx512_bf16::kTable;
#endif
  return portable_narrow_kernels(type);
}

}  // namespace veilnet::runtime
