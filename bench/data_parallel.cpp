// How far the weights of a training with several processes are from those of one process: psi and h
// take the same steps either way. Prints JSON.
//
// In float32 two runs that round differently are soon far apart, whatever divides the work: every
// step of a young network makes a difference several times larger. So the figure is of float64,
// where only a mistake would be seen; in float32 the same is set beside what two threads instead of
// one do to one process.
//
// usage: data_parallel [--processes N] [--steps N] [--limit X]
//   --limit: of float64 alone, and exit with 1 where a figure is larger
#include <ATen/Parallel.h>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <sys/wait.h>
#include <torch/serialize.h>
#include <unistd.h>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/sources.h"
#include "nn/whole_batch_norm.h"
#include "train/batch_source.h"
#include "train/step.h"
#include "train/tasks/classifier.h"
#include "train/tasks/transform.h"

namespace {

using namespace veilnet;

struct Wanted {
  std::string network = "psi";  // or h
  bool float64 = false;
  int threads = 1;
  int64_t steps = 24;
};

nn::Model make(model::Role role, const char* architecture) {
  model::Card card;
  card.role = role;
  card.architecture = architecture;
  card.depth = 8;
  card.base_width = 4;
  card.class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  card.height = card.width = 32;
  return nn::make_model(card);
}

std::unique_ptr<train::Task> task_of(const Wanted& wanted, torch::Dtype type) {
  torch::manual_seed(7);
  auto psi = make(model::Role::Classifier, "resnet");
  psi.net->to(type);
  if (wanted.network == "psi") return std::make_unique<train::ClassifierTask>(std::move(psi), 0.1);
  psi.net->eval();
  for (auto& p : psi.net->parameters()) p.set_requires_grad(false);
  auto vgg = make(model::Role::Classifier, "vgg16_bn");
  const auto phi =
      nn::FeatureExtractor::cut_from(dynamic_cast<const nn::Vgg16Bn&>(*vgg.net), "relu1_2");
  phi->to(type);
  train::TransformOptions options;
  options.bottleneck_weight = 1;
  options.feature_share = 0.25;
  auto h = make(model::Role::Transform, "unet");
  h.net->to(type);
  auto task = std::make_unique<train::TransformTask>(std::move(h), psi, phi, options);
  task->auxiliary()->to(type);
  return task;
}

std::vector<torch::Tensor> train_weights(const Wanted& wanted) {
  at::set_num_threads(wanted.threads);
  const auto data = data::make_synthetic({1, 300, 10}).train;
  const auto split = data::stratified_split(data.labels, 0.1, 1);
  const auto type = wanted.float64 ? torch::kDouble : torch::kFloat;
  const auto task = task_of(wanted, type);
  train::Recipe recipe;
  recipe.batch_size = 50;  // four processes have 13, 13, 12 and 12 of them
  recipe.schedule = "one_cycle";
  recipe.clip_norm = 5;
  train::Compute compute;
  compute.place = train::place_from(train::environment());
  train::join(compute);
  train::Step step(*task, recipe, compute);
  const train::TrainingSet set(data, split);
  train::StepInfo info{.step = 0,
                       .total_steps = wanted.steps,
                       .steps_per_epoch = set.steps_per_epoch(recipe),
                       .batch_size = set.batch_size(recipe),
                       .part = {compute.place.rank, compute.place.size}};
  std::optional<nn::WholeBatchNorm> whole;
  if (const auto& group = compute.group)
    whole.emplace([group](const torch::Tensor& sums) { group->sum(sums); });
  auto batches = set.batches(recipe, torch::kCPU, 0, info.part);
  for (; info.step < info.total_steps; ++info.step) {
    auto batch = batches.next();
    batch.pictures = batch.pictures.to(type);
    step.take(batch, info);
  }
  std::vector<torch::Tensor> weights;
  for (const auto& [name, tensor] : nn::state_tensors(*task->model().net))
    weights.push_back(tensor.detach().to(torch::kDouble));
  return weights;
}

// The largest difference of a value, by the largest value of its tensor.
double difference(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, ((a[i] - b.at(i)).abs().max() / a[i].abs().max()).item<double>());
  return largest;
}

