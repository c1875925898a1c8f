#include "core/json_file.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace veilnet {

namespace {

using nlohmann::json;

/// Builds the value from the parser's events. The library's own way has no limits, keeps the last
/// of several equal keys, and takes quadratic time where a callback watches it.
class Builder : public json::json_sax_t {
 public:
  Builder(std::string_view text, std::string_view name, const JsonLimits& limits)
      : text_(text), name_(name), limits_(limits) {}

  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // no event of JSON text
  bool start_object(std::size_t) override { return open(json::value_t::object); }
  bool start_array(std::size_t) override { return open(json::value_t::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    const auto [member, added] = open_.back()->get_ref<json::object_t&>().emplace(key, nullptr);
    if (!added)
      fail(ErrorCode::BadData, "{}: the key '{}' stands twice in one object", name_,
           printable(key));
    member_ = &member->second;
    return true;
  }

  bool parse_error(std::size_t at, const std::string&, const json::exception& cause) override {
    // What the library says begins with "[a number] " and, mostly, "a position: ". What it quotes
    // from the file is left out: it may be the digits of a key.
    std::string what = cause.what();
    for (const std::string_view before : {"] ", ": "})
      if (const auto end = what.find(before); end < what.find('\''))
        what.erase(0, end + before.size());
    for (const std::string_view quoted : {"; last read: '", " '"})
      if (const auto begin = what.find(quoted);
          begin != what.npos && (quoted != " '" || what.starts_with("number overflow")))
        what.resize(begin);
    const auto line = 1 + std::ranges::count(text_.substr(0, at > 0 ? at - 1 : 0), '\n');
    fail(ErrorCode::BadData, "{}:{}: not valid JSON: {}", name_, line, printable(what));
  }

 private:
  json* put(json&& value) {
    if (++values_ > limits_.max_values)
      fail(ErrorCode::BadData, "{}: more than the {} JSON values that are allowed", name_,
           limits_.max_values);
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_object()) {
      *member_ = std::move(value);
      return member_;
    }
    auto& array = open_.back()->get_ref<json::array_t&>();
    array.push_back(std::move(value));
    return &array.back();
  }

  bool add(json&& value) {
    put(std::move(value));
    return true;
  }

  bool open(json::value_t kind) {
    if (open_.size() == limits_.max_depth)
      fail(ErrorCode::BadData, "{}: JSON nested deeper than the {} levels that are allowed", name_,
           limits_.max_depth);
    open_.push_back(put(kind));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_, name_;
  const JsonLimits& limits_;
  json root_;
  std::vector<json*> open_;  ///< from the outermost; an element stays in place while it is open
  json* member_ = nullptr;   ///< of the innermost object, for the value that comes next
  std::size_t values_ = 0;
};

}  // namespace

json read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_text(path, limits.max_bytes), path.string(), limits);
}

json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    fail(ErrorCode::BadData, "{}: has {} bytes of JSON; allowed are at most {}", name, text.size(),
         limits.max_bytes);
  // The library takes a zero byte for the end, whatever follows.
  if (const auto at = text.find('\0'); at != text.npos)
    fail(ErrorCode::BadData, "{}: not valid JSON: byte {} is zero", name, at);
  Builder builder(text, name, limits);
  json::sax_parse(text, &builder);
  return builder.take();
}

}  // namespace veilnet
