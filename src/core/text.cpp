#include "core/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <vector>

namespace veilnet {

namespace {

/// One character: its code point and bytes; a byte that begins no UTF-8 character has `valid`
/// unset.
struct Character {
  char32_t code;
  std::size_t bytes;
  bool valid;
};

Character next_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {first, 1, false};
  char32_t code = first & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0u) != 0x80) return {first, 1, false};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < smallest[bytes] || code > 0x10ffff || surrogate) return {first, 1, false};
  return {code, bytes, true};
}

bool is_harmful(char32_t code) {
  const auto in = [code](char32_t from, char32_t to) { return code >= from && code <= to; };
  return code < 0x20 || in(0x7f, 0x9f) || code == 0xad || code == 0x61c || in(0x200b, 0x200f) ||
         in(0x2028, 0x202e) || in(0x2060, 0x206f) || code == 0xfeff || in(0xfff9, 0xfffb) ||
         in(0xe0000, 0xe007f);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::size_t utf8_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto next = next_character(text.substr(at));
    if (!next.valid) break;
    at += next.bytes;
  }
  return at;
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view dots = "...";
  std::string result;
  std::size_t fits = 0;  // bytes of the result that leave room for the dots
  while (!text.empty()) {
    const auto next = next_character(text);
    if (!next.valid || (next.code < 0x100 && is_harmful(next.code)))
      result += next.code == '\n'   ? "\\n"
                : next.code == '\t' ? "\\t"
                : next.code == '\r' ? "\\r"
                                    : fmt::format("\\x{:02X}", static_cast<unsigned>(next.code));
    else if (is_harmful(next.code))
      result += fmt::format("\\u{{{:X}}}", static_cast<unsigned>(next.code));
    else
      result += text.substr(0, next.bytes);
    if (result.size() > max_bytes) return result.substr(0, fits).append(dots);
    if (result.size() + dots.size() <= max_bytes) fits = result.size();
    text.remove_prefix(next.bytes);
  }
  return result;
}

std::string as_utf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto valid = utf8_prefix(text);
    result += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) break;
    result += fmt::format("\\x{:02X}", static_cast<unsigned char>(text[0]));
    text.remove_prefix(1);
  }
  return result;
}

std::string closest(std::string_view word, std::span<const std::string> known) {
  std::string_view best;
  std::size_t least = std::string_view::npos;
  for (const auto& name : known) {
    const auto distance = name.ends_with(fmt::format(".{}", word)) ? 0 : edit_distance(word, name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return std::string(2 * least <= std::max(word.size(), best.size()) ? best : "");
}

}  // namespace veilnet
