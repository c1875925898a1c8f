#include "train/loop.h"

#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <sstream>
#include <torch/nn/utils/clip_grad.h>
#include <torch/serialize.h>
#include <torch/utils.h>

#include "core/error.h"
#include "core/progress.h"

namespace veilnet::train {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr double kExplosion = 1e6;
constexpr uint64_t kMaxCheckpointBytes = 8ull << 30;

// Weights as an archive keeps them; the model's own file format would drop batch normalisation's
// counters.
struct Checkpoint {
  torch::nn::Module& model;
  torch::nn::Module* auxiliary;
  torch::optim::Optimizer& optimizer;
  std::map<std::string, torch::Tensor>& best;
  json& state;

  void save(const std::filesystem::path& path) const {
    torch::serialize::OutputArchive archive, model_part, auxiliary_part, optimizer_part;
    model.save(model_part);
    archive.write("model", model_part);
    if (auxiliary) {
      auxiliary->save(auxiliary_part);
      archive.write("auxiliary", auxiliary_part);
    }
    optimizer.save(optimizer_part);
    archive.write("optimizer", optimizer_part);
    json names = json::array();
    for (const auto& [name, tensor] : best) {
      archive.write("best_" + std::to_string(names.size()), tensor);
      names.push_back(name);
    }
    state["best_names"] = names;
    archive.write("state", c10::IValue(state.dump()));
    std::ostringstream out;
    archive.save_to(out);
    write_file(path, out.str(), Overwrite::Yes);
  }

  void load(const std::filesystem::path& path, const torch::Device& device) {
    const auto bytes = read_file(path, kMaxCheckpointBytes);
    try {
      torch::serialize::InputArchive archive, model_part, auxiliary_part, optimizer_part;
      archive.load_from(reinterpret_cast<const char*>(bytes.data()), bytes.size(), device);
      archive.read("model", model_part);
      model.load(model_part);
      if (auxiliary) {
        archive.read("auxiliary", auxiliary_part);
        auxiliary->load(auxiliary_part);
      }
      archive.read("optimizer", optimizer_part);
      optimizer.load(optimizer_part);
      c10::IValue text;
      archive.read("state", text);
      state = json::parse(text.toStringRef());
      best.clear();
      for (size_t i = 0; i < state.at("best_names").size(); ++i) {
        torch::Tensor tensor;
        archive.read("best_" + std::to_string(i), tensor);
        best[state["best_names"][i]] = tensor;
      }
    } catch (const std::exception& e) {
      const std::string reason = e.what();
      throw Error(ErrorCode::BadData, path.string() + ": is no checkpoint of this training: " +
                                          reason.substr(0, reason.find('\n')));
    }
  }
};

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

json validate(Task& task, const data::Dataset& dataset, const data::Split& split,
              const Recipe& recipe, const Compute& compute, const StepInfo& info) {
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
  json figures = json::object();
  for (const auto& [name, sum] : sums) figures[name] = sum / static_cast<double>(batches);
  return figures;
}

}  // namespace

nlohmann::json run_training(Task& task, const data::Dataset& dataset, const data::Split& split,
                            const Recipe& recipe, const Compute& compute,
                            const LoopOptions& options) {
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
  loader_options.encrypt = options.encrypt;
  loader_options.drop_last =
      true;  // a last batch of a few pictures would give batch normalisation useless statistics

  StepInfo info;
  info.steps_per_epoch = static_cast<int64_t>(split.train.size() / loader_options.batch_size);
  info.total_steps = info.steps_per_epoch * recipe.epochs;

  std::map<std::string, torch::Tensor> best;
  json state = {{"step", 0}, {"best_loss", nullptr}, {"best_figures", nullptr}};
  Checkpoint checkpoint{net, auxiliary.get(), *optimizer, best, state};
  const auto checkpoint_path = options.run_folder / "checkpoint" / "state.pt";
  if (options.resume) {
    checkpoint.load(checkpoint_path, compute.device);
    nn::move_to(net, compute.device);
    info.step = state["step"];
  }
  loader_options.start_step = static_cast<uint64_t>(info.step);
  data::BatchLoader loader(dataset, split.train, loader_options);

  JsonLog log(options.run_folder / "log.jsonl");
  log.write(json{{"event", options.resume ? "resume" : "start"},
                 {"step", info.step},
                 {"total_steps", info.total_steps},
                 {"compute", describe(compute)}}
                .dump());
  Progress progress(options.title, static_cast<uint64_t>(info.total_steps),
                    static_cast<uint64_t>(info.step), "steps");
  auto save_checkpoint = [&] {
    state["step"] = info.step;
    checkpoint.save(checkpoint_path);
  };

  auto last_checkpoint = Clock::now(), last_log = last_checkpoint;
  int64_t last_logged_step = info.step;
  while (info.step < info.total_steps) {
    const auto batch = loader.next();
    const auto count = static_cast<int64_t>(batch.labels.size());
    const auto pictures =
        nn::to_tensor(batch.images_nhwc, count, dataset.height, dataset.width, compute.device);
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

    if (info.step % options.log_every_steps == 0) {
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
        throw Error(ErrorCode::Diverged, "training diverged: the validation loss after step " +
                                             std::to_string(info.step) + " is not finite");
      }
      log.write(json{
          {"event", "validation"},
          {"step", info.step},
          {"epoch", info.step / info.steps_per_epoch},
          {"figures",
           figures}}.dump());
      if (recipe.select == "last" || state["best_loss"].is_null() ||
          loss <= state["best_loss"].get<double>()) {
        best = copy_weights(net);
        state["best_loss"] = loss;
        state["best_figures"] = figures;
        state["best_epoch"] = info.step / info.steps_per_epoch;
      }
      last_log = Clock::now();
    }
    const bool stop = interrupted() && info.step < info.total_steps;
    const bool due = std::chrono::duration<double>(Clock::now() - last_checkpoint).count() >
                     options.checkpoint_minutes * 60;
    if (stop || due) {
      save_checkpoint();
      last_checkpoint = Clock::now();
    }
    if (stop) {
      throw Error(ErrorCode::Interrupted, "interrupted at step " + std::to_string(info.step) +
                                              " of " + std::to_string(info.total_steps) +
                                              "; the state is in " + checkpoint_path.string() +
                                              ", continue with --resume");
    }
  }

  save_checkpoint();
  {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : nn::state_tensors(net)) tensor.copy_(best.at(name));
  }
  net.eval();
  for (auto& p : net.parameters()) p.set_requires_grad(false);
  auto& card = task.model().card;
  json figures = state["best_figures"];
  for (const auto& [name, value] : figures.items())
    card.notes["metric.validation_" + name] = value.dump();
  card.notes["epoch"] = state["best_epoch"].dump();
  save_model(task.model(), options.run_folder / "model.safetensors", Overwrite::Yes);
  log.write(json{
      {"event", "done"},
      {"step", info.step},
      {"kept_epoch", state["best_epoch"]},
      {"figures",
       figures}}.dump());
  figures["kept_epoch"] = state["best_epoch"];
  return figures;
}

}  // namespace veilnet::train
