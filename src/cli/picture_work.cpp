#include "cli/picture_work.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fmt/format.h>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "cli/inputs.h"
#include "core/error.h"
#include "core/files.h"
#include "core/output_folder.h"
#include "core/progress.h"
#include "core/shard.h"
#include "core/signals.h"
#include "core/streams.h"
#include "core/text.h"
#include "image/folder.h"
#include "image/image.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using json = nlohmann::json;

// What goes through at once. A network is fast on some dozens of small pictures; large ones pass
// alone. A group fills the network once, so that the first is soon there, and has one for each
// thread that reads.
constexpr std::size_t kGroupPictures = 128;
constexpr std::size_t kGroupBytes = 64u << 20;
constexpr std::size_t kTogetherPixels = 1u << 20;
// A picture that is being worked on when a signal comes may take this long to end.
constexpr auto kGrace = 700ms;
constexpr std::size_t kErrorLines = 20;
// Single runs on two cores, 4,000 pictures, width 64: one after the other 15.8 s, beside the
// network 16.1 s at 0, 15.6 at 5, 15.1 at 10, 15.3 at 19.
constexpr int kBesideNice = 10;

std::string shown(const fs::path& path) { return printable(path.native(), 4096); }

/// Identity of a file, links followed.
using FileId = std::pair<dev_t, ino_t>;
std::optional<FileId> file_id(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileId{info.st_dev, info.st_ino};
}

/// Where the results go: a folder, one file or standard output.
class Output {
 public:
  Output(const PictureOptions& o, const std::string& suffix)
      : overwrite_(o.force ? Overwrite::Yes : Overwrite::No),
        over_empty_(o.skip_existing),
        path_(o.output) {
    std::error_code ignored;
    const bool one = o.inputs.size() == 1 && !fs::is_directory(o.inputs.front(), ignored);
    const bool piped = o.inputs == std::vector<std::string>{"-"};
    if (path_.empty() && !piped) {
      if (!one || suffix.empty())
        fail(ErrorCode::InvalidArgument,
             "--output is not set; give the folder for the pictures, or - for standard output");
      path_ = fs::path(o.inputs.front()).stem().concat("-" + suffix + ".png");
    }
    const bool picture = image::has_picture_extension(path_) && !fs::is_directory(path_, ignored);
    stdout_ = path_.empty() || path_ == "-";
    if (!one && (stdout_ || picture))
      fail(ErrorCode::InvalidArgument,
           "--output {} takes one picture, and more may come; give a folder", shown(path_));
    if (picture && path_.extension() != ".png" && path_.extension() != ".PNG")
      fail(ErrorCode::InvalidArgument,
           "--output {}: allowed is .png, or a folder, to which PNG files are written: lossy "
           "formats (JPEG, WebP) change values, and what they change cannot be classified as "
           "before, nor decrypted",
           shown(path_));
    if (stdout_ && ::isatty(STDOUT_FILENO))
      fail(ErrorCode::InvalidArgument,
           "a PNG file does not go to a terminal; give --output, or redirect standard output");
    file_ = stdout_ || picture;
  }

  /// Makes the folder, where it is one.
  void open() {
    if (!file_) folder_.emplace(path_);
  }
  /// The folder, be it there or not; empty where the results go elsewhere.
  fs::path folder() const { return file_ ? fs::path() : path_; }

  /// @throws Error{InvalidArgument} where writing, the record too, would replace an input or what
  /// is written.
  void check_inputs(const PictureOptions& o, const std::vector<Input>& inputs,
                    const std::vector<fs::path>& names) const {
    for (const fs::path path : o.inputs)
      if (!file_ && is_same_folder(path, path_))
        fail(ErrorCode::InvalidArgument,
             "--output {} is the folder that the pictures come from; give another", shown(path_));
    std::set<FileId> read;
    for (const auto& input : inputs)
      if (const auto id = file_id(input.path)) read.insert(*id);
    for (const auto& name : names) {
      const auto id = stdout_ ? std::nullopt : file_id(target(name));
      if (id && read.contains(*id))
        fail(ErrorCode::InvalidArgument,
             "{} is an input and would be replaced; give another --output", shown(target(name)));
      if (!stdout_ && !o.common.json.empty() && is_same_name(o.common.json, target(name)))
        fail(ErrorCode::InvalidArgument, "--json {} is where a picture is written; give another",
             shown(o.common.json));
    }
  }

