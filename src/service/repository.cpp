#include "service/repository.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <system_error>

#include "core/error.h"
#include "core/text.h"
#include "model/model.h"
#include "service/exact_guard.h"

namespace veilnet::service {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "model.safetensors";
constexpr const char* kGuardFile = "guard.safetensors";
constexpr size_t kLongestName = 64;

bool is_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  };
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, allowed);
}

int64_t version_of(const fs::path& folder) {
  const auto name = folder.filename().string();
  int64_t version = 0;
  const auto [ignored, error] = std::from_chars(name.data(), name.data() + name.size(), version);
  return error == std::errc() && std::to_string(version) == name ? version : 0;  // no "01"
}

// The file of the highest version, and its number.
fs::path newest(const std::string& name, const fs::path& path, int64_t& version) {
  std::error_code ignored;
  version = 1;
  if (!fs::is_directory(path, ignored)) return path;
  if (fs::exists(path / kFile, ignored)) return path / kFile;
  version = 0;
  for (const auto& entry : fs::directory_iterator(path, ignored))
    if (fs::exists(entry.path() / kFile, ignored))
      version = std::max(version, version_of(entry.path()));
  if (version < 1)
    fail(ErrorCode::NotFound, "model \"{}\": {} holds neither {} nor a folder 1, 2, ... with one",
         name, path.string(), kFile);
  return path / std::to_string(version) / kFile;
}

}  // namespace

std::vector<Source> models_in(const fs::path& folder) {
  std::vector<Source> found;
  std::error_code cause;
  for (const auto& entry : fs::directory_iterator(folder, cause))
    if (const auto name = entry.path().filename().string();
        !name.starts_with('.') && name != "lost+found" && entry.is_directory())
      found.push_back({name, entry.path()});
  if (cause)
    fail(ErrorCode::NotFound, "{}: cannot be listed: {}", folder.string(), cause.message());
  if (found.empty())
    fail(ErrorCode::NotFound, "{}: holds no model: expected MODEL/1/{}", folder.string(), kFile);
  std::ranges::sort(found, {}, &Source::name);
  return found;
}

Repository::Repository(std::vector<Source> sources, const RepositoryOptions& options,
                       Scheduler& scheduler, Statistics& statistics)
    : options_(options), scheduler_(scheduler), statistics_(statistics) {
  for (auto& source : sources) {
    if (!is_name(source.name))
      fail(ErrorCode::InvalidArgument,
           "model \"{}\": allowed are 1 to {} letters, digits and _ . - as a name",
           printable(source.name), kLongestName);
    Entry entry;
    entry.path = std::move(source.path);
    if (!entries_.emplace(source.name, std::move(entry)).second)
      fail(ErrorCode::InvalidArgument, "model \"{}\" is given twice", source.name);
  }
  for (const auto& [name, folder] : options_.codebooks)
    if (!entries_.contains(name))
      fail(ErrorCode::InvalidArgument, "{}: is the codebook of \"{}\", which is not served",
           folder.string(), printable(name, 80));
}

const Repository::Entry& Repository::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    fail(ErrorCode::NotFound, "there is no model \"{}\"", printable(name, 80));
  return found->second;
}

std::shared_ptr<const Served> Repository::read(const std::string& name, const fs::path& path,
                                               int64_t& version) const {
  const auto file = newest(name, path, version);
  auto model = model::load(file, model::Role::Classifier);
  auto served = std::make_shared<Served>();
  served->name = name;
  served->version = version;
  served->sha256 = model::content_hash(file);
  served->platform = "veilnet " + model::describe(model.card);
  served->form = {model.card.height, model.card.width, model.card.class_names, options_.answers};
  if (options_.guard != GuardAction::Off) guard(*served, file.parent_path() / kGuardFile);
  served->statistics = statistics_.of(name, version);
  const auto network = std::make_shared<const runtime::Network>(
      std::move(model), runtime::Options{.threads = options_.threads,
                                         .largest_batch = options_.batch.max_batch,
                                         .precision = options_.precision});
  const auto height = served->form.height, width = served->form.width;
  // The first computation of a kind plans it; a request must not wait for that.
  for (auto count = options_.batch.max_batch; true; count = (count + 1) / 2) {
    network->logits(std::vector<uint8_t>(static_cast<size_t>(count * height * width * 3), 128),
                    height, width);
    if (count == 1) break;
  }
  served->queue = std::make_shared<Queue>(
      [network, height, width](std::span<const uint8_t> pixels, int64_t) {
        return network->logits(pixels, height, width);
      },
      options_.batch,
      [statistics = served->statistics](int64_t count, Clock::duration time) {
        statistics->computed(count, time);
      });
  return served;
}

