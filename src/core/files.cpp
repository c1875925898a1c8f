#include "core/files.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>
#include <memory>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "core/error.h"
#include "core/hash.h"
#include "core/output_folder.h"
#include "core/signals.h"
#include "core/text.h"

namespace veilnet {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_io(const fs::path& path, const char* action, int cause) {
  fail(ErrorCode::Io, "{}: cannot {}: {}", path.string(), action,
       std::generic_category().message(cause));
}

/// A descriptor that closes itself.
struct Descriptor {
  int fd;
  explicit Descriptor(int fd) : fd(fd) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(Descriptor&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd, other.fd);
    return *this;
  }
};

/// Hands the whole of a regular file to take(bytes), in pieces. Before each it asks next() for the
/// memory that the piece is read to.
template <class Next, class Take>
void read_pieces(const fs::path& path, std::uint64_t max_bytes, Next&& next, Take&& take) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      fail(ErrorCode::NotFound, "{}: no such file", path.string());
    fail_io(path, "open", errno);
  }
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) fail_io(path, "inspect", errno);
  if (!S_ISREG(info.st_mode)) fail(ErrorCode::BadData, "{}: not a regular file", path.string());
  const auto check_size = [&](std::uint64_t size) {
    if (size > max_bytes)
      fail(ErrorCode::BadData, "{}: has {} bytes; allowed are at most {}", path.string(), size,
           max_bytes);
  };
  check_size(static_cast<std::uint64_t>(info.st_size));
  std::uint64_t size = 0;
  while (true) {
    const std::span<std::uint8_t> piece = next(static_cast<std::uint64_t>(info.st_size));
    const ssize_t got = ::read(file.fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io(path, "read", errno);
    if (got == 0) return;
    size += static_cast<std::uint64_t>(got);
    check_size(size);
    take(piece.first(static_cast<std::size_t>(got)));
  }
}

/// Reads to the end of the file, at most max_bytes, into anything with size(), resize() and data().
template <class Buffer>
Buffer read_all(const fs::path& path, std::uint64_t max_bytes) {
  Buffer bytes;
  std::size_t size = 0;
  read_pieces(
      path, max_bytes,
      [&](std::uint64_t expected) {
        if (bytes.size() == 0)
          bytes.resize(expected + 1);  // one more, so that the end is seen without growing
        else if (size == bytes.size())
          bytes.resize(bytes.size() * 2);  // grew since, or has no size (as under /proc)
        return std::span(reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()).subspan(size);
      },
      [&](std::span<const std::uint8_t> piece) { size += piece.size(); });
  bytes.resize(size);
  return bytes;
}

