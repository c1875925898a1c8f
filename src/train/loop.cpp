#include "train/loop.h"

#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <spdlog/spdlog.h>
#include <sstream>
#include <torch/nn/modules/batchnorm.h>
#include <torch/utils.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/progress.h"
#include "core/signals.h"
#include "nn/whole_batch_norm.h"
#include "train/checkpoint.h"
#include "train/step.h"

namespace veilnet::train {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

std::map<std::string, torch::Tensor> copy_weights(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> copy;
  for (const auto& [name, tensor] : nn::state_tensors(module)) copy[name] = tensor.detach().clone();
  return copy;
}

std::map<std::string, double> validate(Task& task, const TrainingSet& set, const Recipe& recipe,
                                       const Compute& compute, const StepInfo& info) {
  torch::NoGradGuard no_grad;
  auto& net = *task.model().net;
  net.eval();
  constexpr const char* kBatches = " batches";  // no figure has a name with a blank
  std::map<std::string, double> sums;
  set.for_each_validation_batch(
      recipe, compute.device,
      [&](const Batch& batch) {
        Autocast autocast(compute);
        for (const auto& [name, value] : task.validation_means(batch, info)) sums[name] += value;
        ++sums[kBatches];
      },
      info.part);
  net.train();
  if (compute.group) sums = compute.group->sum(sums);
  const double batches = sums.extract(kBatches).mapped();
  for (auto& [name, sum] : sums) sum /= batches;
  return sums;
}

// "45 s", "12 min", "3.5 h".
std::string about(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  if (seconds < 90 * 60) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

// The running statistics of batch normalisation forget the values they began with by 0.9 a step.
// In a shorter training they are measured, or the network fails in evaluation mode whatever it has
// learned.
void settle_batch_norm(Task& task, const TrainingSet& set, const Recipe& recipe,
                       const Compute& compute, const StepInfo& info) {
  constexpr int64_t kForgotten = 100, kBatches = 20;
  if (info.total_steps >= kForgotten) return;
  auto& net = *task.model().net;
  const auto each = [&](auto&& use) {
    for (const auto& module : net.modules()) {
      if (auto* of_maps = module->as<torch::nn::BatchNorm2d>()) use(*of_maps);
      if (auto* of_vectors = module->as<torch::nn::BatchNorm1d>()) use(*of_vectors);
    }
  };
  std::vector<c10::optional<double>> momenta;
  each([&](auto& layer) {
    layer.reset_running_stats();
    momenta.push_back(layer.options.momentum());
    layer.options.momentum(c10::nullopt);  // the mean over all batches
  });
  if (momenta.empty()) return;
  torch::NoGradGuard no_grad;
  auto batches = set.batches(recipe, compute.device, 0, info.part);
  for (int64_t i = 0; i < kBatches; ++i) {
    Autocast autocast(compute);
    task.training_losses(batches.next(), info);
  }
  auto momentum = momenta.begin();
  each([&](auto& layer) { layer.options.momentum(*momentum++); });
}

// The lines of a run's log, and the progress on the terminal.
class Journal {
 public:
  Journal(const Run& run, const Recipe& recipe, const Compute& compute, const StepInfo& info)
      : title_(run.title),
        log_(run.folder / "log.jsonl"),
        progress_(run.title, static_cast<uint64_t>(info.total_steps),
                  static_cast<uint64_t>(info.step), "steps"),
        recipe_(recipe),
        logged_step_(info.step) {
    log_.write(json{{"event", run.resume ? "resume" : "start"},
                    {"step", info.step},
                    {"total_steps", info.total_steps},
                    {"compute", describe(compute)}}
                   .dump());
  }

  // info.step steps are done.
  void step(const Losses& losses, const StepInfo& info) {
    const double images_per_s = static_cast<double>((info.step - logged_step_) * info.batch_size) /
                                std::max(seconds_since(since_), 1e-9);
    json line = {
        {"step", info.step},
        {"epoch", static_cast<double>(info.step) / static_cast<double>(info.steps_per_epoch)},
        {"lr", learning_rate(recipe_, info.step - 1, info.total_steps, info.steps_per_epoch)},
        {"loss", losses.total.item<double>()},
        {"images_per_s", images_per_s}};
    std::ostringstream note;
    note.precision(3);
    for (const auto& [name, value] : losses.parts) {
      line[name] = value.item<double>();
      note << name << ' ' << value.item<double>() << "  ";
    }
    note << static_cast<int64_t>(images_per_s) << " images/s";
    log_.write(line.dump());
    progress_.update(static_cast<uint64_t>(info.step), note.str());
    since_ = Clock::now();
    logged_step_ = info.step;
  }

  // What is left takes as long a step as those since `begin`, when `first` steps were done.
  void estimate(Clock::time_point begin, int64_t first, const StepInfo& info) const {
    const double seconds = seconds_since(begin) / static_cast<double>(info.step - first) *
                           static_cast<double>(info.total_steps - info.step);
    if (seconds < 30) return;
    spdlog::info("{}: {} epochs of {} steps; the {} steps left take about {}", title_,
                 recipe_.epochs, info.steps_per_epoch, info.total_steps - info.step,
                 about(seconds));
  }

  void validation(const std::map<std::string, double>& figures, const StepInfo& info) {
    log_.write(json{
        {"event", "validation"},
        {"step", info.step},
        {"epoch", info.step / info.steps_per_epoch},
        {"figures",
         figures}}.dump());
    since_ = Clock::now();
    logged_step_ = info.step;
  }

  void done(const TrainingState& state) {
    log_.write(json{{"event", "done"},
                    {"step", state.step},
                    {"kept_epoch", state.best_epoch},
                    {"figures", state.best_figures}}
                   .dump());
  }

 private:
  std::string title_;
  JsonLog log_;
  Progress progress_;
  const Recipe& recipe_;
  Clock::time_point since_ = Clock::now();
  int64_t logged_step_;
};

// The best epoch's weights become the model's, which is written.
void keep_best(nn::Model& model, const TrainingState& state, const Run& run,
               const Compute& compute) {
  auto& net = *model.net;
  {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : nn::state_tensors(net)) {
      auto best = state.best.at(name).contiguous();
      // Where machines round differently, what is built on the model must not.
      if (compute.group) compute.group->take_from_first(best);
      tensor.copy_(best);
    }
  }
  net.eval();
  for (auto& p : net.parameters()) p.set_requires_grad(false);
  for (const auto& [name, value] : state.best_figures)
    model.card.notes["metric.validation_" + name] = json(value).dump();
  model.card.notes["epoch"] = std::to_string(state.best_epoch);
  model.card.notes[kStageNote] = run.key;
  if (compute.writes()) save_model(model, run.folder / "model.safetensors", Overwrite::Yes);
}

// What of a training's batches this process takes: the first of all of them is the first of the
// group.
data::Part part_of(const Compute& compute, int64_t batch_size) {
  if (!compute.group) return {};
  const int64_t size = compute.group->size();
  if (batch_size < size)
    fail(ErrorCode::InvalidArgument,
         "a batch has {} pictures and there are {} processes; each takes one or more (batch_size)",
         batch_size, size);
  return {compute.group->rank(), size};
}

// All go on from the same step, or some have read another checkpoint than the first has.
void check_same_step(Group& group, int64_t step) {
  const auto first = group.from_first([&] { return std::to_string(step); });
  if (first != std::to_string(step))
    fail(
        ErrorCode::BadData,
        "process {} would go on from step {}, process 0 from step {}; all must see the same folder "
        "of the run",
        group.rank(), step, first);
}

}  // namespace

