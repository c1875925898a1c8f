#include "cli/lab/experiment_command.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <iostream>
#include <spdlog/spdlog.h>
#include <sstream>

#include "core/error.h"
#include "experiment/matrix.h"
#include "record/io.h"
#include "report/tables.h"

namespace veilnet::cli {

std::optional<experiment::Experiment> open_experiment(const CommonOptions& options,
                                                      Processes processes) {
  if (options.dry_run) processes = Processes::One;
  return open_experiment(load_config(options), options.print_config, processes);
}

std::optional<experiment::Experiment> open_experiment(Config config, bool print_config,
                                                      Processes processes) {
  auto experiment = experiment::read_experiment(config);
  if (print_config) {
    std::cout << experiment.resolved_toml;
    return std::nullopt;
  }
  auto& compute = experiment.compute;
  if (compute.place.size > 1 && processes == Processes::One)
    fail(ErrorCode::InvalidArgument,
         "this command is for one process; the environment says that this is process {} of {} "
         "(WORLD_SIZE, OMPI_COMM_WORLD_SIZE or SLURM_NTASKS). Several train together with `train` "
         "and `attack itn`, without --on and --dry-run",
         compute.place.rank, compute.place.size);
  train::join(compute);
  std::istringstream lines(describe(compute));
  for (std::string line; std::getline(lines, line);) spdlog::info("{}", line);
  return experiment;
}

void add_dry_run(CLI::App& command, CommonOptions& options) {
  command.add_flag("--dry-run", options.dry_run,
                   "Train nothing: try a few steps of every training and say what they would take");
}

namespace {

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(std::ceil(seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
}

}  // namespace

bool dry_run(const CommonOptions& options, const experiment::Experiment& experiment,
             const std::function<void(const experiment::Experiment&)>& work,
             const std::string& left_out) {
  if (!options.dry_run) return false;
  train::Rehearsal rehearsal;
  auto e = experiment;
  e.rehearsal = &rehearsal;
  work(e);
  double seconds = 0, peak_mb = 0;
  auto list = nlohmann::json::array();
  for (const auto& one : rehearsal.trainings) {
    if (one.finished) {
      fmt::print("{:40}  there already\n", one.title);
    } else {
      fmt::print("{:40}  {:>12}  {} steps of {}\n", one.title, duration(one.seconds), one.steps,
                 one.batch_size);
    }
    seconds += one.seconds;
    peak_mb = std::max(peak_mb, one.peak_mb);
    list.push_back({{"title", one.title},
                    {"finished", one.finished},
                    {"steps", one.steps},
                    {"batch_size", one.batch_size},
                    {"seconds", one.seconds},
                    {"peak_mb", one.peak_mb}});
  }
  fmt::print("{:40}  {:>12}  at most {:.0f} MB of memory\n", "all trainings", duration(seconds),
             peak_mb);
  fmt::print("At the pace of this moment. Not in it: measuring, {}. Nothing was written.\n",
             left_out);
  write_json(options, {{"trainings", list}, {"seconds", seconds}, {"peak_mb", peak_mb}});
  return true;
}

void add_experiment_flags(CLI::App& command, ExperimentFlags& flags) {
  command.add_option("--scheme", flags.scheme, "scheme.id")->type_name("ID");
  command
      .add_option("--key-mode", flags.key_mode, "scheme.key_mode: same, or independent keys (pe)")
      ->type_name("MODE");
  command
      .add_option("--classifier", flags.classifier,
                  "classifier.architecture: resnet, resnet18, vgg16_bn or densenet")
      ->type_name("NAME");
  command
      .add_option("--adaptation", flags.adaptation,
                  "scheme.adaptation: none, tanaka, le, ele or pixel")
      ->type_name("NAME");
}

CommonOptions with_flags(CommonOptions options, const ExperimentFlags& flags) {
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) options.sets.push_back(std::string(key) + "=\"" + value + "\"");
  };
  set("scheme.id", flags.scheme);
  set("scheme.key_mode", flags.key_mode);
  set("classifier.architecture", flags.classifier);
  set("scheme.adaptation", flags.adaptation);
  return options;
}

void add_anyway(CLI::App& command, CommonOptions& options) {
  command.add_flag_callback(
      "--anyway", [&options] { options.sets.push_back("anyway=true"); },
      "Build on a psi or an encoder that did not learn");
}

void write_record(const CommonOptions& options, const std::string& json) {
  if (!options.json.empty()) write_file(options.json, json, Overwrite::Yes);
}

void show(const CommonOptions& options, const record::Matrix& matrix) {
  std::cout << report::matrix_markdown(matrix);
  write_record(options, record::to_json(matrix));
}

CLI::Option* add_cell_options(CLI::App& command, CellOptions& options, const std::string& attack) {
  options.attack = attack;
  if (!command.get_option_no_throw("--config")) {
    command.add_option("--config", options.common.config, "With --on: experiment configuration")
        ->type_name("FILE.toml");
    command.add_option("--set", options.common.sets, "With --on: override one key; repeatable")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
  }
  command
      .add_option("--budget", options.budget,
                  "With --on: how much the attacker spends: small, standard or large")
      ->type_name("NAME");
  return command
      .add_option("--on", options.on,
                  "Attack the experiment's test pictures under this protection: transform, le, "
                  "pe-same, ...")
      ->type_name("PROTECTION");
}

bool run_cell(CellOptions options, const std::filesystem::path& json) {
  if (options.on.empty()) return false;
  auto& common = options.common;
  if (!json.empty()) common.json = json;
  if (!options.budget.empty()) common.sets.push_back("attacks.budget=\"" + options.budget + "\"");
  if (const auto e = open_experiment(common))
    show(common, experiment::run_attack(*e, options.on, options.attack));
  return true;
}

}  // namespace veilnet::cli
