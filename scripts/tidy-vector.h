// Read by clang-tidy before every file: libstdc++'s std::vector without C++20's constexpr. LibTorch 1.13's headers use a vector of a type
// that is still incomplete, which GCC takes; clang evaluates the constexpr members and refuses.
#include <string>
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
#define __fill_a1 fill_a1_of_vector_bool  // declared constexpr by <string> already
#include <vector>
#undef __fill_a1
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR constexpr
