// The models that a server holds: which versions lie in which folders, what is loaded, and how one
// version takes another's place while requests go on.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/error.h"
#include "runtime/network.h"
#include "service/guard.h"
#include "service/oip.h"
#include "service/scheduler.h"
#include "service/statistics.h"

namespace veilnet::service {

/// One loaded version of one classifier.
struct Served {
  std::string name;
  int64_t version = 0;
  std::string sha256;    ///< model::content_hash: what the card of an h trained for it says
  std::string platform;  ///< model::describe
  ModelForm form;
  /// Whether a picture looks as if it had been sent plain: by the model's codebook, else by
  /// guard.safetensors beside it. Empty where there is neither, or guarding is off.
  std::function<bool(std::span<const uint8_t> pixels_hwc)> unprotected;
  std::string guard = "off";  ///< "exact", "on" or "off"
  GuardAction guard_action = GuardAction::Off;
  std::shared_ptr<ModelStatistics> statistics;
  std::shared_ptr<Queue> queue;
};

/// A model that this server is to hold but does not yet, or could not load: worth asking again.
class NotLoaded : public Error {
 public:
  explicit NotLoaded(const std::string& message) : Error(ErrorCode::NotFound, message) {}
};

/// Where a model comes from.
struct Source {
  std::string name;
  /// A file, which is version 1, or a folder whose folders 1, 2, ... each hold model.safetensors.
  std::filesystem::path path;
};

/// The models of a repository folder, one folder each. @throws Error{NotFound} if there is none.
std::vector<Source> models_in(const std::filesystem::path& folder);

struct RepositoryOptions {
  BatchOptions batch;
  AnswerOptions answers;
  int threads = 1;  ///< of one computation
  runtime::Type precision = runtime::Type::Float32;
  GuardAction guard = GuardAction::Refuse;
  /// Folders of all pictures that may arrive, by the model's name: model/codebook.h.
  std::map<std::string, std::filesystem::path> codebooks{};
};

struct IndexEntry {
  std::string name;
  int64_t version;
  std::string state;  ///< "READY", "UNAVAILABLE"
  std::string reason;
};

/// All functions may be called from several threads at once.
class Repository {
 public:
  /// Takes note of the models; loads none. @throws Error{InvalidArgument} for names that are not
  /// 1 to 64 of [A-Za-z0-9_.-] or stand twice, and for a codebook of no model.
  Repository(std::vector<Source> sources, const RepositoryOptions& options, Scheduler& scheduler,
             Statistics& statistics);

  /// Loads the highest version, computes with it once for every size of a batch, and puts it in the
  /// place of the version before, whose requests are still answered by it. If loading fails, the
  /// version before stays. Takes a while. @throws Error{NotFound} for an unknown name or a model
  /// without versions, and as model::load.
  void load(const std::string& name);
  /// Loads all; those that fail are logged and told by index().
  void load_all(std::stop_token stop = {});
  /// @throws Error{NotFound} for an unknown name.
  void unload(const std::string& name);

  /// The loaded version. @throws Error{NotFound}, naming what there is, for an unknown name, for a
  /// model that was unloaded and for another version than the loaded one; NotLoaded for one that
  /// is to be loaded.
  std::shared_ptr<const Served> find(const std::string& name,
                                     std::optional<int64_t> version = {}) const;
  /// Whether every model is loaded that was not unloaded on purpose.
  bool ready() const;
  std::vector<IndexEntry> index() const;
  /// Pictures that wait, by model and version.
  std::map<std::pair<std::string, int64_t>, int64_t> pending() const;

 private:
  struct Entry {
    std::filesystem::path path;
    std::shared_ptr<const Served> loaded;
    bool wanted = true;
    int64_t failed_version = 0;
    std::string failure;  ///< of the last attempt to load
  };

  std::shared_ptr<const Served> read(const std::string& name, const std::filesystem::path& path,
                                     int64_t& version) const;
  /// Gives it its codebook or the guard of this file, where there is one.
  void guard(Served& served, const std::filesystem::path& file) const;
  const Entry& entry(const std::string& name) const;

  RepositoryOptions options_;
  Scheduler& scheduler_;
  Statistics& statistics_;
  std::mutex loading_;  ///< one version is loaded at a time
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace veilnet::service
