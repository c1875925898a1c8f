#include "core/files.h"

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

#include "support.h"

namespace veilnet {
namespace {

using test::expect_error;
using test::TemporaryFolder;

std::size_t entries(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

unsigned mode_of(const std::filesystem::path& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(Files, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  std::vector<std::uint8_t> bytes(300'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  write_file(folder / "a.bin", bytes, Overwrite::No);
  EXPECT_EQ(read_file(folder / "a.bin", 300'000), bytes);
  EXPECT_EQ(entries(folder.path()), 1u) << "a temporary file was left behind";
}

TEST(Files, ReadsEmptyFiles) {
  const TemporaryFolder folder;
  write_file(folder / "empty", std::string_view(), Overwrite::No);
  EXPECT_TRUE(read_file(folder / "empty", 0).empty());
  EXPECT_EQ(read_text(folder / "empty"), "");
}

TEST(Files, ReadsFilesThatDoNotKnowTheirSize) {
  EXPECT_NE(read_text("/proc/self/status").find("Pid:"), std::string::npos);
}

TEST(Files, CreatesParentFolders) {
  const TemporaryFolder folder;
  write_file(folder / "a/b/c.txt", "text", Overwrite::No);
  EXPECT_EQ(read_text(folder / "a/b/c.txt"), "text");
}

TEST(Files, WritesIntoTheWorkingFolder) {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file("plain-name", "text", Overwrite::No);
  std::filesystem::current_path(before);
  EXPECT_EQ(read_text(folder / "plain-name"), "text");
}

TEST(Files, MissingFileIsNotFound) {
  const TemporaryFolder folder;
  expect_error(ErrorCode::NotFound, {"gone.bin", "no such file"},
               [&] { read_file(folder / "gone.bin", 10); });
  write_file(folder / "file", "x", Overwrite::No);
  expect_error(ErrorCode::NotFound, {"file/below"},
               [&] { read_file(folder / "file" / "below", 10); });
}

TEST(Files, FolderAndPipeAreNotRegularFiles) {
  const TemporaryFolder folder;
  expect_error(ErrorCode::BadData, {folder.path().string(), "not a regular file"},
               [&] { read_file(folder.path(), 10); });
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_error(ErrorCode::BadData, {"pipe", "not a regular file"},
               [&] { read_file(folder / "pipe", 10); });
}

TEST(Files, RefusesMoreThanTheLimit) {
  const TemporaryFolder folder;
  write_file(folder / "big", std::string(11, 'x'), Overwrite::No);
  expect_error(ErrorCode::BadData, {"big", "11 bytes", "at most 10"},
               [&] { read_file(folder / "big", 10); });
  EXPECT_EQ(read_file(folder / "big", 11).size(), 11u);
  expect_error(ErrorCode::BadData, {"/proc/self/status", "at most 10"},
               [&] { read_text("/proc/self/status", 10); });
}

TEST(Files, NeverOverwritesUnasked) {
  const TemporaryFolder folder;
  write_file(folder / "a", "first", Overwrite::No);
  expect_error(ErrorCode::AlreadyExists, {"/a", "exists already"},
               [&] { write_file(folder / "a", "second", Overwrite::No); });
  EXPECT_EQ(read_text(folder / "a"), "first");
  EXPECT_EQ(entries(folder.path()), 1u);
  write_file(folder / "a", "second", Overwrite::Yes);
  EXPECT_EQ(read_text(folder / "a"), "second");
}

TEST(Files, OneOfManyConcurrentWritersWins) {
  const TemporaryFolder folder;
  std::atomic<int> won{0}, refused{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i)
    writers.emplace_back([&, i] {
      try {
        write_file(folder / "one", std::string(1000, static_cast<char>('a' + i)), Overwrite::No);
        ++won;
      } catch (const Error& e) {
        if (e.code() == ErrorCode::AlreadyExists) ++refused;
      }
    });
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(refused, 7);
  const auto text = read_text(folder / "one");
  EXPECT_EQ(text, std::string(1000, text.at(0)));
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(Files, NewFilesFollowTheUmaskAndPrivateOnesStayPrivate) {
  const TemporaryFolder folder;
  const auto before = ::umask(0027);
  write_file(folder / "new", "x", Overwrite::No);
  ::umask(before);
  EXPECT_EQ(mode_of(folder / "new"), 0640u);
  ASSERT_EQ(::chmod((folder / "new").c_str(), 0600), 0);
  write_file(folder / "new", "y", Overwrite::Yes);
  EXPECT_EQ(mode_of(folder / "new"), 0600u);
  write_file(folder / "secret", "1", Overwrite::No, Access::OwnerOnly);
  EXPECT_EQ(mode_of(folder / "secret"), 0600u);
  ASSERT_EQ(::chmod((folder / "secret").c_str(), 0644), 0);
  write_file(folder / "secret", "2", Overwrite::Yes, Access::OwnerOnly);
  EXPECT_EQ(mode_of(folder / "secret"), 0600u);
}

TEST(Files, FailureToCreateIsIo) {
  const TemporaryFolder folder;
  write_file(folder / "file", "x", Overwrite::No);
  expect_error(ErrorCode::Io, {"file/below", "cannot create"},
               [&] { write_file(folder / "file" / "below", "x", Overwrite::No); });
  std::filesystem::create_directory(folder / "folder");
  expect_error(ErrorCode::Io, {"/folder", "cannot rename"},
               [&] { write_file(folder / "folder", "x", Overwrite::Yes); });
  EXPECT_EQ(entries(folder.path()), 2u);
}

TEST(Files, FailureToWriteIsIoAndRemovesTheTemporary) {
  const TemporaryFolder folder;
  write_file(folder / "kept", "old", Overwrite::No);
  // A size limit is the one failure of write() that root cannot escape.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_error(ErrorCode::Io, {"kept", "cannot write"},
               [&] { write_file(folder / "kept", std::string(100'000, 'x'), Overwrite::Yes); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(read_text(folder / "kept"), "old");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(Sha256, MatchesThePublishedExamples) {
  EXPECT_EQ(sha256_hex(bytes_of("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, HashesTheConcatenationOfParts) {
  const std::span<const std::uint8_t> parts[] = {bytes_of("a"), {}, bytes_of("bc")};
  EXPECT_EQ(sha256_hex(std::span<const std::span<const std::uint8_t>>(parts)),
            sha256_hex(bytes_of("abc")));
}

}  // namespace
}  // namespace veilnet