  bool contains(const fs::path& name) const {
    std::error_code ignored;
    return !stdout_ &&
           (file_ ? fs::exists(fs::symlink_status(path_, ignored)) : folder_->contains(name));
  }
  /// A file that holds something. An empty one is what a power failure leaves.
  bool holds(const fs::path& name) const {
    std::error_code ignored;
    return fs::is_regular_file(fs::symlink_status(target(name), ignored)) && !is_empty(name);
  }

  void write(const fs::path& name, std::span<const std::uint8_t> bytes) const {
    const auto overwrite = over_empty_ && is_empty(name) ? Overwrite::Yes : overwrite_;
    if (stdout_) {
      write_stdout(bytes);
    } else if (file_) {
      write_file(path_, bytes, overwrite);
    } else {
      folder_->write(name, bytes, overwrite);
    }
  }

  fs::path target(const fs::path& name) const { return file_ ? path_ : path_ / name; }
  std::string label() const { return stdout_ ? "standard output" : shown(path_); }
  void flush() const {
    if (folder_) folder_->flush();
  }

 private:
  bool is_empty(const fs::path& name) const {
    std::error_code ignored;
    return !stdout_ && fs::is_regular_file(fs::symlink_status(target(name), ignored)) &&
           fs::file_size(target(name), ignored) == 0;
  }
  static bool is_same_name(const fs::path& a, const fs::path& b) {
    return fs::absolute(a).lexically_normal() == fs::absolute(b).lexically_normal();
  }

  Overwrite overwrite_;
  bool over_empty_;
  fs::path path_;
  std::optional<OutputFolder> folder_;
  bool stdout_ = false, file_ = false;
};

class Run {
 public:
  Run(const PictureOptions& options, PictureWork work) : o_(options), work_(std::move(work)) {
    if (work_.encode) output_.emplace(o_, work_.suffix);
    auto found = find_inputs(o_.inputs, output_ ? output_->folder() : work_.aside);
    inputs_ = std::move(found.pictures);
    check_record();
    left_out_ = std::move(found.left_out);
    found_failures_ = found.failures.size();
    for (const auto& failure : found.failures) note_failure(failure);
    if (output_) {
      names_ = png_names(inputs_);
      output_->check_inputs(o_, inputs_, names_);
    }
    keep_shard();
    if (output_ && !inputs_.empty()) output_->open();
    if (std::ranges::any_of(inputs_, [](const Input& input) { return input.path == "-"; }))
      piped_ = read_stdin(work_.max_file_bytes);
  }

  void run() {
    // Begins after standard input was read: until then a signal ends the process.
    const InterruptGuard guard;
    std::optional<Progress> progress;
    if (inputs_.size() > 1) progress.emplace(work_.title, inputs_.size(), 0, "pictures");
    std::exception_ptr unexpected;
    bool ended = false;
    std::mutex ending;
    std::condition_variable changed;
    std::thread worker([&] {
      try {
        work_through();
      } catch (...) {
        unexpected = std::current_exception();
      }
      const std::lock_guard lock(ending);
      ended = true;
      changed.notify_one();
    });
    auto interrupted_at = std::chrono::steady_clock::time_point::max();
    for (std::unique_lock lock(ending); !ended;) {
      changed.wait_for(lock, 100ms);
      show_lines(progress);
      if (progress && finished_ > 0) progress->update(finished_, "");
      if (!interrupted()) continue;
      interrupted_at = std::min(interrupted_at, std::chrono::steady_clock::now());
      if (std::chrono::steady_clock::now() - interrupted_at < kGrace) continue;
      // A large picture is in the network's hands, which cannot be told to stop. It is not written.
      progress.reset();
      try {
        report(/*ended=*/false);
      } catch (const std::exception& e) {  // the worker cannot be joined, so nothing may leave here
        spdlog::error("{}", e.what());
      }
      std::fflush(nullptr);
      ::_exit(interrupt_status());
    }
    worker.join();
    show_lines(progress);
    progress.reset();
    if (unexpected) std::rethrow_exception(unexpected);
    if (output_ && !interrupted()) output_->flush();  // a busy disk takes its time
    report(/*ended=*/true);
    const auto total = inputs_.size() + found_failures_;
    if (interrupted() && finished_ < inputs_.size())
      fail(ErrorCode::Interrupted, "stopped: {} of {} pictures are not done",
           inputs_.size() - finished_, total);
    if (failures_ > 0)
      fail(ErrorCode::BadData, "{} of {} pictures failed", failures_.load(), total);
  }

