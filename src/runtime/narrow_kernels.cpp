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
// Sixteen values at once, as many as a block of weights has columns; AVX2 takes eight.
constexpr int64_t kLanes = 16;
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
constexpr int kRows = 4, kWeightLimit = 127;
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
constexpr int kRows = 4, kWeightLimit = 0;
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
#pragma GCC target("avx2,fma")
namespace avx2_u8 {
constexpr std::string_view kName = "avx2";
// vpmaddubsw adds two products in 16 bits with a sign, which weights of 7 bits fit: 2 * 255 * 63.
constexpr int kRows = 3, kWeightLimit = 63;
constexpr int64_t kLanes = 8;
typedef float V __attribute__((vector_size(32), aligned(4), may_alias));
using Element = uint8_t;
using Ordered = uint8_t;
VEILNET_INLINE void to_float(const Element* from, V& v) {
  const auto bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  v = reinterpret_cast<V>(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)));
}
VEILNET_INLINE void from_float(const V& v, Element* to) {
  const auto x = _mm256_max_ps(reinterpret_cast<__m256>(v + 0.5f), _mm256_setzero_ps());
  const auto ints = _mm256_cvttps_epi32(_mm256_min_ps(x, _mm256_set1_ps(255)));
  const auto words =
      _mm_packus_epi32(_mm256_castsi256_si128(ints), _mm256_extracti128_si256(ints, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
}
struct Dot {
  struct Sum {
    __m256i low, high;
  };
  using Weights = Sum;
  static VEILNET_INLINE Sum zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static VEILNET_INLINE Weights load(const uint8_t* p) {
    const auto* half = reinterpret_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(half), _mm256_loadu_si256(half + 1)};
  }
  static VEILNET_INLINE Sum step(Sum sum, int32_t x, Weights w) {
    const auto values = _mm256_set1_epi32(x), ones = _mm256_set1_epi16(1);
    sum.low =
        _mm256_add_epi32(sum.low, _mm256_madd_epi16(_mm256_maddubs_epi16(values, w.low), ones));
    sum.high =
        _mm256_add_epi32(sum.high, _mm256_madd_epi16(_mm256_maddubs_epi16(values, w.high), ones));
    // Otherwise GCC adds up the steps before it adds them to the sums, for which registers lack.
    __asm__("" : "+x"(sum.low), "+x"(sum.high));
    return sum;
  }
  static VEILNET_INLINE void store(float* p, Sum sum) {
    _mm256_storeu_ps(p, _mm256_cvtepi32_ps(sum.low));
    _mm256_storeu_ps(p + 8, _mm256_cvtepi32_ps(sum.high));
  }
};
#include "runtime/narrow.inl"  // NOLINT(readability-duplicate-include): once a target
}  // namespace avx2_u8
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,prefer-vector-width=512")
namespace avx512_vnni {
constexpr std::string_view kName = "avx512_vnni";
constexpr int kRows = 14, kWeightLimit = 127;
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
constexpr int kRows = 14, kWeightLimit = 0;
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

// What VEILNET_SIMD allows: 2 everything, 1 AVX2, 0 nothing.
int allowed() {
  const char* variable = std::getenv("VEILNET_SIMD");
  const std::string_view wanted = variable ? variable : "";
  return wanted == "plain" ? 0 : wanted == "avx2" ? 1 : 2;
}

const NarrowKernels& fastest_loops(Type type) {
#ifdef __x86_64__
  const bool avx512 = allowed() >= 2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq");
  if (type == Type::BFloat16 && avx512 && __builtin_cpu_supports("avx512bf16"))
    return avx512_bf16::kTable;
  if (type == Type::Int8 && avx512 && __builtin_cpu_supports("avx512vnni"))
    return avx512_vnni::kTable;
  if (type == Type::Int8 && allowed() >= 1 && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma"))
    return avx2_u8::kTable;
#endif
  return portable_narrow_kernels(type);
}

}  // namespace

const NarrowKernels& portable_narrow_kernels(Type type) {
  return type == Type::Int8 ? portable_u8::kTable : portable_bf16::kTable;
}

const NarrowKernels& narrow_kernels(Type type) {
  static const auto &int8 = fastest_loops(Type::Int8), &bfloat16 = fastest_loops(Type::BFloat16);
  return type == Type::Int8 ? int8 : bfloat16;
}

}  // namespace veilnet::runtime
