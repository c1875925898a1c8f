// Every attack on every scheme: the matrix, and the audit of one scheme or model.
#pragma once

#include <nlohmann/json.hpp>

#include "experiment/models.h"

namespace veilnet::eval {

/// Attacks the experiment's [attacks] schemes with everything that applies and measures what leaks;
/// returns the matrix in the form that eval/attack_report.h describes. The trained attacks live in
/// <experiment>/attacks/<budget>/<scheme>/<attack>, where each finished cell is kept (cell.json,
/// pictures): what exists is not done again, an interrupted training goes on.
///
/// Attacked are test pictures; the attacker's own and the observed pictures are halves of the
/// training set, so that no picture has two parts. psi, where its training is finished, and phi
/// judge the reconstructions.
///
/// Also writes <experiment>/attacks/<budget>/{matrix.json, report.html, boxes-<scheme>.svg}.
/// @throws Error{InvalidArgument} for an unknown scheme or transport, and for a cell that was made
/// with other numbers; Error {NotFound} for "transform" or "gan" before its training.
nlohmann::json run_attacks(const experiment::Experiment& experiment);

/// The committed record of a matrix: results/attacks-<data>.json. Per-picture values are left out.
nlohmann::json attacks_record(const experiment::Experiment& experiment,
                              const nlohmann::json& matrix);

/// The experiment that a run folder belongs to, with its scheme or model as the only one to attack.
/// @param run for instance runs/cifar10-cpu/transform-a0.005 or runs/cifar10-cpu/scheme-le.
/// @throws Error{NotFound} for a folder without config.toml; Error{InvalidArgument} for one that is
/// neither kind.
experiment::Experiment experiment_of_run(const std::filesystem::path& run,
                                         const std::vector<std::string>& overrides);

}  // namespace veilnet::eval