void run_training(Task& task, const TrainingSet& set, const Recipe& recipe, const Compute& compute,
                  const Run& run) {
  if (run.rehearsal)
    return rehearse(task, set, recipe, compute, run.title, run.key, *run.rehearsal);
  const InterruptGuard guard;
  auto& net = *task.model().net;
  auto* const group = compute.group.get();
  StepInfo info;
  info.steps_per_epoch = set.steps_per_epoch(recipe);
  info.total_steps = info.steps_per_epoch * recipe.epochs;
  info.batch_size = set.batch_size(recipe);
  info.seed = recipe.seed;
  info.part = part_of(compute, info.batch_size);
  if (group) group->meet();
  Step step(task, recipe, compute);
  std::optional<nn::WholeBatchNorm> whole_batch_norm;
  if (group) whole_batch_norm.emplace([group](const torch::Tensor& sums) { group->sum(sums); });

  TrainingState state;
  const Checkpoint checkpoint{run.key, net, step.auxiliary(), step.optimizer()};
  const auto checkpoint_path = run.folder / "checkpoint" / "state.pt";
  if (run.resume) {
    state = load_checkpoint(checkpoint_path, checkpoint, info.total_steps, compute.device);
    nn::move_to(net, compute.device);
    info.step = state.step;
  }
  if (group) check_same_step(*group, info.step);
  auto batches = set.batches(recipe, compute.device, info.step, info.part);
  std::optional<Journal> journal;
  if (compute.writes()) journal.emplace(run, recipe, compute, info);
  // The first step also allocates; nine more tell how long the rest will take.
  const int64_t first = info.step + 1, enough = first + 9;
  Clock::time_point begin;

  auto saved = Clock::now();
  const auto save = [&] {
    if (!compute.writes()) return;
    state.step = info.step;
    save_checkpoint(checkpoint_path, checkpoint, state);
    saved = Clock::now();
  };
  const auto agreed = [&](bool mine) { return group ? group->any(mine) : mine; };
  const auto end_epoch = [&] {
    settle_batch_norm(task, set, recipe, compute, info);
    const auto figures = validate(task, set, recipe, compute, info);
    const double loss = figures.at("loss");
    if (!std::isfinite(loss))
      fail(ErrorCode::Diverged,
           "training diverged: the validation loss after step {} is not finite", info.step);
    if (journal) journal->validation(figures, info);
    state.validated = info.step / info.steps_per_epoch;
    if (recipe.select == "last" || state.best_epoch == 0 || loss <= state.best_figures.at("loss")) {
      state.best = copy_weights(net);
      state.best_figures = figures;
      state.best_epoch = state.validated;
    }
  };
  const auto train = [&] {
    // A process was lost before this epoch was validated.
    if (info.step % info.steps_per_epoch == 0 && state.validated < info.step / info.steps_per_epoch)
      end_epoch();
    while (info.step < info.total_steps) {
      const auto batch = batches.next();
      const auto losses = step.take(batch, info);
      ++info.step;
      if (info.step == first) begin = Clock::now();
      if (info.step == enough && journal) journal->estimate(begin, first, info);

      const bool epoch_ends = info.step % info.steps_per_epoch == 0;
      const bool stop = agreed(interrupted()) && info.step < info.total_steps;
      const bool due =
          agreed(compute.writes() && seconds_since(saved) > run.checkpoint_minutes * 60);
      const bool log = info.step % run.log_every_steps == 0;
      if (log || epoch_ends || stop || due) step.check(losses, info.step);
      if (log && journal) journal->step(losses, info);
      if (epoch_ends) end_epoch();
      if (stop || due) save();
      if (stop)
        fail(
            ErrorCode::Interrupted,
            "interrupted at step {} of {}; the state is in {}. The same command goes on from there "
            "(train and attack: with --resume)",
            info.step, info.total_steps, checkpoint_path.string());
    }
  };
  try {
    train();
  } catch (const std::exception& e) {
    if (!group || !group->lost()) throw;
    step.undo();
    save();
    fail(ErrorCode::Io,
         "stopped after step {} of {}: {}. {} in {}; the same command with --resume goes on from "
         "there, with any number of processes",
         info.step, info.total_steps, e.what(),
         compute.writes() ? "The state is" : "What process 0 has saved is",
         checkpoint_path.string());
  }
  save();
  keep_best(task.model(), state, run, compute);
  if (journal) journal->done(state);
}

}  // namespace veilnet::train
