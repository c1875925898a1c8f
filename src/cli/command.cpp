#include "cli/command.h"

#include <algorithm>
#include <iostream>
#include <set>
#include <spdlog/spdlog.h>

#include "core/error.h"
#include "image/folder.h"
#include "image/image.h"

namespace veilnet::cli {

namespace fs = std::filesystem;

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
        throw Error(ErrorCode::NotFound,
                    path.string() + ": holds no .png, .jpg, .jpeg or .webp file");
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

std::vector<fs::path> png_names(const std::vector<Input>& inputs) {
  std::vector<fs::path> names;
  std::set<fs::path> taken;
  for (const auto& input : inputs) {
    names.push_back(fs::path(input.relative).replace_extension(".png"));
    if (!taken.insert(names.back()).second) {
      throw Error(ErrorCode::InvalidArgument, input.path.string() +
                                                  ": another input would also be written as " +
                                                  names.back().string());
    }
  }
  return names;
}

void convert_pictures(const CommonOptions& options, const std::vector<std::string>& paths,
                      const fs::path& output, Overwrite overwrite, const std::string& done,
                      nlohmann::json record,
                      const std::function<std::vector<uint8_t>(const fs::path&)>& to_png) {
  const auto inputs = collect_inputs(paths);
  const auto names = png_names(inputs);
  auto written = nlohmann::json::array(), failed = nlohmann::json::array();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& path = inputs[i].path;
    const auto target = output / names[i];
    try {
      write_file(target, to_png(path), overwrite);
      written.push_back({{"input", path.string()}, {"output", target.string()}});
    } catch (const Error& e) {
      spdlog::error("{}", e.what());
      failed.push_back(
          {{"input", path.string()}, {"code", error_code_name(e.code())}, {"message", e.what()}});
    }
  }
  record["written"] = written;
  record["failed"] = failed;
  write_json(options, record);
  spdlog::info("{} {} of {} pictures into {}", done, written.size(), inputs.size(),
               output.string());
  if (!failed.empty())
    throw Error(ErrorCode::BadData, std::to_string(failed.size()) + " of " +
                                        std::to_string(inputs.size()) + " pictures failed");
}

}  // namespace veilnet::cli
