#include "core/streams.h"

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "core/files.h"
#include "core/signals.h"
#include "support.h"

namespace veilnet {
namespace {

using test::expect_error;
using test::TemporaryFolder;

/// Puts a descriptor in the place of a standard one for as long as it lives.
class Redirect {
 public:
  Redirect(int standard, int fd) : standard_(standard), kept_(::dup(standard)) {
    ::dup2(fd, standard);
  }
  ~Redirect() {
    ::dup2(kept_, standard_);
    ::close(kept_);
  }

 private:
  int standard_, kept_;
};

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  void close_read() { close_end(read_end); }
  void close_write() { close_end(write_end); }

 private:
  static void close_end(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

TEST(Stdout, WritesEverything) {
  const TemporaryFolder folder;
  std::vector<std::uint8_t> bytes(1'000'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  Pipe pipe;
  ::fcntl(pipe.write_end, F_SETFL, O_NONBLOCK);  // parts only, and often none
  std::vector<std::uint8_t> seen;
  std::thread reader([&] {
    std::uint8_t piece[4096];
    for (ssize_t got; (got = ::read(pipe.read_end, piece, sizeof piece)) > 0;)
      seen.insert(seen.end(), piece, piece + got);
  });
  {
    const Redirect output(STDOUT_FILENO, pipe.write_end);
    write_stdout(bytes);
    write_stdout("end");
  }
  pipe.close_write();
  reader.join();
  ASSERT_EQ(seen.size(), bytes.size() + 3);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), seen.begin()));
}

TEST(Stdout, FullDiskIsIo) {
  const int full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  const Redirect output(STDOUT_FILENO, full);
  expect_error(ErrorCode::Io, {"standard output: cannot write"}, [] { write_stdout("x"); });
  EXPECT_NO_THROW(write_stdout(""));
  ::close(full);
}

TEST(Stdout, ClosedPipeIsIo) {
  Pipe pipe;
  pipe.close_read();
  const Redirect output(STDOUT_FILENO, pipe.write_end);
  const auto before = std::signal(SIGPIPE, SIG_DFL);
  install_interrupt_handler();
  expect_error(ErrorCode::Io, {"standard output: cannot write"}, [] { write_stdout("x"); });
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
  std::signal(SIGPIPE, before);
}

TEST(Stdin, ReadsToTheEnd) {
  Pipe pipe;
  std::vector<std::uint8_t> bytes(300'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  std::thread writer([&] {
    EXPECT_EQ(::write(pipe.write_end, bytes.data(), bytes.size()), ssize_t(bytes.size()));
    pipe.close_write();
  });
  const Redirect input(STDIN_FILENO, pipe.read_end);
  EXPECT_EQ(read_stdin(300'000), bytes);
  writer.join();
  EXPECT_TRUE(read_stdin(0).empty());
}

TEST(Stdin, StopsAtTheLimit) {
  const int zero = ::open("/dev/zero", O_RDONLY);  // has no end
  ASSERT_GE(zero, 0);
  const Redirect input(STDIN_FILENO, zero);
  expect_error(ErrorCode::BadData, {"standard input", "more than the 1000 bytes"},
               [] { read_stdin(1000); });
  ::close(zero);
}

TEST(Stdin, AnInterruptEndsTheWaiting) {
  Pipe pipe;  // nothing is ever written to it
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe.read_end, STDIN_FILENO);
    install_interrupt_handler();
    read_stdin(1000);
    ::_exit(2);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto begin = std::chrono::steady_clock::now();
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(Stdin, FailureIsIo) {
  const TemporaryFolder folder;
  const int directory = ::open(folder.path().c_str(), O_RDONLY);
  const Redirect input(STDIN_FILENO, directory);
  expect_error(ErrorCode::Io, {"standard input: cannot read"}, [] { read_stdin(10); });
  ::close(directory);
}

}  // namespace
}  // namespace veilnet
