// How many keys there are.
#pragma once

#include <string_view>

namespace veilnet::protection {

/// How many keys protect a set of pictures. Independent: each has its own, or is drawn anew. None:
/// the method has no key and draws nothing.
enum class Keys { None, Same, Independent };

/// "none", "same", "independent".
std::string_view keys_name(Keys keys);

}  // namespace veilnet::protection
