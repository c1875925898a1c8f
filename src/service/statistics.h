// What the server counts, once, for the statistics of the protocol and for Prometheus.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "service/scheduler.h"

namespace veilnet::service {

/// Counts and nanoseconds.
struct Tally {
  uint64_t count = 0;
  uint64_t ns = 0;
  void add(Clock::duration time, uint64_t times = 1);
};

/// Times in buckets whose upper bounds are `kBucketsUs`.
inline constexpr std::array<int, 12> kBucketsUs = {
    100, 250, 500, 1'000, 2'500, 5'000, 10'000, 25'000, 50'000, 100'000, 500'000, 1'000'000};
struct Histogram {
  std::array<uint64_t, kBucketsUs.size() + 1> counts{};  ///< the last one: above all bounds
  Tally total;
  void add(Clock::duration time);
};

/// Of one version of one model. All functions may be called from several threads at once.
class ModelStatistics {
 public:
  /// A request that was answered: its pictures, from arrival to answer, waiting and computing.
  void succeeded(int64_t pictures, Clock::duration whole, const Times& times);
  void failed(Reason reason, Clock::duration whole);
  /// A batch that was computed.
  void computed(int64_t pictures, Clock::duration time);
  /// Pictures that the leak guard took for plain ones and was told to let pass.
  void doubted(int64_t pictures);

 private:
  friend class Statistics;
  mutable std::mutex mutex_;
  uint64_t pictures_ = 0, batches_ = 0, doubted_ = 0, last_ms_ = 0;
  Tally success_, failure_;
  std::map<Reason, uint64_t> reasons_;
  Histogram request_, queue_, compute_;
  std::map<int64_t, Tally> by_batch_;
};

class Statistics {
 public:
  /// Counts an answer of a protocol, "http" or "grpc".
  void answered(std::string_view protocol, std::string_view route, std::string_view status);

  /// Those of this version, zero at first; kept when the version is unloaded and loaded again.
  std::shared_ptr<ModelStatistics> of(const std::string& model, int64_t version);

  /// The body of the protocol's statistics: {"model_stats": [...]}, of one model or ("") all.
  nlohmann::json to_json(const std::string& model = "") const;

  /// Prometheus' text format, version 0.0.4, with Triton's names. `pending` tells how many pictures
  /// wait by model and version.
  std::string to_prometheus(
      const std::map<std::pair<std::string, int64_t>, int64_t>& pending) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int64_t>, std::shared_ptr<ModelStatistics>> models_;
  /// Of each protocol, by route and status.
  std::map<std::string, std::map<std::pair<std::string, std::string>, uint64_t>, std::less<>>
      answers_;
};

}  // namespace veilnet::service
