// Which model a command line means.
#pragma once

#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>

#include "model/card.h"
#include "runtime/network.h"

namespace veilnet::cli {

struct ModelOptions {
  std::filesystem::path model;
  std::string strength;  ///< "low", "mid", "high" or nothing
  int threads = 0;       ///< 0: physical cores
};
/// Adds --model and --threads, and for a Transform --strength.
void add_model_options(CLI::App& command, ModelOptions& options, model::Role role);

/// The file itself; of a folder its model.safetensors; of an experiment's folder its psi, or of its
/// transformation networks the one of that strength: from the smallest alpha (low) to the largest.
/// @throws Error{NotFound} if there is none, Error{InvalidArgument} if there are several and no
/// strength chooses one, or a strength and nothing to choose from.
std::filesystem::path find_model(const ModelOptions& options, model::Role role);

/// The network in that file, ready to compute. @throws as model::load.
runtime::Network load_network(const ModelOptions& options, const std::filesystem::path& file,
                              model::Role role);

}  // namespace veilnet::cli
