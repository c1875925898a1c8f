// JSON from outside: read in linear time, within limits, and refused with the file's name where it
// is not what it should be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace veilnet {

struct JsonLimits {
  std::uint64_t max_bytes = 64u << 20;
  /// Levels of arrays and objects. What is read recursively afterwards is bounded by it.
  std::size_t max_depth = 32;
  /// Values of every kind, which bounds the memory: one takes 16 bytes and, where it is no number,
  /// an allocation.
  std::size_t max_values = 4'000'000;
};

/// The value in a file.
/// @throws Error{NotFound, Io} as read_file; Error{BadData}, with file and line, for more bytes,
/// levels or values than the limits allow, for anything but one JSON value, for a key that an
/// object repeats and for text that is not UTF-8. Of what is in the file only keys are
/// quoted, cut.
nlohmann::json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

/// As read_json, from memory; `name` stands for the file in messages.
nlohmann::json parse_json(std::string_view text, std::string_view name,
                          const JsonLimits& limits = {});

}  // namespace veilnet
