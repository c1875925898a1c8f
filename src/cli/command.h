// What the subcommands share.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "core/config.h"
#include "core/files.h"

namespace veilnet::cli {

/// The options every experiment command takes.
struct CommonOptions {
  std::filesystem::path config;
  std::vector<std::string> sets;
  std::filesystem::path json;
  bool print_config = false;
};

/// Adds --config, --set, --print-config and --json.
void add_common(CLI::App& command, CommonOptions& options);
/// Adds --json alone, for commands that need no experiment.
void add_json(CLI::App& command, CommonOptions& options);

/// File (or nothing) plus overrides.
Config load_config(const CommonOptions& options);

/// Writes `value` to options.json when that was given, replacing an earlier file.
void write_json(const CommonOptions& options, const nlohmann::json& value);

/// Files as they are; folders recursively, picture files only, sorted. @throws Error{NotFound} for
/// a missing path or a folder without pictures.
struct Input {
  std::filesystem::path path;      ///< to read
  std::filesystem::path relative;  ///< name below the given folder, or the file name
};
std::vector<Input> collect_inputs(const std::vector<std::string>& paths);

/// Their names below an output folder, with the extension .png. @throws Error{InvalidArgument} for
/// two of the same name.
std::vector<std::filesystem::path> png_names(const std::vector<Input>& inputs);

/// Turns every input into a PNG file of the output folder and writes what came of each to --json,
/// below what `record` holds. One bad picture does not stop the others. `done` is the verb of the
/// closing line. @throws Error{BadData} at the end when a picture failed.
void convert_pictures(
    const CommonOptions& options, const std::vector<std::string>& paths,
    const std::filesystem::path& output, Overwrite overwrite, const std::string& done,
    nlohmann::json record,
    const std::function<std::vector<uint8_t>(const std::filesystem::path&)>& to_png);

}  // namespace veilnet::cli
