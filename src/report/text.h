// Numbers and words on their way into markup.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace veilnet::report {

/// Text for HTML and XML, in content and in double-quoted attributes: < > & " ' become entities;
/// control characters and bytes that are not UTF-8 become U+FFFD, so that the page stays
/// well-formed whatever a file or class is called.
std::string escape(std::string_view text);

/// With this many decimals, '.' in every locale, never "-0.0". Infinity is written as its sign and
/// symbol, NaN as a dash.
std::string fixed(double value, int decimals);
/// The shortest digits that read back as the same number: 0.005, not 0.0050000000000000001.
std::string shortest(double value);
/// Six significant digits without trailing zeros, for readers: 0.3, not 0.30000000000000004.
std::string compact(double value);
/// 10000 as "10,000".
std::string grouped(std::uint64_t count);

/// What stands where a figure is missing.
inline constexpr std::string_view dash = "\u2013";

}  // namespace veilnet::report
