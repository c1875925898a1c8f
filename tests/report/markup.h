// A small checker for the markup that the drawing code emits, and pictures for its tests.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"

namespace veilnet::test {

/// "" for well-formed XML with one root (attributes quoted, entities known, tags balanced), else
/// what is wrong and where.
inline std::string markup_fault(std::string_view s) {
  std::vector<std::string> open;
  std::size_t roots = 0;
  const auto at = [&](const std::string& what, std::size_t i) {
    return what + " at: " + std::string(s.substr(i, 60));
  };
  const auto text_fault = [&](std::size_t from, std::size_t to) -> std::string {
    for (std::size_t i = from; i < to; ++i) {
      if (s[i] != '&') continue;
      bool known = false;
      for (const std::string_view entity : {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"})
        known |= s.substr(i, entity.size()) == entity;
      if (!known) return at("unknown entity", i);
    }
    return "";
  };
  std::size_t i = 0;
  if (s.starts_with("<!DOCTYPE html>")) i = 15;
  while (i < s.size()) {
    const std::size_t tag = std::min(s.find('<', i), s.size());
    if (const auto fault = text_fault(i, tag); !fault.empty()) return fault;
    if (open.empty())
      for (std::size_t k = i; k < tag; ++k)
        if (!std::isspace(static_cast<unsigned char>(s[k]))) return at("text outside the root", k);
    if (tag == s.size()) break;
    i = tag + 1;
    const bool closing = i < s.size() && s[i] == '/';
    if (closing) ++i;
    std::string name;
    while (i < s.size() && (std::isalnum(static_cast<unsigned char>(s[i])) || s[i] == '-'))
      name += s[i++];
    if (name.empty()) return at("'<' that opens no tag", tag);
    bool empty_element = false;
    for (;;) {
      while (i < s.size() && std::isspace(static_cast<unsigned char>(s[i]))) ++i;
      if (i >= s.size()) return at("unfinished tag", tag);
      if (s[i] == '>') break;
      if (s[i] == '/' && s.substr(i, 2) == "/>") {
        empty_element = true;
        ++i;
        break;
      }
      const std::size_t equals = s.find_first_of("=<> ", i);
      if (equals >= s.size() || s.substr(equals, 2) != "=\"")
        return at("attribute without a quoted value", i);
      const std::size_t end = s.find('"', equals + 2);
      if (end == std::string_view::npos) return at("unfinished attribute", i);
      if (s.substr(equals, end - equals).find('<') != std::string_view::npos)
        return at("'<' in an attribute", i);
      if (const auto fault = text_fault(equals + 2, end); !fault.empty()) return fault;
      i = end + 1;
    }
    ++i;
    if (closing) {
      if (open.empty() || open.back() != name)
        return at("closing tag without its opening one", tag);
      open.pop_back();
    } else {
      if (open.empty()) ++roots;
      if (!empty_element) open.push_back(name);
    }
  }
  if (!open.empty()) return "never closed: " + open.back();
  return roots == 1 ? "" : std::to_string(roots) + " roots";
}

inline std::size_t occurrences(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t i = text.find(part); i != std::string_view::npos;
       i = text.find(part, i + part.size()))
    ++count;
  return count;
}

/// The values of one attribute in all tags that contain `marker`, in order.
inline std::vector<double> attributes(std::string_view svg, const std::string& marker,
                                      const std::string& name) {
  std::vector<double> out;
  for (std::size_t i = svg.find('<'); i != std::string_view::npos; i = svg.find('<', i + 1)) {
    const auto tag = svg.substr(i, svg.find('>', i) - i);
    const std::size_t value = tag.find(" " + name + "=\"");
    if (tag.find(marker) != std::string_view::npos && value != std::string_view::npos)
      out.push_back(std::stod(std::string(tag.substr(value + name.size() + 3))));
  }
  return out;
}

/// True if the markup names an outside resource or runs anything. Namespace names are no resources.
inline bool reaches_outside(std::string text) {
  const std::string svg_namespace = "xmlns=\"http://www.w3.org/2000/svg\"";
  for (std::size_t i = text.find(svg_namespace); i != std::string::npos;
       i = text.find(svg_namespace))
    text.erase(i, svg_namespace.size());
  for (const char* part : {"http://", "https://", "src=\"//", "url(", "@import", "<script", "<link",
                           "javascript:", " onload"})
    if (text.find(part) != std::string::npos) return true;
  return false;
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// A picture of one grey.
inline image::Image flat(std::uint8_t value, int side = 8) {
  return {side, side, std::vector<std::uint8_t>(static_cast<std::size_t>(side * side * 3), value)};
}

}  // namespace veilnet::test
