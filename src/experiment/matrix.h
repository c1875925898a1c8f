// Every attack on every protection: the main experiment, the matrix of attacks, the audit of one
// scheme or model.
//
// One bench measures all of them, cell by cell; each cell is a stage that is kept and knows what it
// was made from, so that an interrupted run is continued by running it again.
#pragma once

#include "core/shard.h"
#include "experiment/models.h"
#include "record/matrix.h"

namespace veilnet::experiment {

/// The main experiment: trains psi, then h for every alpha, and measures each of them and what the
/// ITN-Attack recovers of it, on all test pictures. Finished parts are kept, interrupted ones
/// resumed. Writes <experiment>/{matrix.json, report.html, grid.png, pictures}.
record::Matrix reproduce(Experiment experiment, Mode mode = Mode::Complete);

/// The same of what is finished already; trains no model of the service, but attacks.
/// @throws Error{NotFound} when there is no transformation network.
record::Matrix evaluate(const Experiment& experiment, const Workspace& workspace);

/// Attacks the experiment's [attacks] schemes with everything that applies and measures what leaks.
/// The cells live in <experiment>/attacks/<budget>/<protection>/<attack>.
///
/// Attacked are test pictures; the attacker's own and the observed pictures are halves of the
/// training set, so that no picture has two parts. psi, where its training is finished, and phi
/// judge the reconstructions.
///
/// Also writes <experiment>/attacks/<budget>/{matrix.json, report.html, pictures,
/// boxes-<protection>.svg}.
/// @throws Error{InvalidArgument} for an unknown scheme or transport; Error{NotFound} for
/// "transform" or "gan" before its training.
///
/// With a shard, several processes divide the cells: each keeps its own and writes no page, and a
/// call for the whole puts them together and measures what needs them all.
record::Matrix run_attacks(Experiment experiment, const Shard& shard = {});

/// The same, with psi and the transformation networks among its [attacks] schemes trained first
/// where they are missing, and every accuracy over all test pictures: defences side by side.
record::Matrix reproduce_defences(Experiment experiment);

/// One attack on one protection, a cell of that matrix; no page is written.
record::Matrix run_attack(Experiment experiment, const std::string& protection,
                          const std::string& attack);

/// The experiment that a run folder belongs to, with its scheme or model as the only one to attack.
/// @param run for instance runs/cifar10-cpu/transform-a0.005 or runs/cifar10-cpu/scheme-le.
/// @throws Error{NotFound} for a folder without config.toml; Error{InvalidArgument} for one that is
/// neither kind.
Experiment experiment_of_run(const std::filesystem::path& run,
                             const std::vector<std::string>& overrides);

/// Where a matrix of attacks is kept.
std::filesystem::path attacks_folder(const Experiment& experiment);

/// One protection that nobody attacks but by looking, on all test pictures, as a row of the
/// comparison table: psi on plain pictures, h at this point, and the configured scheme ("gan" too)
/// with the classifier that learned from its pictures; that one is also written to
/// <run>/metrics.json. @throws Error{NotFound} before the training.
record::Matrix evaluate_plain(const Experiment& experiment, const Workspace& workspace);
record::Matrix evaluate_transform(const Experiment& point, const Workspace& workspace);
record::Matrix evaluate_scheme(const Experiment& experiment, const Workspace& workspace);

/// "experiment", configuration, commit, machine, and the keys of the stages that were read.
record::Provenance provenance_of(const Experiment& experiment);

}  // namespace veilnet::experiment
