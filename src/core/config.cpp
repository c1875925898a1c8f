#include "core/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fmt/format.h>
#include <functional>
#include <optional>
#include <regex>
#include <sstream>
#include <toml++/toml.h>

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace veilnet {

namespace {

constexpr std::uint64_t max_config_bytes = 1u << 20;
constexpr std::size_t max_depth = 16;
constexpr std::string_view override_source = "--set";

bool is_bare_key(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
  });
}

std::vector<std::string> split_key(std::string_view key) {
  std::vector<std::string> parts;
  while (true) {
    const auto dot = key.find('.');
    parts.emplace_back(key.substr(0, dot));
    if (dot == key.npos) return parts;
    key.remove_prefix(dot + 1);
  }
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == text.npos ? std::string_view()
                            : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string quote(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\u00{:02X}", byte);
    } else {
      result += c;
    }
  }
  return result + "\"";
}

/// TOML text of a value; reading it gives the same value back, doubles to the bit.
std::string to_toml(std::int64_t value) { return std::to_string(value); }
std::string to_toml(bool value) { return value ? "true" : "false"; }
std::string to_toml(const std::string& value) { return quote(value); }
std::string to_toml(double value) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const std::string text(buffer.data(), end);
  return text.find_first_of(".einf") == text.npos ? text + ".0"
                                                  : text;  // 1 would read as an integer
}
template <class T>
std::string to_toml(const std::vector<T>& values) {
  std::string text = "[";
  for (const auto& value : values) text += (text.size() > 1 ? ", " : "") + to_toml(value);
  return text + "]";
}

constexpr std::size_t max_shown = 80;

/// Appends a value as it stands in a document, and no more once that is too long to be shown. The
/// library's own way to write arrays relies on casts from infinity and from logarithms below 0.
void append(std::string& text, const toml::node& node) {
  if (const auto* array = node.as_array()) {
    text += '[';
    for (std::size_t i = 0; i < array->size() && text.size() <= max_shown; ++i) {
      if (i > 0) text += ", ";
      append(text, *array->get(i));
    }
    text += ']';
  } else if (const auto* table = node.as_table()) {
    text += '{';
    for (const auto& [key, value] : *table) {
      if (text.size() > max_shown) break;
      if (text.back() != '{') text += ", ";
      text.append(key.str()).append(" = ");
      append(text, value);
    }
    text += '}';
  } else if (const auto* time = node.as_time()) {
    text += (std::ostringstream() << time->get()).str();
  } else if (const auto* string = node.as_string()) {
    text += quote(string->get());
  } else if (const auto* integer = node.as_integer()) {
    text += to_toml(integer->get());
  } else if (const auto* number = node.as_floating_point()) {
    text += to_toml(number->get());
  } else if (const auto* boolean = node.as_boolean()) {
    text += to_toml(boolean->get());
  }
}

/// A given value as messages show it.
std::string shown(const toml::node& node) {
  std::string text;
  append(text, node);
  return printable(text, max_shown);
}

std::string range_text(const std::string& kind, const std::string& min, const std::string& max) {
  return fmt::format("{} from {} to {}", kind, min, max);
}

/// .5 and 1. as TOML wants them: 0.5 and 1.0.
std::string with_whole_numbers(const std::string& text) {
  static const std::regex leading(R"((^|[\s,\[+-])\.(\d))"), trailing(R"((\d)\.($|[\s,\]]))");
  return std::regex_replace(std::regex_replace(text, leading, "$010.$2"), trailing, "$1.0$2");
}

/// Something in a document that toml++ must not see, and where.
struct Objection {
  std::size_t at;
  std::string what;
};

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

constexpr std::string_view too_deep = "a key is nested too deep";

