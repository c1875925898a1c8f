#include "core/files.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "core/error.h"

namespace veilnet {

namespace {

[[noreturn]] void fail_io(const std::filesystem::path& path, const std::string& action, int cause) {
  throw Error(ErrorCode::Io,
              path.string() + ": cannot " + action + ": " + std::generic_category().message(cause));
}

/// A descriptor that closes itself.
struct Descriptor {
  int fd;
  explicit Descriptor(int fd) : fd(fd) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

/// Reads to the end of the file, at most max_bytes, into anything with size(), resize() and data().
template <class Buffer>
Buffer read_all(const std::filesystem::path& path, std::uint64_t max_bytes) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      throw Error(ErrorCode::NotFound, path.string() + ": no such file");
    fail_io(path, "open", errno);
  }
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) fail_io(path, "inspect", errno);
  if (!S_ISREG(info.st_mode))
    throw Error(ErrorCode::BadData, path.string() + ": not a regular file");
  const auto check_size = [&](std::uint64_t size) {
    if (size > max_bytes)
      throw Error(ErrorCode::BadData, path.string() + ": has " + std::to_string(size) +
                                          " bytes; allowed are at most " +
                                          std::to_string(max_bytes));
  };
  check_size(static_cast<std::uint64_t>(info.st_size));

  Buffer bytes;
  bytes.resize(static_cast<std::size_t>(info.st_size) +
               1);  // one more, so that the end is seen without growing
  std::size_t size = 0;
  while (true) {
    if (size == bytes.size())
      bytes.resize(bytes.size() * 2);  // grew since fstat, or has no size (as under /proc)
    const ssize_t got = ::read(file.fd, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io(path, "read", errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    check_size(size);
  }
  bytes.resize(size);
  return bytes;
}

void write_all(int fd, std::span<const std::uint8_t> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

/// Creates an empty file under a name of its own in `folder`. The umask takes away from the mode,
/// as for any other new file.
std::filesystem::path create_temporary(const std::filesystem::path& folder,
                                       const std::filesystem::path& target, mode_t mode, int& fd) {
  static std::atomic<unsigned> counter{0};
  while (true) {
    const auto path = folder / (".veilnet-" + std::to_string(::getpid()) + "-" +
                                std::to_string(counter++) + ".tmp");
    fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd >= 0) return path;
    if (errno != EEXIST) fail_io(target, "create", errno);
  }
}

/// Gives the file its final name without ever replacing another. Returns 0 or the errno.
int rename_exclusively(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // This file system cannot; a hard link cannot replace a file either.
  if (::link(from.c_str(), to.c_str()) != 0) return errno;
  ::unlink(from.c_str());
  return 0;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_all<std::vector<std::uint8_t>>(path, max_bytes);
}

std::string read_text(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_all<std::string>(path, max_bytes);
}

void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes,
                Overwrite overwrite, Access access) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::error_code cause;
  std::filesystem::create_directories(folder, cause);
  if (cause) fail_io(path, "create the folder of", cause.value());

  const mode_t widest = access == Access::OwnerOnly ? 0600 : 0666;
  struct stat replaced {};
  const bool again = overwrite == Overwrite::Yes && ::stat(path.c_str(), &replaced) == 0;
  int fd = -1;
  const auto temporary =
      create_temporary(folder, path, again ? widest & replaced.st_mode : widest, fd);
  try {
    const Descriptor file(fd);
    if (access == Access::OwnerOnly) {
      ::fchmod(fd, 0600);
    } else if (again) {
      ::fchmod(fd, replaced.st_mode & 07777);
    }
    write_all(fd, bytes, path);
    if (::fsync(fd) != 0) fail_io(path, "flush", errno);
    const int error = overwrite == Overwrite::No ? rename_exclusively(temporary, path)
                      : ::rename(temporary.c_str(), path.c_str()) == 0 ? 0
                                                                       : errno;
    if (error == EEXIST && overwrite == Overwrite::No)
      throw Error(ErrorCode::AlreadyExists,
                  path.string() + ": exists already and is not overwritten");
    if (error != 0) fail_io(path, "rename to", error);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  // Makes the new name itself durable; not every file system can, and the content is safe either
  // way.
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd >= 0) ::fsync(directory.fd);
}

void write_file(const std::filesystem::path& path, std::string_view text, Overwrite overwrite,
                Access access) {
  write_file(path, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()),
             overwrite, access);
}

std::string sha256_hex(std::span<const std::span<const std::uint8_t>> parts) {
  if (sodium_init() < 0)
    throw Error(ErrorCode::Unsupported, "libsodium cannot start on this machine");
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  for (const auto part : parts) crypto_hash_sha256_update(&state, part.data(), part.size());
  unsigned char digest[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_final(&state, digest);
  char hex[2 * sizeof digest + 1];
  sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
  return hex;
}

std::string sha256_hex(std::span<const std::uint8_t> bytes) {
  const std::span<const std::uint8_t> parts[] = {bytes};
  return sha256_hex(std::span<const std::span<const std::uint8_t>>(parts));
}

}  // namespace veilnet
