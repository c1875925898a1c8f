// The one way from a request to the model's logits, whatever protocol it came in.
#pragma once

#include <functional>
#include <memory>

#include "service/repository.h"
#include "service/scheduler.h"

namespace veilnet::service {

/// Makes a request's pictures with `read`, shows them to the leak guard, puts them into the model's
/// queue, and counts in the model's statistics what becomes of them.
/// @param read may throw Error: the request is Malformed. What it sets as `done` is not called.
/// @param done called once, on this thread or on a worker's, which waits for it.
void infer(Scheduler& scheduler, const std::shared_ptr<const Served>& served,
           const std::function<Job()>& read, std::function<void(Result)> done);

}  // namespace veilnet::service
