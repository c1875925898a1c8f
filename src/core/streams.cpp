#include "core/streams.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <system_error>
#include <unistd.h>

#include "core/error.h"

namespace veilnet {

namespace {

[[noreturn]] void fail_io(const char* action, int cause) {
  fail(ErrorCode::Io, "standard {}: {}", action, std::generic_category().message(cause));
}

/// For a descriptor that somebody has made non-blocking.
void wait_until(int fd, short event) {
  pollfd ready{fd, event, 0};
  ::poll(&ready, 1, /*timeout_ms=*/100);
}

}  // namespace

void write_stdout(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EAGAIN) {
      wait_until(STDOUT_FILENO, POLLOUT);
    } else if (written < 0 && errno != EINTR) {
      fail_io("output: cannot write", errno);
    } else if (written > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
}

void write_stdout(std::string_view text) {
  write_stdout(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::vector<std::uint8_t> read_stdin(std::uint64_t max_bytes) {
  constexpr std::size_t piece = 1u << 16;
  std::vector<std::uint8_t> bytes;
  std::size_t size = 0;
  while (true) {
    if (bytes.size() - size < piece) bytes.resize(std::max(2 * bytes.size(), 2 * piece));
    const ssize_t got = ::read(STDIN_FILENO, bytes.data() + size, piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      wait_until(STDIN_FILENO, POLLIN);
      continue;
    }
    if (got < 0) fail_io("input: cannot read", errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > max_bytes)
      fail(ErrorCode::BadData, "standard input: has more than the {} bytes that are allowed",
           max_bytes);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace veilnet
