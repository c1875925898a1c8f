// Read by clang-tidy before every file: std::vector without C++20's constexpr. LibTorch 1.13's headers use a vector of a type that is
// still incomplete, which GCC takes and clang, evaluating the constexpr members, does not.
#include <string>
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
#include <vector>
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR constexpr
