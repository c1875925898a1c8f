#include "cli/scheme_flags.h"

#include <fmt/ranges.h>

#include "core/error.h"

namespace veilnet::cli {

void SchemeFlags::check(const cipher::SchemeSpec& spec) const {
  const auto refuse_unless = [&](bool reads, const std::string& flag) {
    if (!reads && command->get_option_no_throw(flag) && given(flag))
      fail(ErrorCode::InvalidArgument, "{} means nothing to scheme \"{}\"", flag, spec.id);
  };
  refuse_unless(spec.blocks, "--block-size");
  refuse_unless(spec.strength.usual != 0, "--strength");
  for (const auto& other : cipher::schemes())
    if (!other.variant.name.empty()) refuse_unless(other.id == spec.id, other.variant.flag());
}

void add_scheme_flags(CLI::App& command, SchemeFlags& flags) {
  flags.command = &command;
  command
      .add_option("--scheme", flags.options.id,
                  fmt::format("One of {}", fmt::join(cipher::scheme_ids(), ", ")))
      ->type_name("ID");
  command
      .add_option("--block-size", flags.options.block_size,
                  "Side of a block in pixels, 4 unless given")
      ->type_name("PIXELS");
  for (const auto& spec : cipher::schemes())
    if (const auto& variant = spec.variant; !variant.name.empty())
      command.add_flag(variant.flag(), flags.options.variant,
                       fmt::format("{}: {}", spec.id, variant.help));
}

void add_strength_flag(CLI::App& command, SchemeFlags& flags) {
  std::string help;
  for (const auto& spec : cipher::schemes())
    if (spec.strength.usual != 0)
      help += fmt::format("{}{}: {}", help.empty() ? "" : "; ", spec.id, spec.strength.text);
  command.add_option("--strength", flags.options.strength, help)->type_name("NUMBER");
}

}  // namespace veilnet::cli
