#include "core/lock.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "core/error.h"

namespace veilnet {

namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

/// What the holder has written: "process 123", "process 123 on host", or what can be said without.
std::string holder(int fd) {
  std::array<char, 300> text{};
  const ssize_t bytes = ::pread(fd, text.data(), text.size() - 1, 0);
  const std::string line(text.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  const auto blank = line.find(' '), end = line.find('\n');
  if (blank == line.npos || end == line.npos || blank > end) return "another process";
  const auto pid = line.substr(0, blank), host = line.substr(blank + 1, end - blank - 1);
  return fmt::format("process {}{}", pid, host == host_name() ? "" : " on " + host);
}

/// False when the path no longer leads to the open file: its last holder has removed it meanwhile.
bool is_file_at(int fd, const std::filesystem::path& path) {
  struct stat open {
  }, there{};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &there) == 0 &&
         open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path) : path_(path) {
  const auto fail_io = [&](const char* action, int cause) {
    fail(ErrorCode::Io, "{}: cannot {}: {}", path.string(), action,
         std::generic_category().message(cause));
  };
  std::error_code cause;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), cause);
  if (cause) fail_io("create the folder of", cause.value());
  while (true) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd_ < 0) fail_io("create", errno);
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const auto who = holder(fd_);
      ::close(std::exchange(fd_, -1));
      if (error == EINTR) continue;
      if (error != EWOULDBLOCK) fail_io("lock", error);
      fail(ErrorCode::AlreadyExists, "{} is in use by {}; wait until it has ended",
           (path.has_parent_path() ? path.parent_path() : path).string(), who);
    }
    if (is_file_at(fd_, path)) break;
    ::close(std::exchange(fd_, -1));
  }
  const auto line = fmt::format("{} {}\n", ::getpid(), host_name());
  // Only messages read it; the lock holds without.
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, line.data(), line.size(), 0) < 0) return;
}

FileLock::~FileLock() {
  if (fd_ < 0) return;
  ::unlink(path_.c_str());  // while it is still locked, so that nobody can have taken it
  ::close(fd_);
}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace veilnet
