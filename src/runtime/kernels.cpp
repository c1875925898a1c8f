#include "runtime/kernels.h"

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace veilnet::runtime {
namespace {

namespace portable {
constexpr std::string_view kName = "portable";
constexpr int kLanes = 4, kRows = 6;
#include "runtime/kernels.inl"  // NOLINT(readability-duplicate-include): once a target
}  // namespace portable

#ifdef __x86_64__
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
constexpr std::string_view kName = "avx2";
constexpr int kLanes = 8, kRows = 6;
#include "runtime/kernels.inl"  // NOLINT(readability-duplicate-include): once a target
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
namespace avx512 {
constexpr std::string_view kName = "avx512";
constexpr int kLanes = 16, kRows = 14;
#include "runtime/kernels.inl"  // NOLINT(readability-duplicate-include): once a target
}  // namespace avx512
#pragma GCC pop_options
#endif

}  // namespace

std::span<const Kernels* const> available_kernels() {
  static const std::vector<const Kernels*> found = [] {
    std::vector<const Kernels*> sets;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
      sets.push_back(&avx512::kTable);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      sets.push_back(&avx2::kTable);
#endif
    sets.push_back(&portable::kTable);
    return sets;
  }();
  return found;
}

const Kernels& kernels() {
  static const Kernels& chosen = []() -> const Kernels& {
    const char* variable = std::getenv("VEILNET_SIMD");
    const std::string_view wanted = variable ? variable : "";
    if (wanted == "plain") return *available_kernels().back();
    for (const auto* set : available_kernels()) {
      if (set->name == wanted) return *set;
    }
    return *available_kernels().front();
  }();
  return chosen;
}

}  // namespace veilnet::runtime
