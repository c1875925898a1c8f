#include "runtime/peak.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/network.h"

namespace veilnet::runtime {
namespace {

constexpr int kSums = 12;  // enough to hide the latency of two units, few enough for 16 registers
constexpr long kRounds = 20'000;

typedef float V4 __attribute__((vector_size(16)));
typedef float V8 __attribute__((vector_size(32)));
typedef float V16 __attribute__((vector_size(64)));

// Operations of one call. Every sum begins with another value, or the compiler would see that they
// are the same; what comes out is kept, so that none can be left out. Inlined into functions that
// are compiled for their vectors.
template <class V>
inline __attribute__((always_inline)) double multiply_add(float factor, float addend, float* out) {
  const V a = V{} + factor, b = V{} + addend;
  V s[kSums];
  for (int k = 0; k < kSums; ++k) s[k] = b * static_cast<float>(k);
  for (long i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k) s[k] = s[k] * a + b;
  }
  for (int k = 1; k < kSums; ++k) s[0] += s[k];
  *out += s[0][0];
  return 2.0 * kRounds * kSums * (sizeof(V) / sizeof(float));
}

#ifdef __x86_64__
__attribute__((target("avx512f,fma"))) double peak_avx512(float factor, float addend, float* out) {
  return multiply_add<V16>(factor, addend, out);
}
__attribute__((target("avx2,fma"))) double peak_avx2(float factor, float addend, float* out) {
  return multiply_add<V8>(factor, addend, out);
}
#endif
double peak_portable(float factor, float addend, float* out) {
  return multiply_add<V4>(factor, addend, out);
}

using Work = double (*)(float, float, float*);

Work work() {
#ifdef __x86_64__
  const auto isa = instruction_set();
  if (isa == "avx512") return peak_avx512;
  if (isa == "avx2") return peak_avx2;
#endif
  return peak_portable;
}

}  // namespace

double peak_gflop_per_s(int threads) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::duration;
  constexpr double kSeconds = 0.1;
  const auto once = work();
  const auto all = [&] {
    std::vector<double> rates(static_cast<std::size_t>(threads));
    {
      std::vector<std::jthread> running;
      for (auto& rate : rates)
        running.emplace_back([&rate, once] {
          volatile float factor = 0.5f, addend = 0.25f;
          float out = 0;
          double done = 0, seconds = 0;
          for (const auto begin = Clock::now(); seconds < kSeconds;
               seconds = duration<double>(Clock::now() - begin).count())
            done += once(factor, addend, &out);
          factor = out;
          rate = 1e-9 * done / seconds;
        });
    }
    return std::accumulate(rates.begin(), rates.end(), 0.0);
  };
  return std::max({all(), all(), all()});
}

}  // namespace veilnet::runtime