/// Past the string that begins at `at`, or past the line where a string of one line does not end
/// (toml++ names that). As TOML has it, a string of several lines ends at the last of up to five
/// quotes. Objects to what toml++ does not survive in one: U+00A0 to U+0499 where blanks may follow
/// a backslash.
std::size_t skip_string(std::string_view text, std::size_t at,
                        std::optional<Objection>& objection) {
  const char quote = text[at];
  const auto run = [&](std::size_t from, std::size_t most) {
    std::size_t quotes = 0;
    while (quotes < most && from + quotes < text.size() && text[from + quotes] == quote) ++quotes;
    return quotes;
  };
  const bool multi_line = run(at, 3) == 3;
  for (at += multi_line ? 3 : 1; at < text.size();) {
    if (const auto quotes = run(at, multi_line ? 5 : 1); quotes > 0) {
      at += quotes;
      if (!multi_line || quotes >= 3) return at;
    } else if (text[at] == '\n' && !multi_line) {
      return at;
    } else if (text[at] == '\\' && quote == '"') {
      const auto next = text.find_first_not_of(" \t\r\n", at + 1);
      if (multi_line && next != text.npos && !is_ascii(text[next]) && !objection)
        objection = Objection{next, "a character that is not ASCII follows a backslash"};
      at += 2;
    } else {
      ++at;
    }
  }
  return text.size();
}

/// What toml++ does not survive in a word that begins with a digit or sign, whose first character
/// is at `at`: it takes all up to a blank or bracket for a number, quotes and what is between them
/// too, and what has hyphens as 2020-01-01 has them (underscores do not count) for a date.
std::optional<Objection> number_objection(std::string_view text, std::size_t at, bool is_key) {
  const auto end = std::min(text.find_first_of(" \t\r\n,]}#", at), text.size());
  const auto word = text.substr(at, end - at);
  if (const auto quote = word.substr(0, is_key ? word.find('=') : word.npos).find_first_of("\"'");
      quote != word.npos)
    return Objection{at + quote, "a quote stands within a number"};
  std::size_t characters = 0;
  for (const char c : word) {
    if (c == '_') continue;
    ++characters;
    if ((characters == 5 || characters == 8) && c != '-') break;
    if (characters == 8)
      return Objection{at, "a date is not allowed; write it as a string, in quotes"};
  }
  return std::nullopt;
}

/// Looks through a document before toml++ 3.3 does, for what that does not survive:
/// - keys of very many parts: it frees tables recursively, which exhausts the stack;
/// - a table header without a name ("[="), "[}", dates followed by something else than a time,
///   control characters and letters such as U+00D0 but for those in well-formed strings: they run
///   into its assertions, or without those into undefined behaviour. No setting is a date, so all
///   dates are refused.
/// Comments count for their encoding only.
std::optional<Objection> find_objection(std::string_view text) {
  if (const auto valid = utf8_prefix(text); valid < text.size())
    return Objection{valid, "not valid UTF-8"};
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  constexpr std::string_view blanks = " \t";
  const auto is_one_of = [&](std::size_t at, std::string_view set) {
    return at < text.size() && set.find(text[at]) != set.npos;
  };
  const auto skip = [&](std::size_t at, std::string_view set) {
    return std::min(text.find_first_not_of(set, at), text.size());
  };
  std::size_t dots = 0;
  std::string open;  // brackets
  bool line_begins = true, word_begins = true;
  for (std::size_t i = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
       i < text.size(); ++i) {
    const char c = text[i];
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
      dots = 0;
      line_begins = true;
      continue;
    }
    if (word_begins && is_one_of(i, "+-0123456789"))
      if (auto objection = number_objection(text, i, line_begins && open.empty())) return objection;
    if (c == '"' || c == '\'') {
      std::optional<Objection> objection;
      i = skip_string(text, i, objection) - 1;
      if (objection) return objection;
    } else if (!is_ascii(c)) {
      return Objection{i, "a character that is not ASCII stands outside a string"};
    } else if ((c < ' ' && c != '\t' && c != '\n' && !text.substr(i).starts_with("\r\n")) ||
               c == '\x7f') {
      return Objection{i, "a control character stands outside a string"};
    } else if (c == '.') {
      if (++dots >= max_depth) return Objection{i, std::string(too_deep)};
    } else if (c != ' ' && c != '\t' && !is_bare_key(text.substr(i, 1))) {
      dots = 0;
      if (c == '[' && line_begins && open.empty()) {
        const bool array = text.substr(i).starts_with("[[");
        const auto name = skip(array ? i + 2 : i + 1, blanks);
        // The parser itself refuses "]" well, and "[" where it does not take it for the second one.
        if (name < text.size() && !is_one_of(name, array ? "]\"'" : "[]\"'") &&
            !is_bare_key(text.substr(name, 1)))
          return Objection{name,
                           "a table's name must begin with a letter, digit, '_', '-' or quote"};
      }
      if (c == '[' || c == '{') open += c;
      if ((c == ']' || c == '}') && !open.empty()) {
        if (open.back() != (c == ']' ? '[' : '{'))
          return Objection{i, fmt::format("'{}' does not close '{}'", c, open.back())};
        open.pop_back();
      }
    }
    if (c != ' ' && c != '\t') line_begins = c == '\n';
    word_begins = !is_bare_key(text.substr(i, 1));
  }
  return std::nullopt;
}

