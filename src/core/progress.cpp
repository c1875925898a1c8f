#include "core/progress.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <numeric>
#include <sched.h>
#include <set>
#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "core/error.h"

namespace veilnet {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto redraw_interval = std::chrono::milliseconds(100);
constexpr auto line_interval = std::chrono::seconds(10);
bool bars_on = true;
constexpr const char* kTopology = "/sys/devices/system/cpu";

std::string duration_text(double seconds) {
  const auto total = static_cast<unsigned long long>(std::min(seconds, 3.6e9) + 0.5);
  char text[48];
  if (total < 3600)
    std::snprintf(text, sizeof text, "%02llu:%02llu", total / 60, total % 60);
  else
    std::snprintf(text, sizeof text, "%llu:%02llu:%02llu", total / 3600, total / 60 % 60,
                  total % 60);
  return text;
}

/// Columns of the terminal on stderr; 80 where it does not say.
std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

std::string progress_line(const std::string& title, std::uint64_t step, std::uint64_t start,
                          std::uint64_t total, double elapsed_seconds, const std::string& unit,
                          const std::string& note) {
  constexpr std::uint64_t bar_width = 20;
  std::string line = title + "  ";
  if (total > 0) {
    const double share = std::min(1.0, static_cast<double>(step) / static_cast<double>(total));
    const auto filled = static_cast<std::size_t>(share * bar_width);
    line.append("[").append(filled, '#').append(bar_width - filled, '.').append("] ");
  }
  line += std::to_string(step);
  if (total > 0) line.append("/").append(std::to_string(total));

  const double rate =
      step > start && elapsed_seconds > 0 ? static_cast<double>(step - start) / elapsed_seconds : 0;
  if (rate > 0) {
    char text[32];
    std::snprintf(text, sizeof text, rate < 10 ? "%.2f" : "%.0f", rate);
    line += std::string("  ") + text + " " + unit + "/s";
  }
  if (total > 0)
    line += "  ETA " + (step >= total ? "00:00"
                        : rate > 0    ? duration_text((total - step) / rate)
                                      : "--:--");
  if (!note.empty()) line += "  " + note;
  return line;
}

Progress::Progress(std::string title, std::uint64_t total_steps, std::uint64_t start_step,
                   std::string unit)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total_steps),
      start_(start_step),
      step_(start_step),
      begin_(Clock::now()),
      last_print_(begin_),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (pending_) print();
  if (terminal_ && printed_) std::fputc('\n', stderr);
}

void Progress::show(bool on) { bars_on = on; }

void Progress::update(std::uint64_t step, const std::string& note) {
  if (!bars_on) return;
  step_ = step;
  note_ = note;
  pending_ = true;
  const auto waited = Clock::now() - last_print_;
  if (step >= total_ ||
      (terminal_ ? !printed_ || waited >= redraw_interval : waited >= line_interval))
    print();
}

void Progress::clear() {
  if (!terminal_ || !printed_) return;
  std::fputs("\r\x1b[K", stderr);
  printed_ = false;
}

void Progress::print() {
  const auto now = Clock::now();
  auto line = progress_line(title_, step_, start_, total_,
                            std::chrono::duration<double>(now - begin_).count(), unit_, note_);
  if (terminal_) {
    if (line.size() >= terminal_columns())
      line.resize(terminal_columns() - 1);  // a wrapped line could not be redrawn
    std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
  last_print_ = now;
  pending_ = false;
  printed_ = true;
}

JsonLog::JsonLog(const std::filesystem::path& path) : path_(path) {
  const auto check = [&](const std::error_code& cause) {
    if (cause) fail(ErrorCode::Io, "{}: cannot open the log: {}", path.string(), cause.message());
  };
  std::error_code cause;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), cause);
  check(cause);
  if (std::filesystem::exists(path, cause)) {
    // A process that was killed may have left half a line: cut after the last line break.
    auto size = std::filesystem::file_size(path, cause);
    check(cause);
    std::ifstream in(path, std::ios::binary);
    const auto whole = size;
    std::vector<char> block;
    while (size > 0) {
      block.resize(static_cast<std::size_t>(std::min<std::uintmax_t>(size, 64 << 10)));
      in.seekg(static_cast<std::streamoff>(size - block.size()));
      if (!in.read(block.data(), static_cast<std::streamsize>(block.size())))
        fail(ErrorCode::Io, "{}: cannot read the log", path.string());
      const auto last = std::find(block.rbegin(), block.rend(), '\n');
      size -= static_cast<std::uintmax_t>(last - block.rbegin());
      if (last != block.rend()) break;
    }
    if (size != whole) std::filesystem::resize_file(path, size, cause);
    check(cause);
  }
  errno = 0;
  out_.open(path, std::ios::binary | std::ios::app);
  if (!out_) check({errno ? errno : EIO, std::generic_category()});
}

void JsonLog::write(const std::string& json_object) {
  if (json_object.find('\n') != json_object.npos)
    fail(ErrorCode::InvalidArgument, "{}: a log entry must be one line", path_.string());
  out_ << json_object + '\n' << std::flush;
  if (!out_) fail(ErrorCode::Io, "{}: cannot write to the log", path_.string());
}

int physical_cores(std::span<const int> cpus, const std::filesystem::path& topology) {
  std::set<std::string> cores;  // hyper-threads of one core show the same list
  for (const int cpu : cpus) {
    std::string siblings;
    std::ifstream in(topology / ("cpu" + std::to_string(cpu)) / "topology" /
                     "thread_siblings_list");
    if (!std::getline(in, siblings) || siblings.empty()) siblings = "cpu" + std::to_string(cpu);
    cores.insert(siblings);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

int physical_cores() {
  // The kernel refuses a set that is smaller than its own, so it grows until it fits.
  for (int count = CPU_SETSIZE; count <= 1 << 20; count *= 2) {
    std::vector<cpu_set_t> set(static_cast<std::size_t>(count / CPU_SETSIZE));
    const std::size_t bytes = set.size() * sizeof(cpu_set_t);
    if (::sched_getaffinity(0, bytes, set.data()) != 0) {
      if (errno == EINVAL) continue;
      break;
    }
    std::vector<int> cpus;
    for (int cpu = 0; cpu < count; ++cpu)
      if (CPU_ISSET_S(cpu, bytes, set.data())) cpus.push_back(cpu);
    return physical_cores(cpus, kTopology);
  }
  return 1;
}

int machine_cores() {
  std::vector<int> cpus(static_cast<std::size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))));
  std::iota(cpus.begin(), cpus.end(), 0);
  return physical_cores(cpus, kTopology);
}

}  // namespace veilnet
