#include "core/output_folder.h"

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "core/hash.h"
#include "support.h"

namespace veilnet {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::TemporaryFolder;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

TEST(OutputFolder, WritesBeneathItself) {
  const TemporaryFolder folder;
  const OutputFolder out(folder / "new/out");
  out.write("a.txt", "1", Overwrite::No);
  out.write("sub/deep/b.txt", "2", Overwrite::No);
  out.write("sub/caf\xe9 \xe5\x86\x99.txt", "3", Overwrite::No);
  out.flush();
  EXPECT_EQ(read_text(folder / "new/out/a.txt"), "1");
  EXPECT_EQ(read_text(folder / "new/out/sub/deep/b.txt"), "2");
  EXPECT_EQ(read_text(folder / "new/out/sub/caf\xe9 \xe5\x86\x99.txt"), "3");
  EXPECT_EQ(entries(folder / "new/out"), 2u) << "a temporary file was left behind";
  EXPECT_TRUE(out.contains("sub/deep/b.txt"));
  EXPECT_TRUE(out.contains("sub/deep"));
  EXPECT_FALSE(out.contains("sub/other/b.txt"));
  EXPECT_FALSE(fs::exists(folder / "new/out/sub/other")) << "asking creates nothing";
}

TEST(OutputFolder, NeverOverwritesUnasked) {
  const TemporaryFolder folder;
  const OutputFolder out(folder.path());
  out.write("a", "first", Overwrite::No);
  expect_error(ErrorCode::AlreadyExists, {"/a", "exists already"},
               [&] { out.write("a", "second", Overwrite::No); });
  EXPECT_EQ(read_text(folder / "a"), "first");
  out.write("a", "second", Overwrite::Yes);
  EXPECT_EQ(read_text(folder / "a"), "second");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(OutputFolder, RefusesNamesThatLeadOut) {
  const TemporaryFolder folder;
  const OutputFolder out(folder / "out");
  for (const std::string name : {"", "/absolute", "..", "../up", "a/../../up", "a/..", ".", "./a",
                                 "a/", "a//b/", "a\nb", "a\x1b[31m", "a\x7f"}) {
    SCOPED_TRACE(name);
    expect_error(ErrorCode::InvalidArgument, {"out: '", "is no name for a file"},
                 [&] { out.write(name, "x", Overwrite::Yes); });
    expect_error(ErrorCode::InvalidArgument, {"is no name"}, [&] { out.contains(name); });
    expect_error(ErrorCode::InvalidArgument, {"meta.txt:3: '"},
                 [&] { check_name(name, "meta.txt:3"); });
  }
  EXPECT_EQ(entries(folder / "out"), 0u);
  EXPECT_EQ(entries(folder.path()), 1u);
  for (const std::string name : {"a", "..a", "a..", "...", ".hidden", "a b/c"})
    EXPECT_NO_THROW(check_name(name, "x")) << name;
}

TEST(OutputFolder, FollowsNoLinkInside) {
  const TemporaryFolder folder;
  write_file(folder / "kept/a.png", "original", Overwrite::No);
  const OutputFolder out(folder / "out");
  fs::create_symlink("../kept", folder / "out/sub");
  fs::create_symlink("../kept/a.png", folder / "out/a.png");
  fs::create_symlink("../kept/new.png", folder / "out/new.png");
  for (const auto overwrite : {Overwrite::No, Overwrite::Yes})
    for (const std::string name : {"sub/a.png", "sub/b.png", "sub/deep/b.png"})
      expect_error(ErrorCode::InvalidArgument, {"out/sub: is a link"},
                   [&] { out.write(name, "x", overwrite); });
  expect_error(ErrorCode::InvalidArgument, {"is a link"}, [&] { out.contains("sub/a.png"); });
  for (const std::string name : {"a.png", "new.png"}) {
    EXPECT_TRUE(out.contains(name));
    expect_error(ErrorCode::AlreadyExists, {name}, [&] { out.write(name, "x", Overwrite::No); });
    out.write(name, "written", Overwrite::Yes);
    EXPECT_FALSE(fs::is_symlink(folder / ("out/" + name))) << "the link itself is replaced";
    EXPECT_EQ(read_text(folder / ("out/" + name)), "written");
  }
  EXPECT_EQ(read_text(folder / "kept/a.png"), "original");
  EXPECT_EQ(entries(folder / "kept"), 1u);
}

TEST(OutputFolder, MayItselfBeReachedOverALink) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "disk");
  fs::create_symlink("disk", folder / "out");
  const OutputFolder out(folder / "out");
  out.write("a", "x", Overwrite::No);
  EXPECT_EQ(read_text(folder / "disk/a"), "x");
}

TEST(OutputFolder, StaysWhereItWasOpened) {
  const TemporaryFolder folder;
  const OutputFolder out(folder / "out");
  fs::rename(folder / "out", folder / "moved");
  fs::create_directory(folder / "other");
  fs::create_symlink("other", folder / "out");
  out.write("a", "x", Overwrite::No);
  EXPECT_EQ(entries(folder / "other"), 0u);
  EXPECT_EQ(read_text(folder / "moved/a"), "x");
}