[[noreturn]] void refuse(const std::string& name, std::string_view text,
                         const Objection& objection) {
  const auto before = text.substr(0, objection.at);
  const auto line = 1 + std::ranges::count(before, '\n');
  const auto column = objection.at - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  fail(ErrorCode::BadData, "{}:{}:{}: {}{}", name, line, column, objection.what,
       objection.what == too_deep ? fmt::format("; allowed are {} levels", max_depth) : "");
}

toml::table parse_toml(std::string_view text, const std::string& name) {
  try {
    return toml::parse(text, name);
  } catch (const toml::parse_error& e) {
    const auto at = e.source().begin;
    fail(ErrorCode::BadData, "{}:{}:{}: {}", name, at.line, at.column, printable(e.description()));
  }
}

/// Calls `leaf(dotted key, node)` for every value and every empty table.
void walk(const toml::table& table, const std::string& prefix,
          const std::function<void(const std::string&, const toml::node&)>& leaf) {
  for (const auto& [key, node] : table) {
    const auto path = prefix + std::string(key.str());
    if (const auto* inner = node.as_table(); inner && !inner->empty())
      walk(*inner, path + ".", leaf);
    else
      leaf(path, node);
  }
}

/// Keys must be bare, so that a dotted key means one thing only.
void check_keys(const toml::table& table, const std::string& name, std::size_t depth = 1) {
  for (const auto& [key, node] : table) {
    const auto at =
        fmt::format("{}:{}: key '{}'", name, key.source().begin.line, printable(key.str()));
    if (!is_bare_key(key.str()))
      fail(ErrorCode::BadData, "{} is not allowed: use letters, digits, '_' and '-'", at);
    if (depth > max_depth)
      fail(ErrorCode::BadData, "{} is nested too deep; allowed are {} levels", at, max_depth);
    if (const auto* inner = node.as_table()) check_keys(*inner, name, depth + 1);
  }
}

}  // namespace

struct Config::Impl {
  toml::table given;
  std::map<std::string, std::string> resolved;  ///< every key read so far, with its value as TOML

  const toml::node* find(std::string_view key) const {
    const toml::node* node = &given;
    for (const auto& part : split_key(key)) {
      const auto* table = node->as_table();
      node = table ? table->get(part) : nullptr;
      if (!node) return nullptr;
    }
    return node;
  }

  [[noreturn]] void refuse(std::string_view key, const toml::node& node,
                           const std::string& allowed) const {
    const auto& source = node.source();
    std::string where = source.path ? *source.path : "config";
    if (where != override_source && source.begin.line > 0)
      where += fmt::format(":{}", source.begin.line);
    fail(ErrorCode::InvalidArgument, "{}: {} = {} is not allowed; it must be {}", where, key,
         shown(node), allowed);
  }

