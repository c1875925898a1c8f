#include "core/cpu.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fmt/ranges.h>
#include <vector>

#include "core/error.h"

namespace veilnet {

namespace {

constexpr std::array kLevels{Simd::Plain, Simd::Avx2, Simd::Avx512Vbmi};

bool has(Simd level) {
#if defined(__x86_64__)
  switch (level) {
    case Simd::Plain: return true;
    case Simd::Avx2: return __builtin_cpu_supports("avx2");
    case Simd::Avx512Vbmi:
      return has(Simd::Avx2) && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi");
  }
#endif
  return level == Simd::Plain;
}

std::optional<Simd> forced;

}  // namespace

std::string_view simd_name(Simd level) {
  switch (level) {
    case Simd::Plain: return "plain";
    case Simd::Avx2: return "avx2";
    case Simd::Avx512Vbmi: return "avx512vbmi";
  }
  return {};
}

std::span<const Simd> simd_levels() {
  static const auto count = std::ranges::count_if(kLevels, has);
  return std::span(kLevels).first(static_cast<std::size_t>(count));
}

Simd simd_level_named(const char* wanted) {
  if (wanted == nullptr || *wanted == '\0') return simd_levels().back();
  const auto found = std::ranges::find(simd_levels(), std::string_view(wanted), simd_name);
  if (found != simd_levels().end()) return *found;
  std::vector<std::string_view> names;
  for (const auto level : simd_levels()) names.push_back(simd_name(level));
  fail(ErrorCode::InvalidArgument, "VEILNET_SIMD is \"{}\"; allowed on this machine: {}", wanted,
       fmt::join(names, ", "));
}

Simd simd_level() {
  if (forced) return *forced;
  static const Simd level = simd_level_named(std::getenv("VEILNET_SIMD"));
  return level;
}

void force_simd(std::optional<Simd> level) { forced = level; }

}  // namespace veilnet
