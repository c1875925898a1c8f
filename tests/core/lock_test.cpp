#include "core/lock.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <optional>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "core/files.h"
#include "support.h"

namespace veilnet {
namespace {

using test::expect_error;
using test::TemporaryFolder;

TEST(FileLock, RefusesASecondHolderAndNamesTheFirst) {
  const TemporaryFolder folder;
  const auto path = folder / "run/lock";
  std::optional<FileLock> first(path);
  expect_error(
      ErrorCode::AlreadyExists,
      {(folder / "run").string() + " is in use by process " + std::to_string(::getpid()) + ";"},
      [&] { FileLock second(path); });
  first.reset();
  EXPECT_FALSE(std::filesystem::exists(path)) << "nothing is left behind";
  EXPECT_NO_THROW(FileLock again(path));
}

TEST(FileLock, AnotherProcessHoldsIt) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FileLock lock(folder / "lock");
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  expect_error(ErrorCode::AlreadyExists, {"in use by process " + std::to_string(child)},
               [&] { FileLock lock(folder / "lock"); });
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(std::filesystem::exists(folder / "lock"));
  EXPECT_NO_THROW(FileLock lock(folder / "lock")) << "a killed process leaves nothing locked";
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(FileLock, NamesTheHostWhereItIsAnother) {
  const TemporaryFolder folder;
  const FileLock lock(folder / "lock");
  const auto rewrite = [&](const std::string& text) {  // in place: the lock is on this very file
    std::FILE* file = std::fopen((folder / "lock").c_str(), "w");
    std::fputs(text.c_str(), file);
    std::fclose(file);
  };
  rewrite("17 elsewhere\n");
  expect_error(ErrorCode::AlreadyExists, {"process 17 on elsewhere;"},
               [&] { FileLock second(folder / "lock"); });
  for (const std::string text : {"", "17", "17 \x1b[31m"}) {
    rewrite(text);
    expect_error(ErrorCode::AlreadyExists, {"in use by another process"},
                 [&] { FileLock second(folder / "lock"); });
  }
  rewrite("17 \x1b[31m\n");
  expect_error(ErrorCode::AlreadyExists, {"process 17 on \\x1B[31m"},
               [&] { FileLock second(folder / "lock"); });
}

TEST(FileLock, OnlyOneOfManyHoldsItAtATime) {
  const TemporaryFolder folder;
  std::atomic<int> holders{0}, taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        try {
          const FileLock lock(folder / "lock");
          EXPECT_EQ(++holders, 1);
          ++taken;
          --holders;
        } catch (const Error& e) {
          EXPECT_EQ(e.code(), ErrorCode::AlreadyExists);
        }
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_GE(taken, 4);
}

TEST(FileLock, MovesKeepIt) {
  const TemporaryFolder folder;
  std::optional<FileLock> kept;
  {
    FileLock lock(folder / "a");
    kept = std::move(lock);
  }
  expect_error(ErrorCode::AlreadyExists, {"in use"}, [&] { FileLock second(folder / "a"); });
  kept = FileLock(folder / "b");
  EXPECT_NO_THROW(FileLock again(folder / "a"));
}

TEST(FileLock, FollowsNoLink) {
  const TemporaryFolder folder;
  write_file(folder / "mine.txt", "notes", Overwrite::No);
  std::filesystem::create_symlink("mine.txt", folder / "lock");
  expect_error(ErrorCode::Io, {"/lock: cannot create"}, [&] { FileLock lock(folder / "lock"); });
  EXPECT_EQ(read_text(folder / "mine.txt"), "notes");
}

TEST(FileLock, FailureToCreateIsIo) {
  const TemporaryFolder folder;
  write_file(folder / "file", "", Overwrite::No);
  expect_error(ErrorCode::Io, {"file/lock", "cannot create"},
               [&] { FileLock lock(folder / "file/lock"); });
  std::filesystem::create_directory(folder / "folder");
  expect_error(ErrorCode::Io, {"/folder: cannot create"},
               [&] { FileLock lock(folder / "folder"); });
}

}  // namespace
}  // namespace veilnet
