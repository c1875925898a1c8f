#include "train/loop.h"

#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <sstream>
#include <torch/nn/utils/clip_grad.h>
#include <torch/utils.h>

#include "core/error.h"
#include "core/progress.h"
#include "train/checkpoint.h"

namespace veilnet::train {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr double kExplosion = 1e6;

std::map<std::string, torch::Tensor> copy_weights(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> copy;
  for (const auto& [name, tensor] : nn::state_tensors(module)) copy[name] = tensor.detach().clone();
  return copy;
}

void check_finite(const Losses& losses, int64_t step) {
  const double total = losses.total.item<double>();
  if (std::isfinite(total) && std::abs(total) <= kExplosion) return;
  std::ostringstream message;
  message << "training diverged at step " << step << ": loss is " << total;
  for (const auto& [name, value] : losses.parts)
    message << ", " << name << " is " << value.item<double>();
  message << "; allowed: finite and at most 1e6 in magnitude. Try a lower lr or set clip_norm";
  throw Error(ErrorCode::Diverged, message.str());
}

std::map<std::string, double> validate(Task& task, const data::Dataset& dataset,
                                       const data::Split& split, const Recipe& recipe,
                                       const Compute& compute, const StepInfo& info) {
  torch::NoGradGuard no_grad;
  auto& net = *task.model().net;
  net.eval();
  std::map<std::string, double> sums;
  int64_t batches = 0;
  for_each_batch(dataset, split.validation, 2 * recipe.batch_size, compute.device,
                 [&](const torch::Tensor& pictures, const torch::Tensor& labels, size_t) {
                   Autocast autocast(compute);
                   for (const auto& [name, value] : task.validation_means(pictures, labels, info))
                     sums[name] += value;
                   ++batches;
                 });
  net.train();
  for (auto& [name, sum] : sums) sum /= static_cast<double>(batches);
  return sums;
}

}  // namespace