void write_all(int fd, std::span<const std::uint8_t> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

// Temporary files are named .veilnet-PID-COUNTER.tmp, and locked (flock) by their writer as long as
// it lives: what can be locked has been abandoned, whichever machine or container its writer ran
// in.
constexpr std::string_view temporary_prefix = ".veilnet-", temporary_suffix = ".tmp";

bool is_temporary_name(std::string_view name) {
  return name.starts_with(temporary_prefix) && name.ends_with(temporary_suffix) &&
         name.find_first_not_of("0123456789-", temporary_prefix.size()) ==
             name.size() - temporary_suffix.size();
}

/// Removes abandoned temporary files.
void remove_abandoned(int folder) {
  Descriptor readable(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(
      readable.fd >= 0 ? ::fdopendir(readable.fd) : nullptr, ::closedir);
  if (!entries) return;
  readable.fd = -1;  // the stream's now
  while (const dirent* entry = ::readdir(entries.get())) {
    if (!is_temporary_name(entry->d_name)) continue;
    struct stat info {};
    const Descriptor file(
        ::openat(folder, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (file.fd >= 0 && ::fstat(file.fd, &info) == 0 && S_ISREG(info.st_mode) &&
        ::flock(file.fd, LOCK_EX | LOCK_NB) == 0)
      ::unlinkat(folder, entry->d_name, 0);
  }
}

/// Creates an empty, locked file under a name of its own in `folder`. The umask takes away from the
/// mode, as for any other new file.
Descriptor create_temporary(int folder, mode_t mode, const fs::path& target, std::string& name) {
  static std::atomic<unsigned> counter{0};
  while (true) {
    name = fmt::format("{}{}-{}{}", temporary_prefix, ::getpid(), counter++, temporary_suffix);
    Descriptor file(::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.fd < 0) {
      if (errno != EEXIST) fail_io(target, "create", errno);
      continue;
    }
    // Between the two another process may have taken it for abandoned; then it gets another name.
    // Where a file system has no locks, nothing is ever taken for abandoned.
    const bool taken = ::flock(file.fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat info {};
    if (!taken && ::fstat(file.fd, &info) == 0 && info.st_nlink > 0) return file;
  }
}

/// Gives the file its final name without ever replacing another. Returns 0 or the errno.
int rename_exclusively(int folder, const char* from, const char* to) {
  if (::renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // This file system cannot; a hard link cannot replace a file either.
  if (::linkat(folder, from, folder, to, 0) != 0) return errno;
  ::unlinkat(folder, from, 0);
  return 0;
}

enum class Flush { No, Yes };

/// Writes the file `name` of an open folder; `path` is how messages call it.
void write_in(int folder, const std::string& name, const fs::path& path,
              std::span<const std::uint8_t> bytes, Overwrite overwrite, Access access,
              Flush flush) {
  const mode_t widest = access == Access::OwnerOnly ? 0600 : 0666;
  struct stat replaced {};
  const bool again = overwrite == Overwrite::Yes &&
                     ::fstatat(folder, name.c_str(), &replaced, AT_SYMLINK_NOFOLLOW) == 0 &&
                     S_ISREG(replaced.st_mode);
  const InterruptGuard guard;  // a signal leaves no temporary file
  std::string temporary;
  const auto file =
      create_temporary(folder, again ? widest & replaced.st_mode : widest, path, temporary);
  try {
    if (access == Access::OwnerOnly) {
      ::fchmod(file.fd, 0600);
    } else if (again) {
      ::fchmod(file.fd, replaced.st_mode & 07777);
    }
    write_all(file.fd, bytes, path);
    if (flush == Flush::Yes && ::fsync(file.fd) != 0) fail_io(path, "flush", errno);
    const char* const from = temporary.c_str();
    const int error = overwrite == Overwrite::No ? rename_exclusively(folder, from, name.c_str())
                      : ::renameat(folder, from, folder, name.c_str()) == 0 ? 0
                                                                            : errno;
    if (error == EEXIST && overwrite == Overwrite::No)
      fail(ErrorCode::AlreadyExists, "{}: exists already and is not overwritten", path.string());
    if (error != 0) fail_io(path, "rename to", error);
  } catch (...) {
    ::unlinkat(folder, temporary.c_str(), 0);
    throw;
  }
}

constexpr int to_folder = O_PATH | O_DIRECTORY | O_CLOEXEC;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The folder of `name` beneath `root`, opened part by part. With `create` missing ones are made;
/// without, the result is closed where one is missing.
Descriptor open_beneath(int root, const fs::path& shown_root, const fs::path& name, bool create) {
  Descriptor folder(::openat(root, ".", to_folder));
  if (folder.fd < 0) fail_io(shown_root, "open", errno);
  auto shown = shown_root;
  for (const auto& part : name.parent_path()) {
    shown /= part;
    const char* const child = part.c_str();
    Descriptor next(::openat(folder.fd, child, to_folder | O_NOFOLLOW));
    if (next.fd < 0 && errno == ENOENT) {
      if (!create) return next;
      if (::mkdirat(folder.fd, child, 0777) != 0 && errno != EEXIST)
        fail_io(shown, "create the folder", errno);
      next = Descriptor(::openat(folder.fd, child, to_folder | O_NOFOLLOW));
    }
    if (next.fd < 0) {
      const int error = errno;
      struct stat info {};
      if (::fstatat(folder.fd, child, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
        fail(ErrorCode::InvalidArgument, "{}: is a link; nothing is written through links",
             shown.string());
      fail_io(shown, "open the folder", error);
    }
    folder = std::move(next);
  }
  return folder;
}

/// Whether this process has not asked before of the folder: what was abandoned is looked for once,
/// or every file would take as long as the folder is full.
bool is_first_here(int folder) {
  static std::mutex mutex;
  static std::set<std::pair<dev_t, ino_t>> seen;
  struct stat info {};
  if (::fstat(folder, &info) != 0) return true;
  const std::lock_guard lock(mutex);
  return seen.emplace(info.st_dev, info.st_ino).second;
}

/// SHA-256 in pieces. OpenSSL's, since it uses the processor's instructions for it: of a model of 8
/// MB a portable one takes longer than the network.
class Sha256 {
 public:
  Sha256() { require(state_ && EVP_DigestInit_ex(state_.get(), EVP_sha256(), nullptr)); }
  void add(std::span<const std::uint8_t> bytes) {
    require(EVP_DigestUpdate(state_.get(), bytes.data(), bytes.size()));
  }
  std::string hex() {
    std::array<unsigned char, 32> digest;
    require(EVP_DigestFinal_ex(state_.get(), digest.data(), nullptr));
    return fmt::format("{:02x}", fmt::join(digest, ""));
  }

 private:
  static void require(bool done) {
    if (!done) fail(ErrorCode::Unsupported, "OpenSSL computes no SHA-256 on this machine");
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> state_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

}  // namespace

std::vector<std::uint8_t> read_file(const fs::path& path, std::uint64_t max_bytes) {
  return read_all<std::vector<std::uint8_t>>(path, max_bytes);
}

std::string read_text(const fs::path& path, std::uint64_t max_bytes) {
  return read_all<std::string>(path, max_bytes);
}

void write_file(const fs::path& path, std::span<const std::uint8_t> bytes, Overwrite overwrite,
                Access access) {
  if (path.filename().empty() || path.filename() == "." || path.filename() == "..")
    fail(ErrorCode::InvalidArgument, "\"{}\" names no file; allowed is a file's path",
         path.string());
  const auto parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code cause;
  fs::create_directories(parent, cause);
  if (cause) fail_io(path, "create the folder of", cause.value());
  const Descriptor folder(::open(parent.c_str(), to_folder));
  if (folder.fd < 0) fail_io(path, "create in its folder", errno);
  if (is_first_here(folder.fd)) remove_abandoned(folder.fd);
  write_in(folder.fd, path.filename().string(), path, bytes, overwrite, access, Flush::Yes);
  // Makes the new name itself durable; not every file system can, and the content is safe either
  // way.
  const Descriptor readable(::openat(folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable.fd >= 0) ::fsync(readable.fd);
}

void write_file(const fs::path& path, std::string_view text, Overwrite overwrite, Access access) {
  write_file(path, bytes_of(text), overwrite, access);
}

OutputFolder::OutputFolder(const fs::path& path) : path_(path) {
  std::error_code cause;
  fs::create_directories(path, cause);
  if (cause) fail_io(path, "create the folder", cause.value());
  fd_ = ::open(path.c_str(), to_folder);
  if (fd_ < 0) fail_io(path, "open the folder", errno);
}

OutputFolder::~OutputFolder() {
  if (fd_ >= 0) ::close(fd_);
}

void OutputFolder::write(const fs::path& name, std::span<const std::uint8_t> bytes,
                         Overwrite overwrite) const {
  check_name(name, path_.string());
  const auto folder = open_beneath(fd_, path_, name, /*create=*/true);
  {
    const std::lock_guard lock(mutex_);
    if (cleaned_.insert(name.parent_path()).second) remove_abandoned(folder.fd);
  }
  write_in(folder.fd, name.filename().string(), path_ / name, bytes, overwrite, Access::Default,
           Flush::No);
}

void OutputFolder::write(const fs::path& name, std::string_view text, Overwrite overwrite) const {
  write(name, bytes_of(text), overwrite);
}

bool OutputFolder::contains(const fs::path& name) const {
  check_name(name, path_.string());
  const auto folder = open_beneath(fd_, path_, name, /*create=*/false);
  struct stat info {};
  return folder.fd >= 0 &&
         ::fstatat(folder.fd, name.filename().c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

bool OutputFolder::would_replace(const fs::path& name, const fs::path& file) const {
  check_name(name, path_.string());
  const auto folder = open_beneath(fd_, path_, name, /*create=*/false);
  struct stat there {
  }, given{};
  return folder.fd >= 0 &&
         ::fstatat(folder.fd, name.filename().c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::stat(file.c_str(), &given) == 0 && there.st_dev == given.st_dev &&
         there.st_ino == given.st_ino;
}

void OutputFolder::flush() const {
  const Descriptor readable(::openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable.fd < 0 || ::syncfs(readable.fd) != 0) fail_io(path_, "flush", errno);
}

void check_name(const fs::path& name, std::string_view what) {
  const auto& text = name.native();
  const auto refuse = [&](std::string_view why) {
    fail(ErrorCode::InvalidArgument, "{}: '{}' is no name for a file in an output folder: {}", what,
         printable(text), why);
  };
  if (text.empty()) refuse("it is empty");
  if (name.is_absolute()) refuse("it begins with '/'");
  for (const auto& part : name)
    if (part.empty() || part == "." || part == "..")
      refuse("it has a part '" + part.string() + "'");
  for (const unsigned char c : text)
    if (c < 0x20 || c == 0x7f) refuse("it holds a control character");
}

std::string sha256_hex(std::span<const std::span<const std::uint8_t>> parts) {
  Sha256 hash;
  for (const auto part : parts) hash.add(part);
  return hash.hex();
}

std::string sha256_hex(std::span<const std::uint8_t> bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.hex();
}

std::string sha256_file(const fs::path& path) {
  Sha256 hash;
  std::vector<std::uint8_t> piece(1u << 20);
  read_pieces(
      path, std::numeric_limits<std::uint64_t>::max(),
      [&](std::uint64_t) { return std::span(piece); },
      [&](std::span<const std::uint8_t> bytes) { hash.add(bytes); });
  return hash.hex();
}

}  // namespace veilnet
