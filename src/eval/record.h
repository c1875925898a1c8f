// What every committed record in results/ says about how it came about.
#pragma once

#include <nlohmann/json.hpp>

#include "experiment/models.h"

namespace veilnet::eval {

/// "experiment", "config" (without folders of the machine) and its hash, "commit", "seed",
/// "machine".
nlohmann::json record_of(const experiment::Experiment& experiment, const std::string& name);

/// "name", "hash", "train", "test", "classes", "height", "width".
nlohmann::json dataset_json(const experiment::Workspace& workspace);

/// "device", "threads", "precision", "LibTorch", "BLAS", "ISA".
nlohmann::json device_json(const train::Compute& compute);

/// A summary (eval/summary.h) as a metric: "mean", "spread" (standard deviation), "n".
nlohmann::json measured(const nlohmann::json& summary);

}  // namespace veilnet::eval
