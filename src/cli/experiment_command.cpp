#include "cli/experiment_command.h"

#include <fmt/format.h>
#include <iostream>
#include <spdlog/spdlog.h>
#include <sstream>

namespace veilnet::cli {

std::optional<train::Experiment> open_experiment(const CommonOptions& options) {
  return open_experiment(load_config(options), options.print_config);
}

std::optional<train::Experiment> open_experiment(Config config, bool print_config) {
  auto experiment = train::read_experiment(config);
  if (print_config) {
    std::cout << experiment.resolved_toml;
    return std::nullopt;
  }
  std::istringstream lines(describe(experiment.compute));
  for (std::string line; std::getline(lines, line);) spdlog::info("{}", line);
  return experiment;
}

void print_evaluation(const nlohmann::json& evaluation) {
  fmt::print("{:<24} {:>7} {:>10} {:>9} {:>7} {:>8} {:>9} {:>9}\n", "", "plain", "protected", "8-bit PNG", "paper", "SSIM",
             "ITN PSNR", "ITN SSIM");
  for (const auto& model : evaluation.at("models")) {
    const auto& a = model.at("accuracy");
    const auto percent = [](const nlohmann::json& v) {
      return v.is_number() ? fmt::format("{:.2f}%", 100 * v.get<double>()) : std::string("-");
    };
    const bool attacked = model.contains("attack");
    fmt::print("{:<24} {:>7} {:>10} {:>9} {:>7} {:>8.3f} {:>9} {:>9}\n", model.at("label").get<std::string>(),
               percent(a.at("plain")), percent(a.at("protected_float")), percent(a.at("protected_png8")),
               percent(model.at("paper_accuracy")), model.at("similarity").at("ssim").at("mean").get<double>(),
               attacked ? fmt::format("{:.2f} dB", model["attack"]["psnr_db"]["mean"].get<double>()) : "-",
               attacked ? fmt::format("{:.3f}", model["attack"]["ssim"]["mean"].get<double>()) : "-");
  }
}

}  // namespace veilnet::cli
