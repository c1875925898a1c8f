// Opening the experiment a command is about.
#pragma once

#include <optional>

#include "cli/command.h"
#include "experiment/models.h"

namespace veilnet::cli {

/// Reads the configuration and logs device, threads, LibTorch, BLAS and ISA. Nothing when
/// --print-config was given: it is printed instead.
std::optional<experiment::Experiment> open_experiment(const CommonOptions& options);
std::optional<experiment::Experiment> open_experiment(Config config, bool print_config);

/// Shorthands for keys of [scheme] and [classifier].
struct ExperimentFlags {
  std::string scheme, key_mode, classifier, adaptation;
};
/// Adds --scheme, --key-mode, --classifier and --adaptation.
void add_experiment_flags(CLI::App& command, ExperimentFlags& flags);
/// The options with the flags that were given as further overrides.
CommonOptions with_flags(CommonOptions options, const ExperimentFlags& flags);

/// Subcommands of `attack` that train nothing (attack.cpp).
void add_chosen_plaintext(CLI::App& attack);
void add_fr(CLI::App& attack);
void add_brute_force(CLI::App& attack);

/// The accuracy and leak table of an evaluation, on standard output.
void print_evaluation(const nlohmann::json& evaluation);

}  // namespace veilnet::cli