 private:
  void check_record() const {
    const auto record = o_.common.json.empty() ? std::nullopt : file_id(o_.common.json);
    for (const auto& input : inputs_)
      if (record && file_id(input.path) == record)
        fail(ErrorCode::InvalidArgument,
             "--json {} is an input and would be replaced; give another", shown(o_.common.json));
  }

  // After names were given and checked: those of twins must not depend on the shard.
  void keep_shard() {
    const auto shard = shard_of(o_.shard);
    if (shard.whole()) return;
    std::vector<Input> inputs;
    std::vector<fs::path> names;
    for (auto i = shard.first; i < inputs_.size(); i += shard.step) {
      inputs.push_back(std::move(inputs_[i]));
      if (output_) names.push_back(std::move(names_[i]));
    }
    inputs_ = std::move(inputs);
    names_ = std::move(names);
  }

  // One group is read and one is written while one is in the network, so that no core waits; three
  // are all that is in memory. Reading and writing step back: the network's threads wait for each
  // other, and one that is held up holds up all.
  void work_through() {
    std::vector<Item> read, computed;
    while ((next_ < inputs_.size() || !read.empty()) && !interrupted()) {
      auto items = std::exchange(read, {});
      const auto beside = [](auto&& work) {
        return std::async(std::launch::async, [work] {
          [[maybe_unused]] const int now = ::nice(kBesideNice);  // of this thread and its own alone
          work();
        });
      };
      auto reading = beside([&] { read = read_some(); });
      auto writing = beside([&] { finish_all(computed); });
      if (!items.empty() && work_.together) together(items);
      if (!items.empty() && work_.each) each(items);
      writing.get();
      reading.get();
      computed = std::move(items);
    }
    finish_all(computed);
  }

  std::vector<Item> read_some() {
    std::vector<Item> items;
    std::size_t bytes = 0, largest = 0, begun = 0;
    on_threads([&] {
      while (true) {
        Item item;
        {
          const std::lock_guard lock(mutex_);
          const bool enough = begun >= threads_ && (begun + 1) * largest > 3 * kTogetherPixels;
          if (next_ == inputs_.size() || items.size() >= kGroupPictures || bytes >= kGroupBytes ||
              enough || interrupted())
            return;
          item.index = next_++;
          ++begun;
        }
        item.path = inputs_[item.index].path;
        const bool there = !is_done(item) && attempt(item, [&] { item.picture = read(item.path); });
        const std::lock_guard lock(mutex_);
        if (!there) {
          --begun;
          continue;
        }
        bytes += item.picture.rgb.size();
        largest = std::max(largest, item.picture.rgb.size());
        items.push_back(std::move(item));
      }
    });
    std::ranges::sort(items, {}, &Item::index);
    return items;
  }

  void finish_all(std::vector<Item>& items) {
    std::atomic<std::size_t> next = 0;
    const auto finish_each = [&] {
      for (std::size_t i; (i = next++) < items.size() && !interrupted();) finish(items[i]);
    };
    output_ ? on_threads(finish_each) : finish_each();  // lines are printed in order
  }

  /// Whether the output is there already; then it is skipped or an error, before the picture is
  /// read.
  bool is_done(const Item& item) {
    if (!output_ || o_.force) return false;
    bool there = false;
    if (!attempt(item, [&] { there = output_->contains(names_[item.index]); })) return true;
    if (!there) return false;
    if (o_.skip_existing && !output_->holds(names_[item.index])) return false;
    if (!o_.skip_existing)
      return !attempt(item, [&] {
        fail(ErrorCode::AlreadyExists,
             "{}: exists already; --skip-existing leaves it, --force replaces it",
             shown(output_->target(names_[item.index])));
      });
    const std::lock_guard lock(mutex_);
    skipped_.emplace_back(item.index, as_utf8(item.path.native()));
    ++finished_;
    return true;
  }

