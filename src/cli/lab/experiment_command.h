// Opening the experiment a command is about.
#pragma once

#include <functional>
#include <optional>

#include "cli/command.h"
#include "experiment/models.h"
#include "record/matrix.h"

namespace veilnet::cli {

/// What a command does where several processes are started together (train/place.h).
enum class Processes {
  One,   ///< refuse: each would do the same work in the same folder
  Many,  ///< meet, and train together
};
/// Reads the configuration and logs device, threads, LibTorch, BLAS and ISA. Nothing when
/// --print-config was given: it is printed instead.
std::optional<experiment::Experiment> open_experiment(const CommonOptions& options,
                                                      Processes processes = Processes::One);
std::optional<experiment::Experiment> open_experiment(Config config, bool print_config,
                                                      Processes processes = Processes::One);

/// Adds --dry-run.
void add_dry_run(CLI::App& command, CommonOptions& options);
/// With --dry-run: calls `work` with the experiment as one whose trainings are only tried for a few
/// steps, and says on standard output and in --json what they would take. @return whether it was.
/// @param left_out besides measuring.
bool dry_run(const CommonOptions& options, const experiment::Experiment& experiment,
             const std::function<void(const experiment::Experiment&)>& work,
             const std::string& left_out =
                 "attacks that train nothing or begin anew with every\npicture, and what "
                 "attributes, curves, JPEG and WebP train");

/// Shorthands for keys of [scheme] and [classifier].
struct ExperimentFlags {
  std::string scheme, key_mode, classifier, adaptation;
};
/// Adds --scheme, --key-mode, --classifier and --adaptation.
void add_experiment_flags(CLI::App& command, ExperimentFlags& flags);
/// The options with the flags that were given as further overrides.
CommonOptions with_flags(CommonOptions options, const ExperimentFlags& flags);

/// Adds --anyway, for what is built on psi or an encoder. @param options must outlive the
/// command.
void add_anyway(CLI::App& command, CommonOptions& options);

/// Subcommands of `attack` that train nothing (attack.cpp).
void add_chosen_plaintext(CLI::App& attack);
void add_fr(CLI::App& attack);
void add_brute_force(CLI::App& attack);

/// The tables of a matrix on standard output, and the matrix to --json.
void show(const CommonOptions& options, const record::Matrix& matrix);
/// Writes JSON text to options.json when that was given, replacing an earlier file.
void write_record(const CommonOptions& options, const std::string& json);

/// `veilnet attack ID --on PROTECTION`: adds the options that run one attack of the table on one
/// protection of an experiment.
struct CellOptions {
  CommonOptions common;
  std::string attack, on, budget;
};
/// @return the option --on.
CLI::Option* add_cell_options(CLI::App& command, CellOptions& options, const std::string& attack);
/// Runs the attack and shows its figures where --on was given. @return whether it was.
/// @param json of the command's own --json, where it has one.
bool run_cell(CellOptions options, const std::filesystem::path& json = {});

}  // namespace veilnet::cli
