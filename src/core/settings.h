// The typed settings of one part of the program: read from a configuration, and written out as what
// a result depends on.
#pragma once

#include <fmt/format.h>
#include <map>
#include <string>
#include <vector>

#include "core/config.h"

namespace veilnet {

/// Dotted configuration key -> value, numbers as short as they read back exactly.
using Settings = std::map<std::string, std::string>;

/// A struct of settings names each of its fields once, with what is allowed, in a member
///
///     template <class Visit> void fields(Visit&& visit) { visit("epochs", epochs, 1, 100'000); }
///
/// and is read with ReadFields and written with WriteFields.
class ReadFields {
 public:
  /// @param table with its dot: "transform.". What the fields hold are the defaults.
  ReadFields(Config& config, std::string table) : config_(config), table_(std::move(table)) {}

  void operator()(const char* name, std::int64_t& value, std::int64_t min, std::int64_t max) {
    value = config_.get_int(table_ + name, value, min, max);
  }
  void operator()(const char* name, int& value, std::int64_t min, std::int64_t max) {
    value = static_cast<int>(config_.get_int(table_ + name, value, min, max));
  }
  /// A seed: any number from 0.
  void operator()(const char* name, std::uint64_t& value) {
    value = static_cast<std::uint64_t>(
        config_.get_int(table_ + name, static_cast<std::int64_t>(value), 0, INT64_MAX));
  }
  void operator()(const char* name, double& value, double min, double max) {
    value = config_.get_double(table_ + name, value, min, max);
  }
  void operator()(const char* name, bool& value) { value = config_.get_bool(table_ + name, value); }
  void operator()(const char* name, std::string& value, const std::vector<std::string>& choices) {
    value = config_.get_choice(table_ + name, value, choices);
  }
  void operator()(const char* name, std::vector<double>& value, double min, double max) {
    value = config_.get_doubles(table_ + name, value, min, max);
  }

 private:
  Config& config_;
  std::string table_;
};

class WriteFields {
 public:
  WriteFields(Settings& out, std::string table) : out_(out), table_(std::move(table)) {}

  template <class Value, class... Allowed>
  void operator()(const char* name, const Value& value, const Allowed&...) {
    out_[table_ + name] = text(value);
  }
  void operator()(const char* name, const std::string& value, const std::vector<std::string>&) {
    out_[table_ + name] = value;
  }

 private:
  template <class Value>
  static std::string text(const Value& value) {
    return fmt::format("{}", value);
  }
  static std::string text(const std::vector<double>& values) {
    return fmt::format("[{}]", fmt::join(values, ", "));
  }

  Settings& out_;
  std::string table_;
};

/// The fields of one struct, by key.
template <class T>
Settings settings_of(T part, const std::string& table) {
  Settings out;
  part.fields(WriteFields(out, table));
  return out;
}

/// Those fields that a struct has got since results were kept, in a member `additions`, and that
/// differ from their defaults: the keys of results without them stay what they were.
template <class T>
Settings added_settings_of(T part, const std::string& table) {
  Settings out, usual;
  part.additions(WriteFields(out, table));
  T().additions(WriteFields(usual, table));
  std::erase_if(out, [&](const auto& field) { return usual.at(field.first) == field.second; });
  return out;
}

}  // namespace veilnet