  image::Image read(const fs::path& path) const {
    if (path == "-") return work_.read(piped_, "standard input");
    return work_.read(read_file(path, work_.max_file_bytes), path.string());
  }

  void together(std::vector<Item>& items) {
    const auto size = [](const Item& item) {
      return std::pair(item.picture.height, item.picture.width);
    };
    std::ranges::stable_sort(items, {}, size);
    std::vector<Item> whole;
    for (auto begin = items.begin(); begin != items.end() && !interrupted();) {
      const auto pixels = std::max<std::size_t>(1, begin->picture.rgb.size() / 3);
      const auto most = std::max<std::size_t>(1, kTogetherPixels / pixels);
      auto end = begin;
      while (end != items.end() && size(*end) == size(*begin) &&
             static_cast<std::size_t>(end - begin) < most)
        ++end;
      if (end - begin > 1 && succeeds({begin, end})) {
        whole.insert(whole.end(), std::make_move_iterator(begin), std::make_move_iterator(end));
      } else {
        for (; begin != end; ++begin)
          if (attempt(*begin, [&] { alone(*begin); })) whole.push_back(std::move(*begin));
      }
      begin = end;
    }
    items = std::move(whole);
  }

  /// False where one of them fails, which is then told by taking each alone.
  bool succeeds(std::span<Item> items) {
    try {
      work_.together(items);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  void alone(Item& item) {
    try {
      work_.together({&item, 1});
    } catch (const Error& e) {
      fail(e.code(), "{}: {}", shown(item.path), printable(e.what(), 400));
    }
  }

  void each(std::vector<Item>& items) {
    std::vector<char> good(items.size());  // not bool: written by several threads
    std::atomic<std::size_t> next = 0;
    on_threads([&] {
      for (std::size_t i; (i = next++) < items.size() && !interrupted();)
        good[i] = attempt(items[i], [&] { work_.each(items[i]); });
    });
    std::vector<Item> whole;
    for (std::size_t i = 0; i < items.size(); ++i)
      if (good[i]) whole.push_back(std::move(items[i]));
    items = std::move(whole);
  }

  void finish(Item& item) {
    json result = std::move(item.result);
    result["input"] = as_utf8(item.path.native());
    if (output_) {
      const auto& name = names_[item.index];
      if (!attempt(item, [&] { output_->write(name, work_.encode(item.picture)); })) return;
      result["output"] = as_utf8(output_->target(name).native());
      if (spdlog::should_log(spdlog::level::debug))
        say(spdlog::level::debug,
            fmt::format("{} -> {}", shown(item.path), shown(output_->target(name))));
    }
    const std::lock_guard lock(mutex_);
    if (!item.line.empty()) printed_ += item.line + "\n";
    ++done_;
    ++finished_;
    if (!o_.common.json.empty()) results_.emplace_back(item.index, std::move(result));
  }

  /// Runs one part of a picture's way. False if it failed, which is noted.
  template <class Part>
  bool attempt(const Item& item, const Part& part) {
    try {
      part();
      return true;
    } catch (const Error& e) {
      note_failure({item.path, e.code(), e.what()});
    } catch (const std::exception& e) {  // no memory for it, say
      note_failure(
          {item.path, ErrorCode::BadData, fmt::format("{}: {}", item.path.string(), e.what())});
    }
    ++finished_;
    return false;
  }

  void note_failure(const Failure& failure) {
    if (failures_++ < kErrorLines)
      say(spdlog::level::err, printable(failure.message, 4096));
    else if (failures_ == kErrorLines + 1)
      say(spdlog::level::err, "further failures are not shown; --json FILE lists all");
    const std::lock_guard lock(mutex_);
    failed_.push_back({{"input", as_utf8(failure.path.native())},
                       {"code", error_code_name(failure.code)},
                       {"message", as_utf8(failure.message)}});
  }

  void say(spdlog::level::level_enum level, std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(level, std::move(line));
  }

  /// Lines come from many threads and are shown by one, beside the progress line.
  void show_lines(std::optional<Progress>& progress) {
    std::vector<std::pair<spdlog::level::level_enum, std::string>> lines;
    std::string printed;
    {
      const std::lock_guard lock(mutex_);
      lines.swap(lines_);
      printed.swap(printed_);
    }
    if (progress && !(lines.empty() && printed.empty())) progress->clear();
    std::fputs(printed.c_str(), stdout);
    std::fflush(stdout);
    for (const auto& [level, line] : lines) spdlog::log(level, "{}", line);
  }

  /// @param ended whether no work goes on beside it.
  void report(bool ended) {
    const std::lock_guard lock(mutex_);
    json record = work_.record;
    const auto in_order = [](auto& numbered) {
      std::ranges::sort(numbered, {}, [](const auto& entry) { return entry.first; });
      auto list = json::array();
      for (auto& [index, value] : numbered) list.push_back(std::move(value));
      return list;
    };
    record[output_ ? "written" : "results"] = in_order(results_);
    if (o_.skip_existing) record["skipped"] = in_order(skipped_);
    record["failed"] = failed_;
    record["left_out"] = left_out_;
    if (interrupted()) record["interrupted"] = true;
    if (ended && work_.at_end) work_.at_end(record);
    write_json(o_.common, record);
    spdlog::info("{} {} of {} pictures{}{}", work_.done, done_, inputs_.size() + found_failures_,
                 output_ ? " into " + output_->label() : "",
                 skipped_.empty() ? "" : fmt::format(", {} were there already", skipped_.size()));
    std::string kinds;
    for (const auto& [kind, count] : left_out_)
      kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, kind);
    if (!kinds.empty()) spdlog::warn("left out: {} (PNG, JPEG and WebP are read)", kinds);
  }

  template <class Step>
  void on_threads(const Step& step) const {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min(threads_, inputs_.size()); ++i) others.emplace_back(step);
    step();
  }

