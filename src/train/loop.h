// The one training loop: psi, h and attack networks all go through it.
#pragma once

#include "train/batch_source.h"
#include "train/compute.h"
#include "train/recipe.h"
#include "train/run.h"
#include "train/task.h"

namespace veilnet::train {

/// Trains `task` and leaves model.safetensors, log.jsonl and checkpoint/state.pt in the folder of
/// the run; the card's notes have the validation figures of the kept epoch.
///
/// The order of pictures, augmentation and every draw inside LibTorch depend only on the recipe's
/// seed and the step, so a training resumed from a checkpoint ends with bit for bit the weights of
/// an uninterrupted one on the same machine, LibTorch and thread count. Epoch validation figures
/// are unweighted means of batch means, as in the reference.
///
/// With Compute::group: every process takes its part of every batch and of the validation, and all
/// end with the same weights, those of one process up to the order of sums; exceptions are draws
/// inside LibTorch, such as dropout's, which are other ones. The first process alone writes. A
/// signal to any ends all after the same step.
///
/// Of a training of fewer than 100 steps, the running statistics of batch normalisation are
/// measured before each validation, since so few steps leave them near where they began.
///
/// The loss is read every Run::log_every_steps steps and before a checkpoint, not every step.
///
/// With Run::rehearsal: rehearse, and nothing else.
///
/// @throws Error{Diverged} as Step::check, and for a validation loss that is not finite;
/// Error{Interrupted} after a signal, state saved; Error{Io} where a process was lost, the state
/// after the last whole step saved by the first process; Error{InvalidArgument} for more processes
/// than pictures in a batch; as Step and as load_checkpoint when resuming.
void run_training(Task& task, const TrainingSet& set, const Recipe& recipe, const Compute& compute,
                  const Run& run);

}  // namespace veilnet::train
