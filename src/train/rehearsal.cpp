#include "train/rehearsal.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include "train/step.h"

namespace veilnet::train {
namespace {

using Clock = std::chrono::steady_clock;

double elapsed(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

double peak_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    double kb = 0;
    if (words >> key >> kb && key == "VmHWM:") return kb / 1024;
  }
  return 0;
}

}  // namespace

bool Rehearsal::knows(const std::string& key) const {
  return std::ranges::find(trainings, key, &Rehearsed::key) != trainings.end();
}

void Rehearsal::add_finished(const std::string& title, const std::string& key) {
  if (!knows(key)) trainings.push_back({.title = title, .key = key, .finished = true});
}

void rehearse(Task& task, const TrainingSet& set, const Recipe& recipe, const Compute& compute,
              const std::string& title, const std::string& key, Rehearsal& rehearsal) {
  const auto freeze = [&] {
    auto& net = *task.model().net;
    net.eval();
    for (auto& p : net.parameters()) p.set_requires_grad(false);
  };
  if (rehearsal.knows(key)) return freeze();
  // The first steps plan and allocate, and are slower.
  constexpr int64_t kFirst = 2, kMost = 12;
  constexpr double kSeconds = 5;
  Step step(task, recipe, compute);
  StepInfo info;
  info.steps_per_epoch = set.steps_per_epoch(recipe);
  info.total_steps = info.steps_per_epoch * recipe.epochs;
  auto batches = set.batches(recipe, compute.device, 0);
  auto begin = Clock::now();
  int64_t timed = 0;
  while (info.step < std::min(kMost, info.total_steps) &&
         (timed == 0 || elapsed(begin) < kSeconds)) {
    const auto batch = batches.next();
    const auto losses = step.take(batch, info);
    losses.total.item<double>();  // waits for the device
    ++info.step;
    if (info.step <= kFirst && info.total_steps > kFirst)
      begin = Clock::now();
    else
      ++timed;
  }
  const double pace = timed ? elapsed(begin) / static_cast<double>(timed) : 0;

  task.model().net->eval();
  begin = Clock::now();
  set.for_each_validation_batch(recipe, compute.device, [&](const Batch& batch) {
    torch::NoGradGuard no_grad;
    Autocast autocast(compute);
    task.validation_means(batch, info);
  });
  const double validation = elapsed(begin);
  freeze();
  rehearsal.trainings.push_back({title, key, info.total_steps, set.batch_size(recipe),
                                 pace * static_cast<double>(info.total_steps) +
                                     validation * static_cast<double>(recipe.epochs),
                                 peak_mb(), false});
}

}  // namespace veilnet::train
