// The comparison table of the schemes.
#pragma once

#include <filesystem>
#include <vector>

#include "experiment/settings.h"
#include "record/matrix.h"

namespace veilnet::experiment {

/// Trains what is missing of the experiment's table1.rows, measures each and writes its record to
/// <results>/table1-<data>-<row>.json as soon as the row is done. A row whose record is there is
/// neither trained nor measured, unless `anew`. Rows:
/// "plain", "transform" (the main alpha and those of the curve), and labels as
/// Experiment::at_scheme takes them.
/// With e.rehearsal it only trains, as far as that goes, and returns nothing.
/// @throws Error{InvalidArgument} for an unknown row before anything is run.
std::vector<record::Result> reproduce_table1(Experiment experiment,
                                             const std::filesystem::path& results,
                                             bool anew = false);

}  // namespace veilnet::experiment
