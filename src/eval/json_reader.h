// Reading the JSON that reports are made from.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/json_file.h"
#include "eval/summary.h"
#include "report/text.h"

namespace veilnet::eval {

using namespace report;

/// A whole file. @throws as veilnet::read_json.
inline nlohmann::json read_json(const std::filesystem::path& path) {
  return veilnet::read_json(path, {256u << 20, 32, 16'000'000});
}

/// Names in the JSON and what the page says for them.
using Words = std::pair<std::string_view, std::string_view>;
/// A place in a JSON value that knows its own path, for messages. Every reading throws
/// Error{BadData} that names the path when the value is missing, of the wrong type or out of range.
class JsonReader {
 public:
  JsonReader(const nlohmann::json* value, std::string path)
      : value_(value), path_(std::move(path)) {}

  bool present() const { return value_ != nullptr && !value_->is_null(); }
  JsonReader operator[](const std::string& key) const {
    if (!present()) return {nullptr, path_ + "." + key};
    if (!value_->is_object()) fail("an object");
    const auto it = value_->find(key);
    return {it == value_->end() ? nullptr : &*it, path_ + "." + key};
  }
  std::string string() const {
    if (!present() || !value_->is_string()) fail("a string");
    return value_->get<std::string>();
  }
  std::string reason() const {
    auto words = string();
    if (words.empty()) throw Error(ErrorCode::BadData, path_ + " is empty; expected a reason");
    return words;
  }
  double number() const {
    if (!present()) fail("a number");
    return number_from_json(*value_, path_);
  }
  double share() const {
    const double v = number();
    expect(v >= 0 && v <= 1, v, "0 to 1");
    return v;
  }
  double positive() const {
    const double v = number();
    expect(v > 0 && std::isfinite(v), v, "a finite number above 0");
    return v;
  }
  std::uint64_t count() const {
    if (!present() || !value_->is_number_integer() || *value_ < 0) fail("a count");
    return value_->get<std::uint64_t>();
  }
  std::uint64_t at_least_one() const {
    const auto v = count();
    expect(v > 0, 0, "1 or more");
    return v;
  }
  Summary summary() const {
    if (!present()) fail("a summary");
    return summary_from_json(*value_, path_);
  }
  /// With median, p01 and p99 in [-1, 1].
  Summary ssim() const {
    const auto s = summary();
    for (const auto& [key, v] : {std::pair("median", s.median), {"p01", s.p01}, {"p99", s.p99}})
      (*this)[key].expect(std::abs(v) <= 1 + 1e-6, v, "-1 to 1");
    return s;
  }
  std::string_view among(std::span<const Words> words) const {
    const auto name = string();
    std::string allowed;
    for (const auto& [known, meaning] : words) {
      if (name == known) return meaning;
      allowed += (allowed.empty() ? "" : ", ") + std::string(known);
    }
    throw Error(ErrorCode::BadData, path_ + " is \"" + name + "\"; allowed: " + allowed);
  }
  std::vector<JsonReader> items() const {
    if (!present() || !value_->is_array()) fail("an array");
    std::vector<JsonReader> out;
    for (std::size_t i = 0; i < value_->size(); ++i)
      out.emplace_back(&(*value_)[i], path_ + "[" + std::to_string(i) + "]");
    return out;
  }
  std::vector<JsonReader> some_items() const {
    auto out = items();
    if (out.empty()) throw Error(ErrorCode::BadData, path_ + " is empty; expected at least one");
    return out;
  }
  std::vector<std::string> strings() const {
    std::vector<std::string> out;
    for (const auto& item : items()) out.push_back(item.string());
    return out;
  }
  /// May be long: paths are made for the message only.
  std::vector<double> numbers() const {
    if (!present() || !value_->is_array()) fail("an array");
    std::vector<double> out;
    out.reserve(value_->size());
    for (const auto& item : *value_)
      out.push_back(item.is_number()
                        ? item.get<double>()
                        : number_from_json(item, path_ + "[" + std::to_string(out.size()) + "]"));
    return out;
  }
  /// Names and values; nested objects become dotted names, arrays stay JSON.
  std::vector<std::vector<std::string>> rows(const std::string& prefix = "") const {
    if (!present() || !value_->is_object()) fail("an object");
    std::vector<std::vector<std::string>> out;
    for (const auto& [key, value] : value_->items()) {
      if (value.is_object()) {
        for (auto& row : JsonReader(&value, path_ + "." + key).rows(prefix + key + "."))
          out.push_back(std::move(row));
      } else {
        out.push_back({prefix + key,
                       value.is_string()
                           ? value.get<std::string>()
                           : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)});
      }
    }
    return out;
  }
  /// What may be absent: entry.maybe(&JsonReader::share).
  template <class T>
  std::optional<T> maybe(T (JsonReader::*read)() const) const {
    return present() ? std::optional((this->*read)()) : std::nullopt;
  }
  std::vector<double> numbers_if() const {
    return maybe(&JsonReader::numbers).value_or(std::vector<double>());
  }
  std::vector<std::string> strings_if() const {
    return maybe(&JsonReader::strings).value_or(std::vector<std::string>());
  }
  std::vector<std::vector<std::string>> rows_if() const {
    return present() ? rows() : std::vector<std::vector<std::string>>();
  }
  std::vector<JsonReader> items_if() const {
    return maybe(&JsonReader::items).value_or(std::vector<JsonReader>());
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    if (!present()) throw Error(ErrorCode::BadData, path_ + " is missing; expected " + expected);
    throw Error(ErrorCode::BadData,
                path_ + ": expected " + expected + ", found " + value_->type_name());
  }
  void expect(bool fine, double value, const char* allowed) const {
    if (!fine)
      throw Error(ErrorCode::BadData, path_ + " is " + shortest(value) + ", allowed is " + allowed);
  }

  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace veilnet::eval
