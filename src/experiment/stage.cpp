#include "experiment/stage.h"

#include <algorithm>
#include <fmt/ranges.h>
#include <fnmatch.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/json_file.h"
#include "core/version.h"

namespace veilnet::experiment {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kRecord = "run.json";
constexpr const char* kCheckpoint = "checkpoint/state.pt";

json parts(const Stage& stage) {
  return {{"stage", stage.name},
          {"version", stage.version},
          {"settings", stage.settings},
          {"inputs", stage.inputs}};
}

// The folder of a stage and what may be beside its files: other stages below it, locks, what a
// killed process left of a file.
bool is_bystander(const fs::directory_entry& entry, const std::vector<std::string>& owned) {
  const auto name = entry.path().filename().string();
  if (name.ends_with(".lock") || (name.starts_with(".veilnet-") && name.ends_with(".tmp")))
    return true;
  if (!entry.is_directory() || entry.is_symlink()) return false;
  return std::none_of(owned.begin(), owned.end(), [&](const std::string& file) {
    return fs::path(file).begin()->string() == name;
  });
}

// Removes the files that a pattern of `owned` names, and folders that are empty then. No link is
// followed.
void remove_matching(const fs::path& folder, const fs::path& pattern) {
  if (!fs::is_directory(fs::symlink_status(folder))) return;
  const auto first = *pattern.begin();
  const auto rest = pattern.lexically_relative(first);
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (::fnmatch(first.c_str(), entry.path().filename().c_str(), 0) == 0)
      found.push_back(entry.path());
  }
  for (const auto& path : found) {
    const bool is_folder = fs::is_directory(fs::symlink_status(path));
    if (rest == ".") {
      if (!is_folder) fs::remove(path);
      continue;
    }
    remove_matching(path, rest);
    std::error_code not_empty;
    if (is_folder) fs::remove(path, not_empty);
  }
}

void remove_owned(const fs::path& folder, const std::vector<std::string>& owned) {
  for (const auto& pattern : owned) remove_matching(folder, pattern);
}

std::string listed(const std::vector<std::string>& differences) {
  return fmt::format("{}", fmt::join(differences, "; "));
}

[[noreturn]] void refuse_other(const fs::path& folder, const Stage& then, const Stage& now) {
  fail(ErrorCode::InvalidArgument,
       "{} holds a run of other settings: {}. Replace it with --force, or take the old settings",
       folder.string(), listed(differences(then, now)));
}

}  // namespace

void refuse_foreign(const fs::path& folder, const std::vector<std::string>& owned) {
  if (fs::exists(folder / kRecord) || !fs::exists(fs::symlink_status(folder))) return;
  if (!fs::is_directory(folder))
    fail(ErrorCode::AlreadyExists, "{}: is no folder", folder.string());
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!is_bystander(entry, owned))
      fail(ErrorCode::AlreadyExists,
           "{} holds {} and no {}, so it is not a run of this program's; move it away or choose "
           "another name or folder (name, runs)",
           folder.string(), entry.path().filename().string(), kRecord);
  }
}

