#include "eval/record.h"

#include <sstream>

#include "core/version.h"
#include "eval/summary.h"

namespace veilnet::eval {
namespace {

using nlohmann::json;

// The configuration without the folders of the machine it ran on: paths keep their last part.
std::string portable_config(const std::string& toml) {
  std::istringstream lines(toml);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    for (const char* key : {"path = ", "file = ", "runs = "}) {
      const auto slash = line.find_last_of('/');
      if (line.rfind(key, 0) == 0 && slash != std::string::npos)
        line = key + line.substr(line.find_first_of("'\"", 0), 1) + line.substr(slash + 1);
    }
    out += line + "\n";
  }
  return out;
}

}  // namespace

json device_json(const train::Compute& compute) { return experiment::machine_of(compute); }

json measured(const json& summary) {
  const double spread = number_from_json(summary.at("standard_deviation"), "standard_deviation");
  return {{"mean", summary.at("mean")}, {"spread", spread}, {"n", summary.at("n")}};
}

json dataset_json(const experiment::Workspace& w) {
  return {{"name", w.data.train.name},
          {"hash", w.data_sha256},
          {"train", w.split.train.size()},
          {"test", w.data.test.size()},
          {"classes", w.data.train.class_names.size()},
          {"height", w.data.train.pictures.height()},
          {"width", w.data.train.pictures.width()}};
}

json record_of(const experiment::Experiment& e, const std::string& name) {
  return {{"experiment", name},
          {"config_sha256", e.config_sha256},
          {"config", portable_config(e.resolved_toml)},
          {"commit", commit()},
          {"seed", e.transform.recipe.seed},
          {"machine", device_json(e.compute)}};
}

}  // namespace veilnet::eval
