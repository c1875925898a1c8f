// What several test programs need.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"

namespace veilnet::test {

/// A folder of its own for one test, removed afterwards.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "veilnet-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Path of a reference vector, or an empty path when the folder is absent. Tests run in the root of
/// the checkout.
inline std::filesystem::path vector_file(const std::string& name) {
  const char* given = std::getenv("VEILNET_VECTORS");
  const std::filesystem::path folder = given ? given : "../shared/vectors";
  return std::filesystem::exists(folder / name) ? folder / name : std::filesystem::path();
}

/// A copy, for comparisons that gtest can print.
inline std::vector<std::uint8_t> bytes(std::span<const std::uint8_t> of) {
  return {of.begin(), of.end()};
}

/// Runs `action` and expects an Error with this code whose message contains every given part.
template <class Action>
void expect_error(ErrorCode code, std::initializer_list<std::string> parts, Action&& action) {
  try {
    action();
    ADD_FAILURE() << "no error thrown; expected " << error_code_name(code);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    for (const auto& part : parts)
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos)
          << "message: " << e.what() << "\nlacks: " << part;
  }
}

}  // namespace veilnet::test

/// Skips the current test, with the reason, when a reference vector is absent.
#define VEILNET_NEED_VECTOR(path) \
  if ((path).empty())             \
  GTEST_SKIP() << "reference vectors are absent: set VEILNET_VECTORS to their folder"
