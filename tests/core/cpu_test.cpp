#include "core/cpu.h"

#include <cstdlib>
#include <gtest/gtest.h>

#include "support.h"

namespace veilnet {
namespace {

TEST(Simd, LevelsBeginWithPlainCodeAndTheVariableNarrowsThem) {
  EXPECT_EQ(simd_levels().front(), Simd::Plain);
  EXPECT_EQ(simd_level_named(nullptr), simd_levels().back());
  EXPECT_EQ(simd_level_named(""), simd_levels().back());
  for (const auto level : simd_levels())
    EXPECT_EQ(simd_level_named(std::string(simd_name(level)).c_str()), level);
  test::expect_error(ErrorCode::InvalidArgument, {"VEILNET_SIMD", "\"avx3\"", "plain"},
                     [] { simd_level_named("avx3"); });
}

TEST(Simd, IsForcedForTestsOnly) {
  const auto usual = simd_level();
  force_simd(Simd::Plain);
  EXPECT_EQ(simd_level(), Simd::Plain);
  force_simd(std::nullopt);
  EXPECT_EQ(simd_level(), usual);
}

}  // namespace
}  // namespace veilnet
