// The folder that a command writes many files into.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <span>
#include <string_view>

#include "core/files.h"

namespace veilnet {

/// The folder that a command writes its many files into, and nothing outside of it: names are taken
/// beneath it, each of their folders is opened in the one before, and no link inside is followed.
/// (The way to the folder itself is the user's and may lead over links.)
///
/// Each file appears whole or not at all, also when the process is killed. Nothing waits for the
/// disk until flush(), once for all: a machine that loses power before that may have any of the
/// files missing or empty; none after.
class OutputFolder {
 public:
  /// Creates the folder and missing parents. @throws Error{Io} if that fails.
  explicit OutputFolder(const std::filesystem::path& path);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  /// Writes a file as write_file does, except for the flush. Safe to call from several threads.
  /// @throws Error{InvalidArgument} as check_name, or if a folder on the way is a link;
  /// Error{AlreadyExists, Io} as write_file.
  void write(const std::filesystem::path& name, std::span<const std::uint8_t> bytes,
             Overwrite overwrite) const;
  void write(const std::filesystem::path& name, std::string_view text, Overwrite overwrite) const;

  /// Whether something, be it a link to nowhere, has this name. @throws Error{InvalidArgument, Io}
  /// as write.
  bool contains(const std::filesystem::path& name) const;
  /// Whether writing this name would replace that very file (links followed): an input must not be
  /// its own output. @throws as contains.
  bool would_replace(const std::filesystem::path& name, const std::filesystem::path& file) const;

  /// Waits until everything written is on the disk. @throws Error{Io} if it cannot be.
  void flush() const;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  mutable std::mutex mutex_;
  mutable std::set<std::filesystem::path> cleaned_;  ///< without what killed processes left
};

/// Refuses what is no name beneath an output folder: an empty or absolute path, a "." or ".." or
/// empty part, control characters. @throws Error{InvalidArgument} that begins with `what`, for
/// instance the line of the file that the name comes from.
void check_name(const std::filesystem::path& name, std::string_view what);

}  // namespace veilnet
