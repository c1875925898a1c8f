// What a training would take, without doing it.
#pragma once

#include <string>
#include <vector>

#include "train/batch_source.h"
#include "train/compute.h"
#include "train/recipe.h"
#include "train/task.h"

namespace veilnet::train {

/// One training of an experiment, as a few of its steps say.
struct Rehearsed {
  std::string title;
  std::string key;  ///< Run::key: what several need is one training
  int64_t steps = 0, batch_size = 0;
  double seconds = 0;     ///< of all its steps and validations, from the pace of the tried ones
  double peak_mb = 0;     ///< of this process's memory so far; 0 where the system does not say
  bool finished = false;  ///< its result is there already
};

/// Collects them: trainings that are given one try a few steps and write nothing.
struct Rehearsal {
  std::vector<Rehearsed> trainings;

  bool knows(const std::string& key) const;
  void add_finished(const std::string& title, const std::string& key);
};

/// Takes a few steps of a training, at most some seconds, and leaves its model as if it had ended.
/// One that was tried before is not tried again.
void rehearse(Task& task, const TrainingSet& set, const Recipe& recipe, const Compute& compute,
              const std::string& title, const std::string& key, Rehearsal& rehearsal);

}  // namespace veilnet::train
