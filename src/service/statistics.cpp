#include "service/statistics.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

namespace veilnet::service {
namespace {

using nlohmann::json;
using std::chrono::duration_cast;

uint64_t ns_of(Clock::duration time) {
  return static_cast<uint64_t>(
      std::max<int64_t>(duration_cast<std::chrono::nanoseconds>(time).count(), 0));
}

// Triton's reasons.
std::string_view reason_label(Reason reason) {
  switch (reason) {
    case Reason::Overloaded:
    case Reason::TimedOut: return "REJECTED";
    case Reason::Cancelled: return "CANCELED";
    case Reason::Failed: return "BACKEND";
    case Reason::Malformed:
    case Reason::NotFound:
    case Reason::Unprotected: return "OTHER";
  }
  return "OTHER";
}

json to_json(const Tally& tally) { return {{"count", tally.count}, {"ns", tally.ns}}; }

// A family of the text format: its two comment lines, then a line for each sample.
class Family {
 public:
  Family(std::string& out, std::string name, std::string_view type, std::string_view help)
      : out_(out), name_(std::move(name)) {
    fmt::format_to(std::back_inserter(out_), "# HELP {0} {2}\n# TYPE {0} {1}\n", name_, type, help);
  }
  template <class T>
  void sample(std::string_view labels, T value, std::string_view suffix = "") {
    fmt::format_to(std::back_inserter(out_), "{}{}{{{}}} {}\n", name_, suffix, labels, value);
  }
  void histogram(const std::string& labels, const Histogram& values) {
    uint64_t below = 0;
    for (size_t i = 0; i < values.counts.size(); ++i) {
      below += values.counts[i];
      const auto bound = i < kBucketsUs.size() ? fmt::format("{}", kBucketsUs[i]) : "+Inf";
      sample(fmt::format("{},le=\"{}\"", labels, bound), below, "_bucket");
    }
    sample(labels, values.total.ns / 1000, "_sum");
    sample(labels, values.total.count, "_count");
  }