TEST(OutputFolder, KnowsAnInputThatItWouldReplace) {
  const TemporaryFolder folder;
  write_file(folder / "in/a.png", "plain", Overwrite::No);
  fs::create_symlink("in/a.png", folder / "link.png");
  const OutputFolder out(folder / "in");
  EXPECT_TRUE(out.would_replace("a.png", folder / "in/a.png"));
  EXPECT_TRUE(out.would_replace("a.png", folder / "link.png"));
  EXPECT_FALSE(out.would_replace("b.png", folder / "in/a.png"));
  const OutputFolder other(folder / "out");
  other.write("a.png", "x", Overwrite::No);
  EXPECT_FALSE(other.would_replace("a.png", folder / "in/a.png"));
  EXPECT_FALSE(other.would_replace("sub/a.png", folder / "in/a.png"));
}

TEST(OutputFolder, FailuresAreIo) {
  const TemporaryFolder folder;
  write_file(folder / "file", "x", Overwrite::No);
  expect_error(ErrorCode::Io, {"file/out", "cannot create the folder"},
               [&] { OutputFolder out(folder / "file/out"); });
  expect_error(ErrorCode::Io, {"/file: cannot "}, [&] { OutputFolder out(folder / "file"); });
  const OutputFolder out(folder.path());
  expect_error(ErrorCode::Io, {"/file: cannot open the folder"},
               [&] { out.write("file/a", "x", Overwrite::No); });
  fs::create_directory(folder / "folder");
  expect_error(ErrorCode::Io, {"/folder", "cannot rename"},
               [&] { out.write("folder", "x", Overwrite::Yes); });
  EXPECT_EQ(entries(folder.path()), 2u);
}

TEST(OutputFolder, SeveralThreadsWrite) {
  const TemporaryFolder folder;
  const OutputFolder out(folder.path());
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i)
    writers.emplace_back([&, i] {
      for (int j = 0; j < 50; ++j)
        out.write("d" + std::to_string(j) + "/" + std::to_string(i), "x", Overwrite::No);
    });
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(entries(folder.path()), 50u);
  for (int j = 0; j < 50; ++j) EXPECT_EQ(entries(folder / ("d" + std::to_string(j))), 4u);
}

TEST(Abandoned, TemporariesOfKilledProcessesAreRemoved) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "files");
  fs::create_directories(folder / "out/sub");
  const std::string left = ".veilnet-999999-0.tmp";
  for (const auto& name :
       {"files/" + left, "out/" + left, "out/sub/" + left, std::string("files/.veilnet-notes.tmp"),
        std::string("files/.veilnet-1.tmp.txt"), std::string("files/x.veilnet-1-1.tmp"),
        std::string("out/keep.tmp")})
    std::ofstream(folder / name) << "half";
  write_file(folder / "files/a", "x", Overwrite::No);
  const OutputFolder out(folder / "out");
  out.write("a", "x", Overwrite::No);
  out.write("sub/a", "x", Overwrite::No);
  EXPECT_EQ(entries(folder / "files"), 4u);
  EXPECT_FALSE(fs::exists(folder / ("files/" + left)));
  EXPECT_EQ(entries(folder / "out"), 3u);
  EXPECT_FALSE(fs::exists(folder / ("out/" + left)));
  EXPECT_EQ(entries(folder / "out/sub"), 1u);
}

TEST(Abandoned, WhatALiveProcessWritesIsKept) {
  const TemporaryFolder folder;
  const auto path = folder / ".veilnet-1-0.tmp";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  write_file(folder / "a", "x", Overwrite::No);
  EXPECT_TRUE(fs::exists(path));
  ::close(fd);
}

TEST(Abandoned, AProcessKilledWhileItWritesLeavesNothingForLong) {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> bytes(32 << 20);
  bool seen = false;
  for (int round = 0; round < 20 && !seen; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      const OutputFolder out(folder.path());
      while (true) out.write("big", bytes, Overwrite::Yes);
    }
    for (int i = 0; i < 2000 && !seen; ++i) {
      ::usleep(500);
      for (const auto& entry : fs::directory_iterator(folder.path()))
        seen = seen || entry.path().extension() == ".tmp";
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const OutputFolder out(folder.path());
    out.write("small", "x", Overwrite::Yes);
    for (const auto& entry : fs::directory_iterator(folder.path()))
      EXPECT_NE(entry.path().extension(), ".tmp");
    if (fs::exists(folder / "big")) {
      EXPECT_EQ(fs::file_size(folder / "big"), bytes.size());
    }
  }
  EXPECT_TRUE(seen) << "no process was killed while it wrote";
}

TEST(Sha256, HashesFilesInPieces) {
  const TemporaryFolder folder;
  std::vector<std::uint8_t> bytes((3u << 20) + 17);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 >> 3);
  write_file(folder / "a", bytes, Overwrite::No);
  EXPECT_EQ(sha256_file(folder / "a"), sha256_hex(bytes));
  write_file(folder / "empty", "", Overwrite::No);
  EXPECT_EQ(sha256_file(folder / "empty"), sha256_hex(std::span<const std::uint8_t>()));
  expect_error(ErrorCode::NotFound, {"gone"}, [&] { sha256_file(folder / "gone"); });
  expect_error(ErrorCode::BadData, {"not a regular file"}, [&] { sha256_file(folder.path()); });
}

}  // namespace
}  // namespace veilnet
