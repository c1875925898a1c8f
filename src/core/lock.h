// One writer at a time, over all processes of a machine (and of a network file system that knows
// flock).
#pragma once

#include <filesystem>

namespace veilnet {

/// An exclusive lock, held from construction to destruction. It is the kernel's (flock on the
/// file), so that a process that is killed leaves nothing locked; the file says who holds it, and
/// is removed on release.
class FileLock {
 public:
  /// Takes the lock or throws at once; never waits. Creates missing parent folders. A link in the
  /// place of the file is not followed.
  /// @throws Error{AlreadyExists} "FOLDER is in use by process N" (the file's folder; with the host
  /// where it is another) if another FileLock holds it, in this process or another; Error{Io} if
  /// the file cannot be created or locked.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace veilnet