  const PictureOptions& o_;
  const std::size_t threads_ = static_cast<std::size_t>(o_.jobs > 0 ? o_.jobs : physical_cores());
  PictureWork work_;
  std::optional<Output> output_;
  std::vector<Input> inputs_;
  std::vector<fs::path> names_;  ///< of the outputs
  std::map<std::string, std::size_t> left_out_;
  std::vector<std::uint8_t> piped_;

  std::mutex mutex_;  ///< for what follows
  std::size_t next_ = 0, done_ = 0;
  std::vector<std::pair<std::size_t, json>> results_, skipped_;
  json failed_ = json::array();
  std::vector<std::pair<spdlog::level::level_enum, std::string>> lines_;
  std::string printed_;  ///< for standard output
  std::atomic<std::size_t> finished_ = 0, failures_ = 0;
  std::size_t found_failures_ = 0;
};

}  // namespace

void add_jobs(CLI::App& command, PictureOptions& options) {
  command
      .add_option("--jobs", options.jobs,
                  "Pictures read and written at the same time; the physical cores unless given")
      ->check(CLI::Range(1, 256));
}

void add_shard(CLI::App& command, PictureOptions& options) {
  command
      .add_option("--shard", options.shard,
                  "I/N: take every N-th picture from the I-th on, in the order of their names; N "
                  "processes or machines with 1/N to N/N do all (docs/archives.md)")
      ->type_name("I/N");
}

void add_picture_options(CLI::App& command, PictureOptions& options) {
  add_shard(command, options);
  command.add_option("input", options.inputs, "Picture files, folders, or - for standard input")
      ->required()
      ->type_name("INPUT");
  add_jobs(command, options);
  add_json(command, options.common);
}

void add_output_options(CLI::App& command, PictureOptions& options, const std::string& suffix) {
  command
      .add_option("--output,-o", options.output,
                  "Folder to write PNG files to; for one picture also a .png file, or - for "
                  "standard output" +
                      (suffix.empty() ? suffix
                                      : ", and where it is left out NAME-" + suffix +
                                            ".png in the folder you are in"))
      ->type_name("PATH");
  auto* skip = command.add_flag("--skip-existing", options.skip_existing,
                                "Leave out pictures whose output is there already");
  command.add_flag("--force", options.force, "Replace existing files")->excludes(skip);
}

image::Batch batch_of(std::span<const Item> items) {
  image::Batch batch(items.front().picture.height, items.front().picture.width);
  for (const auto& item : items) batch.append(item.picture);
  return batch;
}

void run_pictures(const PictureOptions& options, PictureWork work) {
  Run(options, std::move(work)).run();
}

}  // namespace veilnet::cli
