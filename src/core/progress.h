// Progress with an ETA on a terminal, plain lines otherwise; the machine-readable log.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

namespace veilnet {

/// Shows "train h  epoch 3/20  [####....] 1234/5000  412 img/s  ETA 02:10  loss 1.23" on stderr. On
/// a terminal it redraws one line; otherwise it prints a line at most every 10 s and at the end.
class Progress {
 public:
  /// @param unit what a step counts, for the rate.
  Progress(std::string title, std::uint64_t total_steps, std::uint64_t start_step = 0,
           std::string unit = "img");
  /// Whether progress is shown at all; it is, unless this says no.
  static void show(bool on);
  ~Progress();  ///< shows the last step if it was not shown yet, and ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Takes the line off a terminal, so that another may be printed; the next update draws it again.
  void clear();
  /// @param note short text appended, for instance the loss.
  void update(std::uint64_t step, const std::string& note);

 private:
  void print();

  std::string title_, unit_, note_;
  std::uint64_t total_, start_, step_;
  std::chrono::steady_clock::time_point begin_, last_print_;
  bool terminal_;
  bool pending_ = false;  ///< the last step is not on the screen
  bool printed_ = false;
};

/// The line that Progress shows. Rate and ETA come from the steps since `start`; before the first
/// one they are unknown.
std::string progress_line(const std::string& title, std::uint64_t step, std::uint64_t start,
                          std::uint64_t total, double elapsed_seconds, const std::string& unit,
                          const std::string& note);

/// Appends one JSON object per line to a file and flushes after each. Opening an existing file
/// removes a torn last line.
class JsonLog {
 public:
  /// Creates missing parent folders. @throws Error{Io} if the file cannot be opened.
  explicit JsonLog(const std::filesystem::path& path);
  /// @throws Error{InvalidArgument} if the text holds a line break, Error{Io} if writing fails.
  void write(const std::string& json_object);

 private:
  std::filesystem::path path_;
  std::ofstream out_;
};

/// Physical cores this process may run on (affinity and SMT siblings taken into account), at
/// least 1.
int physical_cores();
/// Of the whole machine, whatever this process is confined to.
int machine_cores();
/// As physical_cores, for these CPUs and a folder laid out like /sys/devices/system/cpu. A CPU of
/// unknown siblings counts as a core.
int physical_cores(std::span<const int> cpus, const std::filesystem::path& topology);

}  // namespace veilnet
