#include "cli/command.h"

#include <fmt/format.h>

#include "core/files.h"

namespace veilnet::cli {

CLI::Validator between(double least, double most) {
  const auto allowed = fmt::format("FLOAT in [{} - {}]", least, most);
  return {[=](std::string& text) {
            double value = 0;
            // Not as CLI::Range, which lets "nan" pass.
            const bool good =
                CLI::detail::lexical_cast(text, value) && value >= least && value <= most;
            return good ? std::string() : fmt::format("{} is not allowed: {}", text, allowed);
          },
          allowed};
}

void add_json(CLI::App& command, CommonOptions& options) {
  command.add_option("--json", options.json, "Write the result as JSON to this file")
      ->type_name("FILE");
}

void add_common(CLI::App& command, CommonOptions& options) {
  command.add_option("--config", options.config, "Experiment configuration (see configs/)")
      ->type_name("FILE.toml");
  command
      .add_option("--set", options.sets,
                  "Override one key, for instance transform.alpha=0.01; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--print-config", options.print_config,
                   "Print the resolved configuration and stop");
  add_json(command, options);
}

void examples(CLI::App& command, std::initializer_list<std::string> lines) {
  std::string text = command.get_footer();
  text += text.empty() ? "Examples:" : "\n\nExamples:";
  for (const auto& line : lines) text += fmt::format("\n  {}", line);
  command.footer(text);
}

Config load_config(const CommonOptions& options) {
  Config config = options.config.empty() ? Config() : Config::load(options.config);
  for (const auto& assignment : options.sets) config.set(assignment);
  return config;
}

void write_json(const CommonOptions& options, const nlohmann::json& value) {
  if (!options.json.empty()) write_file(options.json, value.dump(1) + "\n", Overwrite::Yes);
}

}  // namespace veilnet::cli