  /// Reads `key` with `convert` (which gives nothing for a value that is not allowed) and records
  /// the result.
  template <class T>
  T read(std::string_view key, const T& fallback, const std::string& allowed,
         const std::function<std::optional<T>(const toml::node&)>& convert) {
    T value = fallback;
    if (const auto* node = find(key)) {
      auto converted = convert(*node);
      if (!converted) refuse(key, *node, allowed);
      value = std::move(*converted);
    }
    resolved[std::string(key)] = to_toml(value);
    return value;
  }
};

namespace {

std::optional<double> number_in(const toml::node& node, double min, double max) {
  if (!node.is_number()) return std::nullopt;
  const auto value = node.value<double>();
  return value && *value >= min && *value <= max ? value : std::nullopt;  // NaN is in no range
}

std::optional<std::string> text_of(const toml::node& node) {
  const auto* text = node.as_string();
  return text ? std::optional(text->get()) : std::nullopt;
}

template <class T>
std::optional<std::vector<T>> list_of(
    const toml::node& node, const std::function<std::optional<T>(const toml::node&)>& convert) {
  const auto* array = node.as_array();
  if (!array) return std::nullopt;
  std::vector<T> values;
  for (const auto& element : *array) {
    auto value = convert(element);
    if (!value) return std::nullopt;
    values.push_back(std::move(*value));
  }
  return values;
}

}  // namespace

Config::Config() : impl_(std::make_unique<Impl>()) {}
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;
Config::~Config() = default;

Config Config::load(const std::filesystem::path& path) {
  return parse(read_text(path, max_config_bytes), path.string());
}

Config Config::parse(std::string_view text, const std::string& name) {
  if (const auto objection = find_objection(text)) refuse(name, text, *objection);
  Config config;
  config.impl_->given = parse_toml(text, name);
  check_keys(config.impl_->given, name);
  return config;
}

void Config::set(std::string_view assignment) {
  const auto refuse = [&](const std::string& message) {
    fail(ErrorCode::InvalidArgument, "--set {}: {}", printable(assignment), message);
  };
  const auto equals = assignment.find('=');
  if (equals == assignment.npos) refuse("expected key=value");
  const auto key = trim(assignment.substr(0, equals));
  if (key.empty()) refuse("the key is empty; expected key=value");
  const auto parts = split_key(key);
  if (!std::ranges::all_of(parts, is_bare_key))
    refuse("the key may hold letters, digits, '_', '-' and single dots only");
  if (parts.size() > max_depth)
    refuse(fmt::format("the key is nested too deep; allowed are {} levels", max_depth));

  const auto value_text = trim(assignment.substr(equals + 1));
  if (utf8_prefix(value_text) < value_text.size()) refuse("the value is not valid UTF-8");
  const std::string source(override_source);
  const auto document = fmt::format("value = {}", value_text);
  const auto objection = find_objection(document);
  if (objection && objection->what == too_deep) refuse("the value is nested too deep");
  toml::table parsed;
  for (const auto& text : {document, with_whole_numbers(document)}) {
    if (parsed.size() == 1 || objection) break;
    try {
      parsed = toml::parse(text, source);
    } catch (const toml::parse_error&) {
    }
  }
  if (parsed.size() != 1)  // no TOML value: a plain string such as cifar10
    parsed = toml::parse("value = " + quote(value_text), source);
  if (parsed.get("value")->is_table()) refuse("the value is a table; set its keys one by one");

  toml::table* table = &impl_->given;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    table = table->insert(parts[i], toml::table{}).first->second.as_table();
    if (!table) refuse("'" + parts[i] + "' is a value, not a table");
  }
  if (const auto* present = table->get(parts.back()); present && present->is_table())
    refuse("'" + parts.back() + "' is a table; set its keys one by one");
  table->insert_or_assign(parts.back(), std::move(*parsed.get("value")));
}

bool Config::has(std::string_view key) const { return impl_->find(key) != nullptr; }

std::int64_t Config::get_int(std::string_view key, std::int64_t fallback, std::int64_t min,
                             std::int64_t max) {
  return impl_->read<std::int64_t>(key, fallback,
                                   range_text("an integer", to_toml(min), to_toml(max)),
                                   [&](const toml::node& node) -> std::optional<std::int64_t> {
                                     const auto* integer = node.as_integer();
                                     if (!integer || integer->get() < min || integer->get() > max)
                                       return std::nullopt;
                                     return integer->get();
                                   });
}

