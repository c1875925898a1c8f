// Chance on the code of a coded transformation, as protect and client give it and verify knows it.
#pragma once

#include <filesystem>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "model/card.h"
#include "runtime/transformation.h"

namespace veilnet::cli {

struct ChanceOptions {
  double epsilon = 0;
  std::filesystem::path secret;  ///< empty: no chance
};

/// Adds --epsilon and --secret.
void add_chance_options(CLI::App& command, ChanceOptions& options);

/// How chance changes codes; nothing without --epsilon. Says what it promises, and warns where that
/// is little or where few codes are kept: to the user, and in `record`.
/// @param file of the network. @throws Error{InvalidArgument} for --epsilon without --secret or the
/// reverse, and for a network without a code; as RandomisedResponse and cipher::load_secret.
runtime::Transformation::Answer answer_of(const ChanceOptions& options, const CLI::App& command,
                                          const model::Card& card,
                                          const std::filesystem::path& file,
                                          nlohmann::json& record);

}  // namespace veilnet::cli
