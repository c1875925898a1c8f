#include "service/inference.h"

#include <fmt/format.h>

#include "core/error.h"

namespace veilnet::service {
namespace {

// How many of these pictures the guard takes for unprotected ones.
int64_t unprotected_among(const Served& served, const Pictures& pictures) {
  if (!served.unprotected) return 0;
  const auto bytes = static_cast<size_t>(served.form.height * served.form.width * 3);
  int64_t doubtful = 0;
  for (size_t at = 0; at < pictures.pixels_nhwc.size(); at += bytes)
    doubtful += served.unprotected(pictures.pixels_nhwc.subspan(at, bytes));
  return doubtful;
}

}  // namespace

void infer(Scheduler& scheduler, const std::shared_ptr<const Served>& served,
           const std::function<Job()>& read, std::function<void(Result)> done) {
  auto finish = [served, begin = Clock::now(), done = std::move(done)](Result result) {
    const auto whole = Clock::now() - begin;
    if (const auto* failure = std::get_if<Failure>(&result)) {
      served->statistics->failed(failure->reason, whole);
    } else {
      const auto& computed = std::get<Computed>(result);
      served->statistics->succeeded(computed.pictures, whole, computed.times);
    }
    done(std::move(result));
  };
  Job job;
  try {
    job = read();
  } catch (const Error& e) {
    return finish(Failure{reason_of(e.code()), e.what()});
  }
  const auto doubtful = unprotected_among(*served, job.pictures);
  if (doubtful > 0 && served->guard_action == GuardAction::Refuse)
    return finish(Failure{Reason::Unprotected,
                          fmt::format("{} of {} pictures look unprotected and were not looked at; "
                                      "protect them first (veilnet protect)",
                                      doubtful, job.pictures.count)});
  job.done = std::move(finish);
  if (doubtful > 0)
    job.done = [served, doubtful, done = std::move(job.done)](Result result) {
      if (auto* computed = std::get_if<Computed>(&result)) {
        served->statistics->doubted(doubtful);
        if (served->guard_action == GuardAction::Warn) computed->unprotected = doubtful;
      }
      done(std::move(result));
    };
  scheduler.submit(served->queue, std::move(job));
}

}  // namespace veilnet::service