void run_training(Task& task, const TrainingSet& set, const Recipe& recipe, const Compute& compute,
                  const Run& run) {
  const auto& [dataset, split, encrypt] = set;
  auto& net = *task.model().net;
  const auto auxiliary = task.auxiliary();
  nn::move_to(net, compute.device);
  net.train();
  auto parameters = net.parameters();
  if (auxiliary) {
    auxiliary->to(compute.device);
    for (auto& p : auxiliary->parameters()) parameters.push_back(p);
  }
  for (auto& p : parameters) p.set_requires_grad(true);
  const auto optimizer = make_optimizer(recipe, parameters);

  data::BatchLoader::Options loader_options;
  loader_options.batch_size = static_cast<size_t>(
      std::min<int64_t>(recipe.batch_size, static_cast<int64_t>(split.train.size())));
  loader_options.augmentation = recipe.augmentation();
  loader_options.seed = recipe.seed;
  loader_options.encrypt = encrypt;
  loader_options.drop_last =
      true;  // a last batch of a few pictures would give batch normalisation useless statistics

  StepInfo info;
  info.steps_per_epoch = static_cast<int64_t>(split.train.size() / loader_options.batch_size);
  info.total_steps = info.steps_per_epoch * recipe.epochs;

  TrainingState state;
  const Checkpoint checkpoint{run.key, net, auxiliary.get(), *optimizer};
  const auto checkpoint_path = run.folder / "checkpoint" / "state.pt";
  if (run.resume) {
    state = load_checkpoint(checkpoint_path, checkpoint, info.total_steps, compute.device);
    nn::move_to(net, compute.device);
    info.step = state.step;
  }
  loader_options.start_step = static_cast<uint64_t>(info.step);
  data::BatchLoader loader(dataset, split.train, loader_options);

  JsonLog log(run.folder / "log.jsonl");
  log.write(json{{"event", run.resume ? "resume" : "start"},
                 {"step", info.step},
                 {"total_steps", info.total_steps},
                 {"compute", describe(compute)}}
                .dump());
  Progress progress(run.title, static_cast<uint64_t>(info.total_steps),
                    static_cast<uint64_t>(info.step), "steps");
  auto save_state = [&] {
    state.step = info.step;
    save_checkpoint(checkpoint_path, checkpoint, state);
  };

  auto last_checkpoint = Clock::now(), last_log = last_checkpoint;
  int64_t last_logged_step = info.step;
  while (info.step < info.total_steps) {
    const auto batch = loader.next();
    const auto count = static_cast<int64_t>(batch.labels.size());
    const auto pictures = nn::to_tensor(batch.pictures.pixels(), count, batch.pictures.height(),
                                        batch.pictures.width(), compute.device);
    const auto labels = torch::tensor(batch.labels, torch::kInt).to(compute.device, torch::kLong);

    // Seeding every step makes dropout and the like depend on the step alone, so that no generator
    // state needs saving.
    torch::manual_seed(
        static_cast<uint64_t>(Random({recipe.seed, static_cast<uint64_t>(info.step)}).next() >> 1));
    const double lr = learning_rate(recipe, info.step, info.total_steps, info.steps_per_epoch);
    set_learning_rate(*optimizer, lr);
    Losses losses;
    {
      Autocast autocast(compute);
      losses = task.training_losses(pictures, labels, info);
    }
    check_finite(losses, info.step);
    optimizer->zero_grad();
    losses.total.backward();
    if (recipe.clip_norm > 0) torch::nn::utils::clip_grad_norm_(parameters, recipe.clip_norm);
    optimizer->step();
    ++info.step;

    if (info.step % run.log_every_steps == 0) {
      const auto now = Clock::now();
      const double seconds = std::chrono::duration<double>(now - last_log).count();
      json line = {
          {"step", info.step},
          {"epoch", static_cast<double>(info.step) / static_cast<double>(info.steps_per_epoch)},
          {"lr", lr},
          {"loss", losses.total.item<double>()},
          {"images_per_s",
           static_cast<double>((info.step - last_logged_step) * count) / std::max(seconds, 1e-9)}};
      std::ostringstream note;
      note.precision(3);
      for (const auto& [name, value] : losses.parts) {
        line[name] = value.item<double>();
        note << name << ' ' << value.item<double>() << "  ";
      }
      note << static_cast<int64_t>(line["images_per_s"].get<double>()) << " images/s";
      log.write(line.dump());
      progress.update(static_cast<uint64_t>(info.step), note.str());
      last_log = now;
      last_logged_step = info.step;
    }

    const bool epoch_ended = info.step % info.steps_per_epoch == 0;
    if (epoch_ended) {
      const auto figures = validate(task, dataset, split, recipe, compute, info);
      const double loss = figures.at("loss");
      if (!std::isfinite(loss)) {
        fail(ErrorCode::Diverged,
             "training diverged: the validation loss after step {} is not finite", info.step);
      }
      log.write(json{
          {"event", "validation"},
          {"step", info.step},
          {"epoch", info.step / info.steps_per_epoch},
          {"figures",
           figures}}.dump());
      if (recipe.select == "last" || state.best_epoch == 0 ||
          loss <= state.best_figures.at("loss")) {
        state.best = copy_weights(net);
        state.best_figures = figures;
        state.best_epoch = info.step / info.steps_per_epoch;
      }
      last_log = Clock::now();
    }
    const bool stop = interrupted() && info.step < info.total_steps;
    const bool due = std::chrono::duration<double>(Clock::now() - last_checkpoint).count() >
                     run.checkpoint_minutes * 60;
    if (stop || due) {
      save_state();
      last_checkpoint = Clock::now();
    }
    if (stop) {
      fail(ErrorCode::Interrupted,
           "interrupted at step {} of {}; the state is in {}. The same command goes on from there "
           "(train and attack: with --resume)",
           info.step, info.total_steps, checkpoint_path.string());
    }
  }

  save_state();
  {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : nn::state_tensors(net)) tensor.copy_(state.best.at(name));
  }
  net.eval();
  for (auto& p : net.parameters()) p.set_requires_grad(false);
  auto& card = task.model().card;
  for (const auto& [name, value] : state.best_figures)
    card.notes["metric.validation_" + name] = json(value).dump();
  card.notes["epoch"] = std::to_string(state.best_epoch);
  card.notes[kStageNote] = run.key;
  save_model(task.model(), run.folder / "model.safetensors", Overwrite::Yes);
  log.write(json{{"event", "done"},
                 {"step", info.step},
                 {"kept_epoch", state.best_epoch},
                 {"figures", state.best_figures}}
                .dump());
}

}  // namespace veilnet::train
