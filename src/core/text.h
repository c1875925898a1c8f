// Text that came from outside: is it UTF-8, and how is it shown or written without harm.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace veilnet {

/// Bytes of the longest beginning of `text` that is UTF-8 as RFC 3629 has it (no surrogates,
/// nothing overlong, nothing past U+10FFFF); text.size() when all of it is.
std::size_t utf8_prefix(std::string_view text);

/// `text` as a terminal, a log or a message may show it: control characters (C0, DEL, C1), marks
/// that reorder or hide text (bidirectional controls, zero-width characters, line separators) and
/// bytes that are no UTF-8 appear as \n, \x1B or \u{202E}. What would make it longer than max_bytes
/// is cut away and "..." put in its place. Applied a second time it changes nothing.
std::string printable(std::string_view text, std::size_t max_bytes = 160);

/// `text` itself where it is UTF-8; each byte that is not appears as \xE9. For file names in JSON,
/// which can hold nothing but UTF-8.
std::string as_utf8(std::string_view text);

/// The one of `known` that was probably meant by `word`, for "did you mean": that of which `word`
/// is the part behind the last dot, or else the nearest by edit distance unless that is more than
/// half its length. "" for none.
std::string closest(std::string_view word, std::span<const std::string> known);

}  // namespace veilnet