double Config::get_double(std::string_view key, double fallback, double min, double max) {
  return impl_->read<double>(key, fallback, range_text("a number", to_toml(min), to_toml(max)),
                             [&](const toml::node& node) { return number_in(node, min, max); });
}

bool Config::get_bool(std::string_view key, bool fallback) {
  return impl_->read<bool>(
      key, fallback, "true or false", [](const toml::node& node) -> std::optional<bool> {
        return node.is_boolean() ? std::optional(node.as_boolean()->get()) : std::nullopt;
      });
}

std::string Config::get_string(std::string_view key, const std::string& fallback) {
  return impl_->read<std::string>(key, fallback, "a string", text_of);
}

std::filesystem::path Config::get_path(std::string_view key, const std::string& fallback) {
  return impl_->read<std::string>(
      key, fallback, "a path", [](const toml::node& node) -> std::optional<std::string> {
        const auto text = text_of(node);
        const char* home = std::getenv("HOME");
        const bool at_home = text && home && (*text == "~" || text->starts_with("~/"));
        return at_home ? home + text->substr(1) : text;
      });
}

std::string Config::get_choice(std::string_view key, const std::string& fallback,
                               const std::vector<std::string>& choices) {
  std::string allowed = "one of";
  for (const auto& choice : choices) allowed.append(" ").append(quote(choice));
  return impl_->read<std::string>(key, fallback, allowed, [&](const toml::node& node) {
    const auto text = text_of(node);
    return text && std::ranges::find(choices, *text) != choices.end() ? text : std::nullopt;
  });
}

std::vector<double> Config::get_doubles(std::string_view key, const std::vector<double>& fallback,
                                        double min, double max) {
  return impl_->read<std::vector<double>>(
      key, fallback, range_text("an array of numbers", to_toml(min), to_toml(max)),
      [&](const toml::node& node) {
        return list_of<double>(
            node, [&](const toml::node& element) { return number_in(element, min, max); });
      });
}

std::vector<std::string> Config::get_strings(std::string_view key,
                                             const std::vector<std::string>& fallback) {
  return impl_->read<std::vector<std::string>>(
      key, fallback, "an array of strings",
      [](const toml::node& node) { return list_of<std::string>(node, text_of); });
}

void Config::refuse_unknown() const {
  const auto& known = impl_->resolved;
  std::string message;
  walk(impl_->given, "", [&](const std::string& key, const toml::node& node) {
    if (known.contains(key)) return;
    if (node.is_table()) {  // an empty table is harmless where keys below it are known
      const auto below = known.lower_bound(key + ".");
      if (below != known.end() && below->first.starts_with(key + ".")) return;
    }
    message += fmt::format("{}{}: unknown key '{}'", message.empty() ? "" : "; ",
                           node.source().path ? *node.source().path : "config", key);
    std::vector<std::string> keys;
    for (const auto& [name, value] : known) keys.push_back(name);
    if (const auto nearest = closest(key, keys); !nearest.empty())
      message += fmt::format(", did you mean '{}'?", nearest);
  });
  if (!message.empty()) fail(ErrorCode::InvalidArgument, "{}", message);
}

std::string Config::resolved_toml() const {
  std::map<std::string, std::string> tables;  // keys without a table come first, under ""
  for (const auto& [key, value] : impl_->resolved) {
    const auto dot = key.rfind('.');
    const auto table = dot == key.npos ? std::string() : key.substr(0, dot);
    tables[table] += key.substr(dot == key.npos ? 0 : dot + 1) + " = " + value + "\n";
  }
  std::string text;
  for (const auto& [table, lines] : tables) {
    if (!text.empty()) text += "\n";
    if (!table.empty()) text += "[" + table + "]\n";
    text += lines;
  }
  return text;
}

}  // namespace veilnet