// Starts this program once for each process, as a shell loop would, and reads what the first has
// written.
std::vector<torch::Tensor> train_with(const char* self, const Wanted& wanted, int processes,
                                      const std::filesystem::path& folder) {
  const auto file = (folder / "weights").string();
  const int port = 20000 + static_cast<int>(::getpid()) % 20000;
  std::vector<pid_t> started;
  for (int rank = 0; rank < processes; ++rank) {
    const std::map<std::string, std::string> variables = {
        {"RANK", std::to_string(rank)},
        {"WORLD_SIZE", std::to_string(processes)},
        {"MASTER_ADDR", "127.0.0.1"},
        {"MASTER_PORT", std::to_string(port)},
        {"VEILNET_NETWORK", wanted.network},
        {"VEILNET_FLOAT64", wanted.float64 ? "1" : "0"},
        {"VEILNET_WEIGHTS", file},
        {"VEILNET_STEPS", std::to_string(wanted.steps)},
        {"OMP_NUM_THREADS", std::to_string(wanted.threads)}};
    std::vector<std::string> all;
    for (const auto& [name, value] : variables) all.push_back(name + "=" + value);
    std::vector<char*> pointers;
    for (auto& text : all) pointers.push_back(text.data());
    for (char** inherited = environ; *inherited; ++inherited) {
      const std::string text = *inherited;
      if (!variables.contains(text.substr(0, text.find('=')))) pointers.push_back(*inherited);
    }
    pointers.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      std::array<char*, 2> arguments{const_cast<char*>(self), nullptr};
      ::execve("/proc/self/exe", arguments.data(), pointers.data());
      ::_exit(127);
    }
    started.push_back(child);
  }
  bool failed = false;
  for (const auto child : started) {
    int status = 0;
    failed = ::waitpid(child, &status, 0) != child || status != 0 || failed;
  }
  if (failed) fail(ErrorCode::Io, "one of {} processes has failed", processes);
  std::vector<torch::Tensor> weights;
  torch::load(weights, file);
  return weights;
}

int run(int argc, char** argv) {
  const auto variables = train::environment();
  Wanted wanted;
  if (const auto file = variables("VEILNET_WEIGHTS")) {
    wanted.network = *variables("VEILNET_NETWORK");
    wanted.float64 = variables("VEILNET_FLOAT64") == "1";
    wanted.threads = std::stoi(*variables("OMP_NUM_THREADS"));
    wanted.steps = std::stoi(*variables("VEILNET_STEPS"));
    const auto weights = train_weights(wanted);
    if (variables("RANK") == "0") torch::save(weights, *file);
    return 0;
  }
  CLI::App app("How far several processes' weights are from one process's");
  int processes = 2;
  double limit = INFINITY;
  app.add_option("--processes", processes, "How many")->check(CLI::Range(2, 50));
  app.add_option("--steps", wanted.steps, "How many steps")->check(CLI::Range(1, 10'000));
  app.add_option("--limit", limit, "Exit with 1 where float64 differs by more");
  CLI11_PARSE(app, argc, argv);

  std::string folder = (std::filesystem::temp_directory_path() / "veilnet-XXXXXX").string();
  if (!::mkdtemp(folder.data())) fail(ErrorCode::Io, "cannot create {}", folder);
  nlohmann::json out = {{"processes", processes}, {"steps", wanted.steps}};
  double largest = 0;
  for (const char* network : {"psi", "h"}) {
    wanted.network = network;
    for (const bool float64 : {true, false}) {
      if (!float64 && std::isfinite(limit)) continue;
      wanted.float64 = float64;
      const auto type = float64 ? "float64" : "float32";
      const auto one = train_with(argv[0], wanted, 1, folder);
      const double differs = difference(one, train_with(argv[0], wanted, processes, folder));
      out[network][type]["max_rel_diff"] = differs;
      if (float64) {
        largest = std::max(largest, differs);
        continue;
      }
      auto threaded = wanted;
      threaded.threads = 2;
      out[network][type]["two_threads_max_rel_diff"] =
          difference(one, train_with(argv[0], threaded, 1, folder));
    }
  }
  std::filesystem::remove_all(folder);
  out[fmt::format("ddp_{}_process_max_rel_diff", processes)] = largest;
  std::cout << out.dump(1) << "\n";
  if (largest <= limit) return 0;
  std::cerr << "the largest difference is " << largest << "; allowed: " << limit << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
