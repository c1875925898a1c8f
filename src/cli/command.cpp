#include "cli/command.h"

#include <algorithm>
#include <iostream>

#include "core/error.h"
#include "core/files.h"
#include "image/image.h"

namespace veilnet::cli {

namespace fs = std::filesystem;

void add_json(CLI::App& command, CommonOptions& options) {
  command.add_option("--json", options.json, "Write the result as JSON to this file")->type_name("FILE");
}

void add_common(CLI::App& command, CommonOptions& options) {
  command.add_option("--config", options.config, "Experiment configuration (see configs/)")->type_name("FILE.toml");
  command.add_option("--set", options.sets, "Override one key, for instance transform.alpha=0.01; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--print-config", options.print_config, "Print the resolved configuration and stop");
  add_json(command, options);
}

Config load_config(const CommonOptions& options) {
  Config config = options.config.empty() ? Config() : Config::load(options.config);
  for (const auto& assignment : options.sets) config.set(assignment);
  return config;
}

void write_json(const CommonOptions& options, const nlohmann::json& value) {
  if (!options.json.empty()) write_file(options.json, value.dump(1) + "\n", Overwrite::Yes);
}

std::vector<Input> collect_inputs(const std::vector<std::string>& paths) {
  std::vector<Input> inputs;
  for (const fs::path path : paths) {
    if (fs::is_directory(path)) {
      const auto before = inputs.size();
      for (const auto& entry : fs::recursive_directory_iterator(path)) {
        if (entry.is_regular_file() && image::has_picture_extension(entry.path())) {
          inputs.push_back({entry.path(), fs::relative(entry.path(), path)});
        }
      }
      if (inputs.size() == before)
        throw Error(ErrorCode::NotFound, path.string() + ": holds no .png, .jpg, .jpeg or .webp file");
      std::sort(inputs.begin() + static_cast<long>(before), inputs.end(),
                [](const Input& a, const Input& b) { return a.path < b.path; });
    } else if (fs::exists(path)) {
      inputs.push_back({path, path.filename()});
    } else {
      throw Error(ErrorCode::NotFound, path.string() + ": no such file or folder");
    }
  }
  return inputs;
}

}  // namespace veilnet::cli
