#include "core/progress.h"

#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

#include "core/files.h"
#include "support.h"

namespace veilnet {
namespace {

using test::expect_error;
using test::TemporaryFolder;

TEST(ProgressLine, ShowsEverything) {
  EXPECT_EQ(
      progress_line("train h  epoch 3/20", 1000, 0, 4000, 10, "img", "loss 1.23"),
      "train h  epoch 3/20  [#####...............] 1000/4000  100 img/s  ETA 00:30  loss 1.23");
}

TEST(ProgressLine, StartAndEnd) {
  EXPECT_EQ(progress_line("t", 0, 0, 10, 0, "img", ""),
            "t  [....................] 0/10  ETA --:--");
  EXPECT_EQ(progress_line("t", 10, 0, 10, 4, "step", ""),
            "t  [####################] 10/10  2.50 step/s  ETA 00:00");
  EXPECT_EQ(progress_line("t", 12, 0, 10, 4, "step", ""),
            "t  [####################] 12/10  3.00 step/s  ETA 00:00");
}

TEST(ProgressLine, RateCountsFromTheStart) {
  EXPECT_EQ(progress_line("t", 600, 500, 1000, 10, "img", ""),
            "t  [############........] 600/1000  10 img/s  ETA 00:40");
}

TEST(ProgressLine, UnknownTotalAndLongTimes) {
  EXPECT_EQ(progress_line("t", 5, 0, 0, 1, "img", "n"), "t  5  5.00 img/s  n");
  EXPECT_NE(progress_line("t", 1, 0, 3601, 1, "img", "").find("ETA 1:00:00"), std::string::npos);
  EXPECT_NE(progress_line("t", 1, 0, ~0ull, 1e9, "img", "").find("ETA 1000000:00:00"),
            std::string::npos);
}

TEST(Progress, PrintsOneLineAtTheEndWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("t", 3);
    for (std::uint64_t step = 1; step <= 3; ++step)
      progress.update(step, "loss " + std::to_string(step));
  }
  const auto text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_NE(text.find("3/3"), std::string::npos);
  EXPECT_NE(text.find("loss 3\n"), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(Progress, ShowsTheLastStepWhenStoppedEarly) {
  testing::internal::CaptureStderr();
  {
    Progress progress("t", 100);
    progress.update(41, "");
    progress.update(42, "");
  }
  const auto text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("42/100"), std::string::npos);
  EXPECT_EQ(text.find("41/100"), std::string::npos);
}

TEST(Progress, SaysNothingWhenNothingHappened) {
  testing::internal::CaptureStderr();
  { Progress progress("t", 100); }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Progress, RedrawsOneLineOfATerminal) {
  int master = -1, slave = -1;
  winsize size{24, 40, 0, 0};
  if (::openpty(&master, &slave, nullptr, nullptr, &size) != 0)
    GTEST_SKIP() << "no pseudo-terminal is to be had here";
  const int saved = ::dup(STDERR_FILENO);
  bool soon = false;
  ::dup2(slave, STDERR_FILENO);
  {
    Progress progress("title", 10);
    const auto begin = std::chrono::steady_clock::now();
    progress.update(1, "a note that is much longer than the terminal is wide");
    progress.update(2, "");  // too soon to redraw, unless this process was kept waiting
    soon = std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(100);
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    progress.update(3, "");
  }
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  // What was written arrives in pieces; the line break comes last.
  std::string text;
  for (pollfd waiting{master, POLLIN, 0};
       !text.ends_with('\n') && ::poll(&waiting, 1, 10'000) > 0;) {
    char buffer[4096];
    const auto got = ::read(master, buffer, sizeof buffer);
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(master);
  ::close(slave);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.substr(0, 6), "\rtitle");
  EXPECT_NE(text.find("] 1/10"), std::string::npos);
  if (soon) {
    EXPECT_EQ(text.find("] 2/10"), std::string::npos);
  }
  EXPECT_NE(text.find("] 3/10"), std::string::npos);
  EXPECT_EQ(text.find("wide"), std::string::npos) << "the line would wrap";
}

TEST(JsonLog, AppendsLines) {
  const TemporaryFolder folder;
  {
    JsonLog log(folder / "run/log.jsonl");
    log.write(R"({"step":1})");
    EXPECT_EQ(read_text(folder / "run/log.jsonl"), "{\"step\":1}\n") << "each line is flushed";
  }
  JsonLog(folder / "run/log.jsonl").write(R"({"step":2})");
  EXPECT_EQ(read_text(folder / "run/log.jsonl"), "{\"step\":1}\n{\"step\":2}\n");
}

TEST(JsonLog, RemovesATornLastLine) {
  const TemporaryFolder folder;
  const std::string torn(200'000, 'x');  // longer than any buffer it might be looked for in
  for (const std::string whole : {"", "{\"a\":1}\n", "{\"a\":1}\n{\"b\":2}\n"})
    for (const std::string& tail : {std::string(), std::string("{\"c\""), torn}) {
      write_file(folder / "log", whole + tail, Overwrite::Yes);
      JsonLog(folder / "log").write("{}");
      EXPECT_EQ(read_text(folder / "log"), whole + "{}\n");
    }
}

TEST(JsonLog, RefusesLineBreaks) {
  const TemporaryFolder folder;
  JsonLog log(folder / "log");
  expect_error(ErrorCode::InvalidArgument, {"/log", "one line"}, [&] { log.write("{\n}"); });
  EXPECT_EQ(read_text(folder / "log"), "");
}

TEST(JsonLog, FailuresAreIo) {
  const TemporaryFolder folder;
  expect_error(ErrorCode::Io, {folder.path().string(), "cannot open the log"},
               [&] { JsonLog log(folder.path()); });
  write_file(folder / "file", "", Overwrite::No);
  expect_error(ErrorCode::Io, {"file/log", "cannot open the log"},
               [&] { JsonLog log(folder / "file" / "log"); });
}

/// A folder like /sys/devices/system/cpu.
void write_siblings(const TemporaryFolder& folder, int cpu, const std::string& list) {
  write_file(folder / ("cpu" + std::to_string(cpu)) / "topology/thread_siblings_list", list + "\n",
             Overwrite::No);
}

TEST(PhysicalCores, CountsHyperThreadsOnce) {
  const TemporaryFolder folder;
  for (int cpu = 0; cpu < 8; ++cpu)
    write_siblings(folder, cpu, std::to_string(cpu % 4) + "," + std::to_string(cpu % 4 + 4));
  const int all[] = {0, 1, 2, 3, 4, 5, 6, 7}, one_core[] = {1, 5}, three[] = {0, 1, 4, 6};
  EXPECT_EQ(physical_cores(all, folder.path()), 4);
  EXPECT_EQ(physical_cores(one_core, folder.path()), 1);
  EXPECT_EQ(physical_cores(three, folder.path()), 3);
}

TEST(PhysicalCores, CountsEveryCpuWhereThereIsOneThreadPerCore) {
  const TemporaryFolder folder;
  for (int cpu = 0; cpu < 3; ++cpu) write_siblings(folder, cpu, std::to_string(cpu));
  const int all[] = {0, 1, 2};
  EXPECT_EQ(physical_cores(all, folder.path()), 3);
}

TEST(PhysicalCores, CountsCpusOfUnknownTopology) {
  const TemporaryFolder folder;
  write_siblings(folder, 1, "");
  const int all[] = {0, 1, 2};
  EXPECT_EQ(physical_cores(all, folder.path()), 3);
  EXPECT_EQ(physical_cores(std::span<const int>(), folder.path()), 1);
}

TEST(PhysicalCores, FollowsTheAffinity) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  const int cores = physical_cores();
  EXPECT_GE(cores, 1);
  EXPECT_LE(cores, CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(physical_cores(), 1);
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace veilnet
