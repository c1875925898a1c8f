// Which vector instructions fast code may use on this machine.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace veilnet {

/// From plain code, which runs everywhere, to the widest; each level includes those before it.
enum class Simd { Plain, Avx2, Avx512Vbmi };

/// "plain", "avx2", "avx512vbmi".
std::string_view simd_name(Simd level);

/// The levels that this processor has, Plain first.
std::span<const Simd> simd_levels();

/// The widest of them, or the one that the environment variable VEILNET_SIMD names.
/// @throws Error{InvalidArgument} if it names none of them.
Simd simd_level();
/// The same for a value of that variable, which may be null.
Simd simd_level_named(const char* wanted);

/// For tests and benchmarks: simd_level() gives this one until told otherwise. Not for use beside
/// other threads.
void force_simd(std::optional<Simd> level);

}  // namespace veilnet
