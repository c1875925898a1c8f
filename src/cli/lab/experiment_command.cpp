#include "cli/lab/experiment_command.h"

#include <iostream>
#include <spdlog/spdlog.h>
#include <sstream>

#include "experiment/matrix.h"
#include "record/io.h"
#include "report/tables.h"

namespace veilnet::cli {

std::optional<experiment::Experiment> open_experiment(const CommonOptions& options) {
  return open_experiment(load_config(options), options.print_config);
}

std::optional<experiment::Experiment> open_experiment(Config config, bool print_config) {
  auto experiment = experiment::read_experiment(config);
  if (print_config) {
    std::cout << experiment.resolved_toml;
    return std::nullopt;
  }
  std::istringstream lines(describe(experiment.compute));
  for (std::string line; std::getline(lines, line);) spdlog::info("{}", line);
  return experiment;
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