void Repository::guard(Served& served, const fs::path& file) const {
  const auto height = served.form.height, width = served.form.width;
  if (const auto found = options_.codebooks.find(served.name); found != options_.codebooks.end()) {
    const auto book = std::make_shared<const ExactGuard>(found->second, height, width);
    spdlog::info("model {} takes the {} pictures of {} and no others", served.name,
                 book->pictures(), found->second.string());
    served.unprotected = [book](auto pixels) { return !book->holds(pixels); };
    served.guard = "exact";
  } else if (fs::symlink_status(file).type() != fs::file_type::not_found) {
    const auto guard = std::make_shared<const Guard>(Guard::load(file, served.sha256));
    served.unprotected = [guard, height, width](auto pixels) {
      return guard->looks_unprotected(pixels, static_cast<int>(height), static_cast<int>(width));
    };
    served.guard = "on";
  } else {
    return;
  }
  served.guard_action = options_.guard;
}

void Repository::load(const std::string& name) {
  const std::lock_guard one_at_a_time(loading_);
  fs::path path;
  {
    const std::lock_guard lock(mutex_);
    path = entry(name).path;
  }
  int64_t version = 0;
  try {
    auto served = read(name, path, version);
    std::shared_ptr<const Served> before;  // goes when the lock is given back
    {
      const std::lock_guard lock(mutex_);
      auto& entry = entries_.at(name);
      before = std::exchange(entry.loaded, std::move(served));
      entry.wanted = true;
      entry.failure.clear();
    }
    spdlog::info("model {} version {} is ready", name, version);
  } catch (const std::exception& e) {
    const std::lock_guard lock(mutex_);
    auto& entry = entries_.at(name);
    entry.failed_version = version;
    entry.failure = e.what();
    throw;
  }
}

void Repository::load_all(std::stop_token stop) {
  for (const auto& one : index()) {
    if (stop.stop_requested()) return;
    try {
      load(one.name);
    } catch (const std::exception& e) {
      spdlog::error("model {} is not loaded: {}", one.name, e.what());
    }
  }
}

void Repository::unload(const std::string& name) {
  const std::lock_guard one_at_a_time(loading_);
  std::shared_ptr<const Served> before;
  const std::lock_guard lock(mutex_);
  entry(name);
  auto& entry = entries_.at(name);
  before = std::exchange(entry.loaded, nullptr);
  entry.wanted = false;
  entry.failure.clear();
}

std::shared_ptr<const Served> Repository::find(const std::string& name,
                                               std::optional<int64_t> version) const {
  const std::lock_guard lock(mutex_);
  const auto& [path, loaded, wanted, failed_version, failure] = entry(name);
  if (!loaded && !wanted) fail(ErrorCode::NotFound, "model \"{}\" is unloaded", name);
  if (!loaded && failure.empty())
    throw NotLoaded(fmt::format("model \"{}\" is not loaded yet", name));
  if (!loaded) throw NotLoaded(fmt::format("model \"{}\" could not be loaded", name));
  if (version && *version != loaded->version)
    fail(ErrorCode::NotFound, "model \"{}\" has version {} loaded, not {}", name, loaded->version,
         *version);
  return loaded;
}

bool Repository::ready() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(
      entries_, [](const auto& entry) { return entry.second.loaded || !entry.second.wanted; });
}

std::vector<IndexEntry> Repository::index() const {
  std::vector<IndexEntry> list;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    if (entry.loaded) list.push_back({name, entry.loaded->version, "READY", ""});
    if (!entry.failure.empty()) {
      list.push_back({name, entry.failed_version, "UNAVAILABLE", entry.failure});
    } else if (!entry.loaded) {
      list.push_back({name, 0, "UNAVAILABLE", entry.wanted ? "not loaded yet" : "unloaded"});
    }
  }
  return list;
}

std::map<std::pair<std::string, int64_t>, int64_t> Repository::pending() const {
  std::map<std::pair<std::string, int64_t>, int64_t> counts;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : entries_)
    if (entry.loaded)
      counts[{name, entry.loaded->version}] = scheduler_.waiting(*entry.loaded->queue);
  return counts;
}

}  // namespace veilnet::service
