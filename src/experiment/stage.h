// A stage: a piece of work whose result is kept together with all that it depends on.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/lock.h"
#include "core/settings.h"

namespace veilnet::experiment {

/// What a result depends on, and nothing else: not threads, nor where and how often it is saved.
struct Stage {
  std::string name;  ///< "classifier", ...
  /// Of the code, raised by hand when its results change.
  int version = 1;
  Settings settings;
  /// Name -> SHA-256 (or another text that stands for the content) of what it reads: data, models.
  std::map<std::string, std::string> inputs;

  /// SHA-256 over the above.
  std::string key() const;
};

/// run.json in the stage's folder.
struct StageRecord {
  Stage stage;
  bool finished = false;
  std::string result;  ///< hash of the result's content; empty until finished
  std::string commit;  ///< of the program that started it
  Settings machine;    ///< device, threads, ...: said, not part of the key
};

/// "classifier.epochs: 16 -> 300" for each part of `now` that differs from `then`.
std::vector<std::string> differences(const Stage& then, const Stage& now);

/// @throws Error{BadData} for a file that is no record of a stage, or whose key is not that of its
/// parts.
std::optional<StageRecord> read_stage(const std::filesystem::path& folder);

/// Whether it records the result of this very stage.
bool is_result_of(const StageRecord& record, const Stage& stage);

/// What is done with what the folder holds already.
enum class Mode {
  Fresh,     ///< refuse any earlier run
  Resume,    ///< continue from its checkpoint, or take its result; refuse when there is none
  Force,     ///< replace it
  Keep,      ///< take the result, continue or start; refuse a run of another key
  Complete,  ///< as Keep, but a run of another key is replaced: what `reproduce` and `demo` do
};

/// The result of a finished run of this very stage; nothing where there is none or it has not
/// ended. @throws Error{InvalidArgument} for a run of another key, naming what differs, and as
/// read_stage.
std::optional<StageRecord> finished_stage(const std::filesystem::path& folder, const Stage& stage);

/// @throws Error{AlreadyExists} for a folder without run.json that holds files, or folders of the
/// names that the stage writes: it is somebody else's. Folders of other names may be stages.
void refuse_foreign(const std::filesystem::path& folder, const std::vector<std::string>& owned);

/// A stage's folder, held by this process. What it holds of an earlier run is replaced file by
/// file: only the files that `owned` names are ever removed.
class StageFolder {
 public:
  /// @param owned names of the files that the stage writes besides run.json, below its folder, as
  /// shell patterns: "pictures/*.png".
  /// @throws Error{AlreadyExists} when another process holds the folder, when it holds files and is
  /// no stage's, and in mode Fresh when it holds a run; Error{NotFound} in mode Resume without one;
  /// Error{InvalidArgument} for a run of another key in modes Fresh, Resume and Keep, naming what
  /// differs; and as read_stage.
  StageFolder(std::filesystem::path folder, Stage stage, std::vector<std::string> owned,
              Settings machine, Mode mode);

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& key() const { return key_; }
  /// Nothing is left to do: the result is there.
  bool finished() const { return record_.finished; }
  const std::string& result() const { return record_.result; }
  /// There is a state to continue from.
  bool resumes() const { return resumes_; }

  /// Records that the result is there. @param result a hash of its content.
  void finish(const std::string& result);

 private:
  void write() const;

  std::filesystem::path folder_;
  FileLock lock_;
  StageRecord record_;
  std::string key_;
  bool resumes_ = false;
};

/// SHA-256 of a text.
std::string sha256_of(const std::string& text);

}  // namespace veilnet::experiment
