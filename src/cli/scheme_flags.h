// The flags that choose a scheme of src/cipher, from its table.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "cipher/scheme.h"

namespace veilnet::cli {

struct SchemeFlags {
  cipher::SchemeOptions options;
  CLI::App* command = nullptr;

  bool given(const std::string& flag) const { return command->count(flag) > 0; }
  /// Of this scheme. @throws Error{InvalidArgument} for a flag that it does not read.
  void check(const cipher::SchemeSpec& spec) const;
};

/// Adds --scheme, --block-size and a flag for each scheme's variant. `flags` outlives the command.
void add_scheme_flags(CLI::App& command, SchemeFlags& flags);
/// Adds --strength.
void add_strength_flag(CLI::App& command, SchemeFlags& flags);

}  // namespace veilnet::cli
