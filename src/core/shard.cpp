#include "core/shard.h"

#include <regex>

#include "core/error.h"
#include "core/text.h"

namespace veilnet {

Shard shard_of(const std::string& text) {
  if (text.empty()) return {};
  static const std::regex form("([1-9][0-9]{0,5})/([1-9][0-9]{0,5})");
  std::smatch parts;
  Shard shard;
  if (std::regex_match(text, parts, form)) shard = {std::stoul(parts[1]) - 1, std::stoul(parts[2])};
  if (parts.empty() || shard.first >= shard.step)
    fail(ErrorCode::InvalidArgument,
         "--shard is \"{}\"; allowed is I/N with I from 1 to N, as 3/16: the third of sixteen",
         printable(text, 40));
  return shard;
}

}  // namespace veilnet
