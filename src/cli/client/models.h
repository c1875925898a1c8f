// Which model a command line means.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "cli/picture_work.h"
#include "model/card.h"
#include "runtime/transformation.h"

namespace veilnet::cli {

struct ModelOptions {
  std::filesystem::path model;
  std::string strength;  ///< "low", "mid", "high" or nothing
  int threads = 0;       ///< 0: physical cores
  std::string precision = "fp32";
  std::filesystem::path codebook;  ///< of a coded transformation; or nothing
};
/// Adds --model, --threads and --precision, and for a Transform --strength and --codebook.
void add_model_options(CLI::App& command, ModelOptions& options, model::Role role);

/// The file itself, or that of a name (model/zoo.h); of a folder its model.safetensors; of an
/// experiment's folder its psi, or of its transformation networks the one of that strength: from
/// the smallest alpha (low) to the largest.
/// @throws Error{NotFound} if there is none, Error{InvalidArgument} if there are several and no
/// strength chooses one, or a strength and nothing to choose from.
std::filesystem::path find_model(const ModelOptions& options, model::Role role);

/// Adds --precision.
void add_precision(CLI::App& command, std::string& precision);
/// What it means. @throws Error{InvalidArgument} for another word.
runtime::Type precision_of(const std::string& name);

/// Threads and precision. Warns where the processor computes slowly in that precision.
/// @throws as precision_of.
runtime::Options runtime_options(const ModelOptions& options);
/// The transformation in that file, ready to compute. @throws as runtime_options and
/// runtime::Transformation.
runtime::Transformation load_transformation(const ModelOptions& options,
                                            const std::filesystem::path& file);

/// Puts what h makes of pictures of one size in their place.
void protect(const runtime::Transformation& h, std::span<Item> items,
             const runtime::Transformation::Answer& answer = {});

/// Adds --size.
void add_picture_size(CLI::App& command, std::string& size);

/// Height and width that --size gives, or those of the card where it is empty.
/// @throws Error{InvalidArgument} for another form than WIDTHxHEIGHT.
std::pair<int64_t, int64_t> picture_size(const std::string& size, const model::Card& card);

}  // namespace veilnet::cli
