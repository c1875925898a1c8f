// The comparison table: every scheme of the papers, its classifier trained with one recipe.
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

#include "experiment/models.h"

namespace veilnet::eval {

/// Runs or resumes the configured rows and writes one record a row,
/// <results>/table1-<data>-<row>.json. A row whose record exists is kept as it is.
///
/// Rows: "plain" (psi), "transform" (stands for transform-a<alpha>, one row for the main alpha and
/// each of the curve), "gan", and the label of a scheme ("le", "pe-same", "pe-independent", "ele",
/// "etc", ...). Metrics of every row: `accuracy` (on what the cloud sees), `plain_accuracy` (the
/// same classifier on plain pictures), and but for "plain" `ssim_mean`, `psnr_db_mean`; for keyed
/// schemes `key_space_bits`.
/// @return the records, in the order of the rows.
/// @throws Error{InvalidArgument} for an unknown row, before anything is trained.
nlohmann::json reproduce_table1(const experiment::Experiment& experiment,
                                const std::filesystem::path& results);

/// The records as a Markdown table with the papers' figures beside ours.
std::string table1_markdown(const nlohmann::json& records);

}  // namespace veilnet::eval
