// Loading and unloading of models for clients.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "service/repository.h"
#include "service/scheduler.h"

namespace veilnet::service {

/// Does it on a thread of its own, since it takes too long for those that read requests; one model
/// at a time. All functions may be called from several threads at once.
class Control {
 public:
  /// Nothing: done.
  using Done = std::function<void(std::optional<Failure>)>;

  explicit Control(Repository& repository) : repository_(repository) {}
  ~Control();  ///< waits for what is under way
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// @param done called once, on this thread (Overloaded: another is under way) or another.
  void load(const std::string& model, Done done);
  void unload(const std::string& model, Done done);

 private:
  void start(std::function<void()> work, Done done);

  Repository& repository_;
  std::mutex mutex_;
  bool busy_ = false;
  std::thread thread_;
};

}  // namespace veilnet::service
