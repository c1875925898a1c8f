#include "service/scheduler.h"

#include <array>
#include <atomic>
#include <future>
#include <thread>

#include "support.h"

namespace veilnet::service {
namespace {

using namespace std::chrono_literals;

// A "model" of one class whose logit is the picture's one byte.
struct Recorder {
  std::mutex mutex;
  std::vector<int64_t> batches;
  std::atomic<bool> fails = false;

  std::shared_ptr<Queue> queue(const BatchOptions& options) {
    return std::make_shared<Queue>(
        [this](std::span<const uint8_t> pixels, int64_t) {
          if (fails) throw Error(ErrorCode::BadData, "no luck");
          return std::vector<float>(pixels.begin(), pixels.end());
        },
        options,
        [this](int64_t count, Clock::duration) {
          const std::lock_guard lock(mutex);
          batches.push_back(count);
        });
  }
};

std::future<Result> ask(Scheduler& scheduler, const std::shared_ptr<Queue>& queue,
                        std::vector<uint8_t> pixels, std::chrono::milliseconds timeout = 0ms,
                        std::stop_token cancelled = {}, int priority = 2) {
  const auto promise = std::make_shared<std::promise<Result>>();
  Job job;
  job.pictures.count = static_cast<int64_t>(pixels.size());
  job.pictures.memory = std::move(pixels);
  job.pictures.pixels_nhwc = job.pictures.memory;
  job.timeout = timeout;
  job.cancelled = std::move(cancelled);
  job.priority = priority;
  job.done = [promise](Result result) { promise->set_value(std::move(result)); };
  scheduler.submit(queue, std::move(job));
  return promise->get_future();
}

Reason reason_of(std::future<Result> result) {
  const auto value = result.get();
  EXPECT_TRUE(std::holds_alternative<Failure>(value));
  return std::get<Failure>(value).reason;
}

TEST(Scheduler, PutsWaitingRequestsTogetherAndDividesTheirAnswers) {
  Recorder model;
  Scheduler scheduler(1);
  const auto queue = model.queue({.max_batch = 5, .max_delay = 10s});
  std::vector<std::future<Result>> results;
  results.push_back(ask(scheduler, queue, {1, 2}));
  results.push_back(ask(scheduler, queue, {3}));
  EXPECT_EQ(scheduler.waiting(*queue), 3);
  results.push_back(ask(scheduler, queue, {4, 5}));  // the batch is full
  EXPECT_EQ(std::get<Computed>(results[0].get()).logits, (std::vector<float>{1, 2}));
  EXPECT_EQ(std::get<Computed>(results[1].get()).logits, (std::vector<float>{3}));
  EXPECT_EQ(std::get<Computed>(results[2].get()).logits, (std::vector<float>{4, 5}));
  EXPECT_EQ(model.batches, (std::vector<int64_t>{5}));
}

TEST(Scheduler, WaitsNoLongerThanTheDelayAndDividesNoRequest) {
  Recorder model;
  Scheduler scheduler(2);
  const auto queue = model.queue({.max_batch = 4, .max_delay = 1ms});
  EXPECT_EQ(std::get<Computed>(ask(scheduler, queue, {9}).get()).logits.size(), 1u);
  EXPECT_EQ(std::get<Computed>(ask(scheduler, queue, {1, 2, 3, 4, 5, 6}).get()).logits.size(), 6u);
}

TEST(Scheduler, RefusesWhatTheQueueDoesNotHoldAndGoesOn) {
  Recorder model;
  Scheduler scheduler(1);
  const auto queue = model.queue({.max_batch = 100, .max_delay = 300ms, .max_queue = 2});
  auto first = ask(scheduler, queue, {1});
  auto second = ask(scheduler, queue, {2});
  auto third = ask(scheduler, queue, {3});
  EXPECT_EQ(third.wait_for(0s), std::future_status::ready);  // at once
  EXPECT_EQ(reason_of(std::move(third)), Reason::Overloaded);
  EXPECT_EQ(std::get<Computed>(first.get()).logits[0], 1);
  EXPECT_EQ(std::get<Computed>(second.get()).logits[0], 2);
  EXPECT_EQ(std::get<Computed>(ask(scheduler, queue, {3}).get()).logits[0], 3);
}

TEST(Scheduler, EndsWhatWaitsTooLong) {
  Recorder model;
  Scheduler scheduler(1);
  const auto queue = model.queue({.max_batch = 100, .max_delay = 200ms});
  auto late = ask(scheduler, queue, {1}, 5ms);
  auto good = ask(scheduler, queue, {2});
  EXPECT_EQ(reason_of(std::move(late)), Reason::TimedOut);
  EXPECT_EQ(std::get<Computed>(good.get()).logits[0], 2);
}

TEST(Scheduler, TellsEveryRequestOfABatchThatFailed) {
  Recorder model;
  Scheduler scheduler(1);
  const auto queue = model.queue({.max_batch = 2, .max_delay = 10s});
  model.fails = true;
  auto first = ask(scheduler, queue, {1}), second = ask(scheduler, queue, {2});
  EXPECT_EQ(reason_of(std::move(first)), Reason::Failed);
  EXPECT_EQ(reason_of(std::move(second)), Reason::Failed);
  model.fails = false;
  first = ask(scheduler, queue, {1, 2});
  EXPECT_TRUE(std::holds_alternative<Computed>(first.get()));
}

TEST(Scheduler, ComputesByPriorityAndThenByArrival) {
  std::mutex mutex;
  std::vector<uint8_t> order;
  std::promise<void> begun, go_on;
  std::once_flag first;
  const auto queue = std::make_shared<Queue>(
      [&](std::span<const uint8_t> pixels, int64_t) {
        std::call_once(first, [&] {
          begun.set_value();
          go_on.get_future().wait();
        });
        const std::lock_guard lock(mutex);
        order.insert(order.end(), pixels.begin(), pixels.end());
        return std::vector<float>(pixels.begin(), pixels.end());
      },
      BatchOptions{.max_batch = 2, .max_delay = 0us}, [](int64_t, Clock::duration) {});
  std::vector<std::future<Result>> results;
  {
    Scheduler scheduler(1);
    results.push_back(ask(scheduler, queue, {0}));
    begun.get_future().wait();
    const std::array<int, 6> priorities{3, 2, 1, 3, 2, 1};
    for (uint8_t i = 0; i < priorities.size(); ++i)
      results.push_back(
          ask(scheduler, queue, {static_cast<uint8_t>(i + 1)}, 0ms, {}, priorities[i]));
    go_on.set_value();
  }
  EXPECT_EQ(order, (std::vector<uint8_t>{0, 3, 6, 2, 5, 1, 4}));
  for (size_t i = 0; i < results.size(); ++i)
    EXPECT_EQ(std::get<Computed>(results[i].get()).logits[0], static_cast<float>(i));
}

TEST(Scheduler, WaitsForTheOldestPictureWhateverItsPriority) {
  Recorder model;
  Scheduler scheduler(1);
  const auto queue = model.queue({.max_batch = 100, .max_delay = 1500ms});
  auto low = ask(scheduler, queue, {1}, 0ms, {}, 3);
  std::this_thread::sleep_for(1s);
  auto high = ask(scheduler, queue, {2}, 0ms, {}, 1);
  const auto begin = Clock::now();
  EXPECT_EQ(std::get<Computed>(low.get()).logits[0], 1);
  EXPECT_LT(Clock::now() - begin, 1400ms);
  EXPECT_EQ(std::get<Computed>(high.get()).logits[0], 2);
  EXPECT_EQ(model.batches, (std::vector<int64_t>{2}));
}

TEST(Scheduler, DropsWhatNobodyWaitsForAndGivesItsPlaceAway) {
  Recorder model;
  Scheduler scheduler(1);
  const auto queue = model.queue({.max_batch = 100, .max_delay = 300ms, .max_queue = 2});
  std::stop_source client, other;
  auto gone = ask(scheduler, queue, {1}, 0ms, client.get_token());
  auto stays = ask(scheduler, queue, {2}, 0ms, other.get_token());
  client.request_stop();
  auto next = ask(scheduler, queue, {3});
  EXPECT_EQ(reason_of(std::move(gone)), Reason::Cancelled);
  EXPECT_EQ(std::get<Computed>(stays.get()).logits[0], 2);
  EXPECT_EQ(std::get<Computed>(next.get()).logits[0], 3);
  EXPECT_EQ(model.batches, (std::vector<int64_t>{2}));
  // Without anybody in need of the place, it is dropped when its turn comes.
  auto last = ask(scheduler, queue, {4}, 0ms, client.get_token());
  EXPECT_EQ(reason_of(std::move(last)), Reason::Cancelled);
}

TEST(Scheduler, ComputesWhatWaitsBeforeItEnds) {
  Recorder model;
  std::vector<std::future<Result>> results;
  {
    Scheduler scheduler(2);
    const auto one = model.queue({.max_batch = 8, .max_delay = 10s});
    const auto other = model.queue({.max_batch = 8, .max_delay = 10s});
    for (uint8_t i = 0; i < 20; ++i) results.push_back(ask(scheduler, i % 3 ? one : other, {i}));
  }
  for (size_t i = 0; i < results.size(); ++i)
    EXPECT_EQ(std::get<Computed>(results[i].get()).logits[0], static_cast<float>(i));
}

}  // namespace
}  // namespace veilnet::service
