// Experiment configuration: TOML files, --set overrides, ranges checked at each read, unknown keys
// refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace veilnet {

/// A tree of dotted keys ("train.epochs"). Each read names the allowed range and records the
/// resolved value, so that after reading, `refuse_unknown` can name keys nobody asked for and
/// `resolved_toml` prints the whole configuration, defaults included.
class Config {
 public:
  Config();
  /// @throws Error{NotFound}, Error{BadData} with file, line and column of a syntax error.
  static Config load(const std::filesystem::path& path);
  static Config parse(std::string_view text, const std::string& name);
  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;
  ~Config();

  /// "train.epochs=10"; the value is parsed as TOML (numbers such as .5 and 1. are taken too), and
  /// taken as a string where it is not valid TOML.
  /// @throws Error{InvalidArgument} if there is no '=' or the key is empty.
  void set(std::string_view assignment);
  /// True when the key was given by file or override.
  bool has(std::string_view key) const;

  /// Each getter returns the given value or the default. @throws Error{InvalidArgument} naming
  /// source file, key, value and what is allowed (wrong type, out of range, not one of the
  /// choices). An integer is accepted where a double is asked for.
  std::int64_t get_int(std::string_view key, std::int64_t fallback, std::int64_t min,
                       std::int64_t max);
  double get_double(std::string_view key, double fallback, double min, double max);
  bool get_bool(std::string_view key, bool fallback);
  std::string get_string(std::string_view key, const std::string& fallback);
  /// A leading ~ stands for the home folder.
  std::filesystem::path get_path(std::string_view key, const std::string& fallback);
  std::string get_choice(std::string_view key, const std::string& fallback,
                         const std::vector<std::string>& choices);
  std::vector<double> get_doubles(std::string_view key, const std::vector<double>& fallback,
                                  double min, double max);
  std::vector<std::string> get_strings(std::string_view key,
                                       const std::vector<std::string>& fallback);

  /// @throws Error{InvalidArgument} listing every given key that was never read, with the nearest
  /// known key as a hint.
  void refuse_unknown() const;
  /// Everything read so far, as TOML grouped by table, keys sorted. Loading it again gives the same
  /// values.
  std::string resolved_toml() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace veilnet
