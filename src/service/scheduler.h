// Batches from requests: pictures that wait for one model are computed together.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "core/error.h"

namespace veilnet::service {

using Clock = std::chrono::steady_clock;

/// Why a request got no answer, for whoever branches on it. Closed.
enum class Reason {
  Malformed,    ///< the request is not what the protocol or the model allows
  NotFound,     ///< no such model, version or path
  Unprotected,  ///< the leak guard took a picture for a plain one
  Overloaded,   ///< the queue is full
  TimedOut,     ///< not begun before its time was over
  Cancelled,    ///< the client is gone
  Failed,       ///< the computation failed
};

/// Of an error thrown while a request is answered.
Reason reason_of(ErrorCode code);

struct Failure {
  Reason reason;
  std::string message;
};

struct BatchOptions {
  int64_t max_batch = 32;                     ///< pictures computed together, 1 to 4096
  std::chrono::microseconds max_delay{500};   ///< that a picture waits for others
  int64_t max_queue = 1024;                   ///< pictures that wait; a request beyond is refused
  std::chrono::milliseconds timeout{10'000};  ///< from arrival to the begin of the computation
};

/// Pictures of one request, all of the model's size. The bytes lie in `memory`.
struct Pictures {
  int64_t count = 0;
  std::span<const uint8_t> pixels_nhwc;
  std::vector<uint8_t> memory;
};

/// Times of one request's pictures, for the statistics.
struct Times {
  Clock::duration queue{}, compute{};
};

struct Computed {
  int64_t pictures = 0;
  std::vector<float> logits;  ///< [pictures, classes]
  Times times;
  int64_t unprotected = 0;  ///< pictures whose sender is to be warned of
};
using Result = std::variant<Computed, Failure>;

/// Levels of priority: what waits at 1 is computed before what waits at 2, and so on.
inline constexpr int kPriorities = 3;

struct Job {
  Pictures pictures{};
  std::chrono::milliseconds timeout{};  ///< 0: the queue's
  int priority = 2;                     ///< 1, the first, to kPriorities
  /// Asked to stop when the client is gone: what still waits is not computed.
  std::stop_token cancelled{};
  /// Called once, on a worker's thread, which waits for it.
  std::function<void(Result)> done{};
};

/// The queue of one model. What it computes with outlives it.
class Queue {
 public:
  /// Logits of `count` pictures. Called on several threads at once.
  using Compute =
      std::function<std::vector<float>(std::span<const uint8_t> pixels_nhwc, int64_t count)>;
  /// Told of every batch: pictures and the time that it took.
  using Observer = std::function<void(int64_t count, Clock::duration)>;

  Queue(Compute compute, BatchOptions options, Observer observer)
      : compute_(std::move(compute)), options_(options), observer_(std::move(observer)) {}

 private:
  friend class Scheduler;
  struct Waiting {
    Job job;
    Clock::time_point arrival, deadline;
  };

  Compute compute_;
  BatchOptions options_;
  Observer observer_;
  std::deque<Waiting> waiting_;  ///< by priority, then arrival
  int64_t pictures_ = 0;
};

/// The threads that compute, shared by the queues of all models, so that no more threads compute
/// than there are workers.
///
/// A batch is begun when a worker is free and a queue holds a whole batch or its oldest picture has
/// waited max_delay. A request is never divided among batches; one that is larger than a batch is
/// computed alone. Queues take turns, and a queue's jobs go by priority; what they wait for those
/// before them is bounded by their timeout alone.
class Scheduler {
 public:
  explicit Scheduler(int workers);
  /// Computes what still waits, then ends.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Puts a job behind those of its priority. Where that is full, the job is done at once, with
  /// Overloaded, on this thread.
  void submit(const std::shared_ptr<Queue>& queue, Job job);

  /// Pictures that wait in this queue.
  int64_t waiting(const Queue& queue) const;

 private:
  struct Batch {
    std::shared_ptr<Queue> queue;
    std::vector<Queue::Waiting> jobs;
    int64_t count = 0;
  };

  void work();
  void take_over(std::vector<Queue::Waiting>& over, Clock::time_point now);
  static void give_up(const Queue::Waiting& one, Clock::time_point now);
  Batch take(Clock::time_point now, Clock::time_point& next);
  static void run(Batch batch);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::shared_ptr<Queue>> queues_;  ///< those in which something waits, next turn first
  bool ending_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace veilnet::service