 private:
  std::string& out_;
  std::string name_;
};

}  // namespace

void Tally::add(Clock::duration time, uint64_t times) {
  count += times;
  ns += ns_of(time);
}

void Histogram::add(Clock::duration time) {
  const auto us = static_cast<int64_t>(ns_of(time) / 1000);
  const auto bucket = std::ranges::lower_bound(kBucketsUs, us) - kBucketsUs.begin();
  ++counts[static_cast<size_t>(bucket)];
  total.add(time);
}

void ModelStatistics::succeeded(int64_t pictures, Clock::duration whole, const Times& times) {
  const std::lock_guard lock(mutex_);
  pictures_ += static_cast<uint64_t>(pictures);
  success_.add(whole);
  request_.add(whole);
  queue_.add(times.queue);
  compute_.add(times.compute);
  last_ms_ = static_cast<uint64_t>(
      duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

void ModelStatistics::failed(Reason reason, Clock::duration whole) {
  const std::lock_guard lock(mutex_);
  failure_.add(whole);
  ++reasons_[reason];
}

void ModelStatistics::computed(int64_t pictures, Clock::duration time) {
  const std::lock_guard lock(mutex_);
  ++batches_;
  by_batch_[pictures].add(time);
}

void ModelStatistics::doubted(int64_t pictures) {
  const std::lock_guard lock(mutex_);
  doubted_ += static_cast<uint64_t>(pictures);
}

std::shared_ptr<ModelStatistics> Statistics::of(const std::string& model, int64_t version) {
  const std::lock_guard lock(mutex_);
  auto& found = models_[{model, version}];
  if (!found) found = std::make_shared<ModelStatistics>();
  return found;
}

void Statistics::answered(std::string_view protocol, std::string_view route,
                          std::string_view status) {
  const std::lock_guard lock(mutex_);
  ++answers_[std::string(protocol)][{std::string(route), std::string(status)}];
}

json Statistics::to_json(const std::string& model) const {
  auto list = json::array();
  const std::lock_guard lock(mutex_);
  for (const auto& [key, one] : models_) {
    if (!model.empty() && key.first != model) continue;
    const std::lock_guard own(one->mutex_);
    auto batches = json::array();
    for (const auto& [size, tally] : one->by_batch_)
      batches.push_back({{"batch_size", size}, {"compute_infer", service::to_json(tally)}});
    list.push_back({{"name", key.first},
                    {"version", std::to_string(key.second)},
                    {"last_inference", one->last_ms_},
                    {"inference_count", one->pictures_},
                    {"execution_count", one->batches_},
                    {"inference_stats",
                     {{"success", service::to_json(one->success_)},
                      {"fail", service::to_json(one->failure_)},
                      {"queue", service::to_json(one->queue_.total)},
                      {"compute_infer", service::to_json(one->compute_.total)}}},
                    {"batch_stats", std::move(batches)}});
  }
  return {{"model_stats", std::move(list)}};
}

std::string Statistics::to_prometheus(
    const std::map<std::pair<std::string, int64_t>, int64_t>& pending) const {
  std::string out;
  const std::lock_guard lock(mutex_);
  // Names of models are checked when they are loaded and need no escapes.
  const auto labels = [](const auto& key) {
    return fmt::format("model=\"{}\",version=\"{}\"", key.first, key.second);
  };
  const auto each = [&](auto&& write) {
    for (const auto& [key, one] : models_) {
      const std::lock_guard own(one->mutex_);
      write(labels(key), *one);
    }
  };
  const auto counter = [&](const char* name, const char* help, auto value) {
    Family family(out, name, "counter", help);
    each([&](const std::string& of, const ModelStatistics& one) { family.sample(of, value(one)); });
  };
  counter("nv_inference_request_success", "Requests that were answered",
          [](const auto& one) { return one.success_.count; });
  {
    Family family(out, "nv_inference_request_failure", "counter",
                  "Requests that were not answered");
    each([&](const std::string& of, const ModelStatistics& one) {
      std::map<std::string_view, uint64_t> counts{
          {"REJECTED", 0}, {"CANCELED", 0}, {"BACKEND", 0}, {"OTHER", 0}};
      for (const auto& [reason, count] : one.reasons_) counts[reason_label(reason)] += count;
      for (const auto& [reason, count] : counts)
        family.sample(fmt::format("{},reason=\"{}\"", of, reason), count);
    });
  }
  counter("nv_inference_count", "Pictures that were named",
          [](const auto& one) { return one.pictures_; });
  counter("nv_inference_exec_count", "Batches that were computed",
          [](const auto& one) { return one.batches_; });
  counter("nv_inference_request_duration_us", "From arrival to answer, summed",
          [](const auto& one) { return one.request_.total.ns / 1000; });
  counter("nv_inference_queue_duration_us", "Waiting, summed over requests",
          [](const auto& one) { return one.queue_.total.ns / 1000; });
  counter("nv_inference_compute_infer_duration_us", "Computing, summed over requests",
          [](const auto& one) { return one.compute_.total.ns / 1000; });
  {
    Family family(out, "nv_inference_pending_request_count", "gauge", "Pictures that wait");
    for (const auto& [key, count] : pending) family.sample(labels(key), count);
  }
  const auto histogram = [&](const char* name, const char* help,
                             Histogram ModelStatistics::*values) {
    Family family(out, name, "histogram", help);
    each([&](const std::string& of, const ModelStatistics& one) {
      family.histogram(of, one.*values);
    });
  };
  histogram("veilnet_request_us", "From arrival to answer", &ModelStatistics::request_);
  histogram("veilnet_queue_us", "Waiting", &ModelStatistics::queue_);
  histogram("veilnet_compute_us", "Computing", &ModelStatistics::compute_);
  {
    Family family(out, "veilnet_guard_refused_total", "counter",
                  "Requests refused because a picture looks unprotected");
    each([&](const std::string& of, const ModelStatistics& one) {
      const auto found = one.reasons_.find(Reason::Unprotected);
      family.sample(of, found == one.reasons_.end() ? 0 : found->second);
    });
  }
  counter("veilnet_guard_doubted_total", "Pictures that look unprotected and were let pass",
          [](const auto& one) { return one.doubted_; });
  for (const auto& [protocol, answers] : answers_) {
    Family family(out, fmt::format("veilnet_{}_responses_total", protocol), "counter",
                  "Answers by route and status");
    for (const auto& [key, count] : answers)
      family.sample(fmt::format("route=\"{}\",status=\"{}\"", key.first, key.second), count);
  }
  return out;
}

}  // namespace veilnet::service
