// Opening the experiment a command is about.
#pragma once

#include <optional>

#include "cli/command.h"
#include "train/experiment.h"

namespace veilnet::cli {

/// Reads the configuration and logs device, threads, LibTorch, BLAS and ISA. Nothing when --print-config was given: it is
/// printed instead.
std::optional<train::Experiment> open_experiment(const CommonOptions& options);
std::optional<train::Experiment> open_experiment(Config config, bool print_config);

/// The accuracy and leak table of an evaluation, on standard output.
void print_evaluation(const nlohmann::json& evaluation);

}  // namespace veilnet::cli