std::string sha256_of(const std::string& text) {
  return sha256_hex(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

std::string Stage::key() const { return sha256_of(parts(*this).dump()); }

std::vector<std::string> differences(const Stage& then, const Stage& now) {
  std::vector<std::string> out;
  const auto note = [&](const std::string& name, const std::string& a, const std::string& b) {
    if (a != b) out.push_back(fmt::format("{}: {} -> {}", name, a, b));
  };
  note("stage", then.name, now.name);
  note("version of the code", std::to_string(then.version), std::to_string(now.version));
  const auto compare = [&](const auto& a, const auto& b, size_t digits) {
    auto names = a;
    names.insert(b.begin(), b.end());
    for (const auto& entry : names) {
      const auto& name = entry.first;
      const auto text = [&](const auto& values) {
        const auto found = values.find(name);
        return found == values.end()   ? std::string("none")
               : found->second.empty() ? std::string("\"\"")
                                       : found->second;
      };
      const auto before = text(a), after = text(b);
      if (before != after) note(name, before.substr(0, digits), after.substr(0, digits));
    }
  };
  compare(then.settings, now.settings, std::string::npos);
  compare(then.inputs, now.inputs, 12);  // of a hash, enough to tell them apart
  return out;
}

std::optional<StageRecord> read_stage(const fs::path& folder) {
  const auto path = folder / kRecord;
  if (!fs::exists(path)) return std::nullopt;
  StageRecord record;
  std::string key;
  try {
    const auto in = read_json(path, {.max_bytes = 1 << 20});
    record.stage.name = in.at("stage");
    record.stage.version = in.at("version");
    record.stage.settings = in.at("settings").get<Settings>();
    record.stage.inputs = in.at("inputs").get<std::map<std::string, std::string>>();
    record.finished = in.at("state") == "finished";
    record.result = in.at("result");
    record.commit = in.at("commit");
    record.machine = in.at("machine").get<Settings>();
    key = in.at("key");
  } catch (const json::exception& e) {
    fail(ErrorCode::BadData, "{}: is no record of a run: {}", path.string(), e.what());
  }
  if (key != record.stage.key())
    fail(ErrorCode::BadData, "{}: its key is not that of its settings and inputs", path.string());
  return record;
}

bool is_result_of(const StageRecord& record, const Stage& stage) {
  return record.finished && record.stage.key() == stage.key();
}

std::optional<StageRecord> finished_stage(const fs::path& folder, const Stage& stage) {
  auto record = read_stage(folder);
  if (!record) return std::nullopt;
  if (record->stage.key() != stage.key()) refuse_other(folder, record->stage, stage);
  if (!record->finished) return std::nullopt;
  return record;
}

StageFolder::StageFolder(fs::path folder, Stage stage, std::vector<std::string> owned,
                         Settings machine, Mode mode)
    : folder_(std::move(folder)), lock_(folder_.string() + ".lock"), key_(stage.key()) {
  const auto earlier = read_stage(folder_);
  if (!earlier) {
    if (mode == Mode::Resume)
      fail(ErrorCode::NotFound, "{} holds no checkpoint to resume from", folder_.string());
    refuse_foreign(folder_, owned);
  } else if (mode != Mode::Force) {
    const bool same = earlier->stage.key() == key_;
    if (!same && mode != Mode::Complete) refuse_other(folder_, earlier->stage, stage);
    if (mode == Mode::Fresh)
      fail(ErrorCode::AlreadyExists, "{} holds {}; {}replace it with --force", folder_.string(),
           earlier->finished ? "this run already, finished" : "an unfinished run",
           earlier->finished ? "" : "continue it with --resume or ");
    if (same && earlier->finished) {
      record_ = *earlier;
      return;
    }
    resumes_ = same && fs::exists(folder_ / kCheckpoint);
    if (mode == Mode::Resume && !resumes_)
      fail(ErrorCode::NotFound, "{} holds no checkpoint to resume from", folder_.string());
    if (!same)
      spdlog::info("{} is done again: {}", folder_.string(),
                   listed(differences(earlier->stage, stage)));
  }
  // What this very stage has left stays: of several trainings some may have ended.
  if (earlier && (mode == Mode::Force || earlier->stage.key() != key_)) {
    // First it is said to be unfinished, so that nobody takes what is left for a result.
    record_ = *earlier;
    record_.finished = false;
    write();
    remove_owned(folder_, owned);
  }
  record_ = {std::move(stage), false, "", commit(), std::move(machine)};
  write();
}

void StageFolder::finish(const std::string& result) {
  record_.finished = true;
  record_.result = result;
  write();
  remove_owned(folder_, {kCheckpoint});
}

void StageFolder::write() const {
  auto out = parts(record_.stage);
  out.update({{"key", record_.stage.key()},
              {"state", record_.finished ? "finished" : "running"},
              {"result", record_.result},
              {"commit", record_.commit},
              {"machine", record_.machine}});
  write_file(folder_ / kRecord, out.dump(1) + "\n", Overwrite::Yes);
}

}  // namespace veilnet::experiment
