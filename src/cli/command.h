// What the subcommands share.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "core/config.h"

namespace veilnet::cli {

/// The options every experiment command takes.
struct CommonOptions {
  std::filesystem::path config;
  std::vector<std::string> sets;
  std::filesystem::path json;
  bool print_config = false;
  bool dry_run = false;
};

/// Adds --config, --set, --print-config and --json.
void add_common(CLI::App& command, CommonOptions& options);
/// Of a real number; "nan" is none.
CLI::Validator between(double least, double most);

/// Adds --json alone, for commands that need no experiment.
void add_json(CLI::App& command, CommonOptions& options);

/// Ends the command's --help, after its footer, with examples.
void examples(CLI::App& command, std::initializer_list<std::string> lines);

/// File (or nothing) plus overrides.
Config load_config(const CommonOptions& options);

/// Writes `value` to options.json when that was given, replacing an earlier file.
void write_json(const CommonOptions& options, const nlohmann::json& value);

}  // namespace veilnet::cli
