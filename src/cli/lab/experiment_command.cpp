#include "cli/lab/experiment_command.h"

#include <fmt/format.h>
#include <iostream>
#include <spdlog/spdlog.h>
#include <sstream>

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

void print_evaluation(const nlohmann::json& evaluation) {
  fmt::print("{:<24} {:>7} {:>10} {:>9} {:>7} {:>8} {:>9} {:>9}\n", "", "plain", "protected",
             "8-bit PNG", "paper", "SSIM", "ITN PSNR", "ITN SSIM");
  for (const auto& model : evaluation.at("models")) {
    const auto& a = model.at("accuracy");
    const auto percent = [](const nlohmann::json& v) {
      return v.is_number() ? fmt::format("{:.2f}%", 100 * v.get<double>()) : std::string("-");
    };
    const bool attacked = model.contains("attack");
    fmt::print(
        "{:<24} {:>7} {:>10} {:>9} {:>7} {:>8.3f} {:>9} {:>9}\n",
        model.at("label").get<std::string>(), percent(a.at("plain")),
        percent(a.at("protected_float")), percent(a.at("protected_png8")),
        percent(model.at("paper_accuracy")),
        model.at("similarity").at("ssim").at("mean").get<double>(),
        attacked ? fmt::format("{:.2f} dB", model["attack"]["psnr_db"]["mean"].get<double>()) : "-",
        attacked ? fmt::format("{:.3f}", model["attack"]["ssim"]["mean"].get<double>()) : "-");
  }
}

}  // namespace veilnet::cli
