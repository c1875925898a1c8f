#include "service/scheduler.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "core/text.h"

namespace veilnet::service {

Reason reason_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument:
    case ErrorCode::BadData: return Reason::Malformed;
    case ErrorCode::NotFound: return Reason::NotFound;
    default: return Reason::Failed;
  }
}

Scheduler::Scheduler(int workers) {
  for (int i = 0; i < std::max(workers, 1); ++i) workers_.emplace_back([this] { work(); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void Scheduler::submit(const std::shared_ptr<Queue>& queue, Job job) {
  const auto& options = queue->options_;
  const auto now = Clock::now();
  const auto timeout =
      job.timeout.count() > 0 ? std::min(job.timeout, options.timeout) : options.timeout;
  std::vector<Queue::Waiting> over;
  std::function<void(Result)> refuse;
  {
    const std::lock_guard lock(mutex_);
    // A request larger than the queue is taken while nothing else waits.
    const auto fits = [&] {
      return queue->waiting_.empty() || queue->pictures_ + job.pictures.count <= options.max_queue;
    };
    // What nobody waits for any more keeps nobody out.
    if (!fits()) take_over(over, now);
    if (fits()) {
      if (queue->waiting_.empty()) queues_.push_back(queue);
      queue->pictures_ += job.pictures.count;
      const auto place = std::ranges::upper_bound(queue->waiting_, job.priority, {},
                                                  [](const auto& one) { return one.job.priority; });
      queue->waiting_.insert(place, {std::move(job), now, now + timeout});
      changed_.notify_one();
    } else {
      refuse = std::move(job.done);
    }
  }
  for (const auto& one : over) give_up(one, now);
  if (refuse)
    refuse(Failure{Reason::Overloaded,
                   fmt::format("more than {} pictures wait; try again later", options.max_queue)});
}

int64_t Scheduler::waiting(const Queue& queue) const {
  const std::lock_guard lock(mutex_);
  return queue.pictures_;
}

// Takes the jobs out whose time is over or whose client is gone.
void Scheduler::take_over(std::vector<Queue::Waiting>& over, Clock::time_point now) {
  for (auto at = queues_.begin(); at != queues_.end();) {
    auto& queue = **at;
    auto& waiting = queue.waiting_;
    const auto goes_on = [&](const auto& one) {
      return one.deadline > now && !one.job.cancelled.stop_requested();
    };
    // A client may go between this look and the next one, so there is one alone.
    const auto late = std::stable_partition(waiting.begin(), waiting.end(), goes_on);
    if (late == waiting.end()) {
      ++at;
      continue;
    }
    for (auto one = late; one != waiting.end(); ++one) {
      queue.pictures_ -= one->job.pictures.count;
      over.push_back(std::move(*one));
    }
    waiting.erase(late, waiting.end());
    at = waiting.empty() ? queues_.erase(at) : std::next(at);
  }
}

// A client that gives up when the time that it gave is over was answered too late.
void Scheduler::give_up(const Queue::Waiting& one, Clock::time_point now) {
  one.job.done(one.deadline > now
                   ? Failure{Reason::Cancelled, "the client is gone"}
                   : Failure{Reason::TimedOut, "not begun in time; the server has too much to do"});
}

// The batch that is due, or none and the time to look again.
Scheduler::Batch Scheduler::take(Clock::time_point now, Clock::time_point& next) {
  for (auto at = queues_.begin(); at != queues_.end(); ++at) {
    const auto queue = *at;
    const auto& options = queue->options_;
    const auto oldest = std::ranges::min_element(queue->waiting_, {}, &Queue::Waiting::arrival);
    const auto due = oldest->arrival + options.max_delay;
    if (queue->pictures_ < options.max_batch && due > now && !ending_) {
      next = std::min(next, due);
      for (const auto& one : queue->waiting_) next = std::min(next, one.deadline);
      continue;
    }
    Batch batch{queue, {}, 0};
    auto& waiting = queue->waiting_;
    while (!waiting.empty()) {
      const auto count = waiting.front().job.pictures.count;
      if (batch.count > 0 && batch.count + count > options.max_batch) break;
      batch.count += count;
      batch.jobs.push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
    queue->pictures_ -= batch.count;
    queues_.erase(at);
    if (!waiting.empty()) queues_.push_back(queue);
    return batch;
  }
  return {};
}

void Scheduler::run(Batch batch) {
  const auto begin = Clock::now();
  std::span<const uint8_t> pixels = batch.jobs.front().job.pictures.pixels_nhwc;
  std::vector<uint8_t> together;
  if (batch.jobs.size() > 1) {
    together.reserve(pixels.size() / static_cast<size_t>(batch.jobs.front().job.pictures.count) *
                     static_cast<size_t>(batch.count));
    for (const auto& one : batch.jobs) {
      const auto own = one.job.pictures.pixels_nhwc;
      together.insert(together.end(), own.begin(), own.end());
    }
    pixels = together;
  }
  std::vector<float> logits;
  std::string failure;
  try {
    logits = batch.queue->compute_(pixels, batch.count);
  } catch (const std::exception& e) {
    failure = printable(e.what(), 400);
  }
  const auto compute = Clock::now() - begin;
  if (failure.empty()) batch.queue->observer_(batch.count, compute);
  const auto classes = logits.size() / static_cast<size_t>(batch.count);
  auto first = logits.begin();
  for (auto& one : batch.jobs) {
    if (!failure.empty()) {
      one.job.done(Failure{Reason::Failed, failure});
      continue;
    }
    const auto count = one.job.pictures.count;
    const auto last = first + static_cast<std::ptrdiff_t>(classes * static_cast<size_t>(count));
    one.job.done(Computed{count, {first, last}, {begin - one.arrival, compute}});
    first = last;
  }
}

void Scheduler::work() {
  while (true) {
    std::vector<Queue::Waiting> over;
    Batch batch;
    const auto now = Clock::now();
    {
      std::unique_lock lock(mutex_);
      auto next = Clock::time_point::max();
      take_over(over, now);
      batch = take(now, next);
      if (over.empty() && batch.jobs.empty()) {
        if (ending_) return;
        if (next == Clock::time_point::max()) {
          changed_.wait(lock);
        } else {
          changed_.wait_until(lock, next);
        }
        continue;
      }
      // What is left may be due for another worker.
      if (!queues_.empty()) changed_.notify_one();
    }
    for (const auto& one : over) give_up(one, now);
    if (!batch.jobs.empty()) run(std::move(batch));
  }
}

}  // namespace veilnet::service
