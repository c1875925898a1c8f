// The processes that train one network together, over LibTorch's c10d and Gloo.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <torch/types.h>

#include "train/place.h"

namespace veilnet::train {

/// Every process must call the same functions in the same order, from one thread; only start_sum
/// has an order of its own. Sums are the same bits on every process. What travels is neither
/// encrypted nor authenticated: it is for a network of one's own.
///
/// Every function throws Error{Io} once a process has gone or does not answer in time, and lost()
/// says so from then on. A process that ends closes its connections, which the others notice at
/// once; one whose machine is gone, or that is stopped, is noticed after `patience`.
class Group {
 public:
  /// Waits until all have come, at most five minutes.
  /// @throws Error{Io} when not all come; Error{Unsupported} where the program was built without
  /// Gloo.
  Group(const Place& place, std::chrono::seconds patience);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int rank() const { return place_.rank; }
  int size() const { return place_.size; }
  /// Process 0: it alone writes files, logs and progress.
  bool first() const { return place_.rank == 0; }
  bool lost() const;

  /// Waits for all as long as the constructor does: before what some reach much later than others.
  void meet();
  /// In place, a contiguous tensor on the CPU.
  void sum(const torch::Tensor& tensor);
  /// Begins the same. @return what waits for its end.
  std::function<void()> start_sum(const torch::Tensor& tensor);
  /// What process 0 has, for all; in place.
  void take_from_first(const torch::Tensor& tensor);
  /// What `make` returns on process 0, where alone it is called. What it throws there, all throw.
  /// Waits as meet does.
  std::string from_first(const std::function<std::string()>& make);

  /// Whether any process says so.
  bool any(bool mine);
  /// Sums by name. Process 0 must have all names; another without one adds nothing to it.
  std::map<std::string, double> sum(const std::map<std::string, double>& mine);

 private:
  struct Connections;
  /// @param meets whether it waits as meet does, or for `patience`.
  std::string from_first(const std::function<std::string()>& make, bool meets);
  Place place_;
  std::unique_ptr<Connections> connections_;
};

}  // namespace veilnet::train
