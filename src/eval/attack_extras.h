// What is measured of a victim besides the cells of the matrix: what its transport changes, what a
// classifier reads from its pictures, and what a smaller budget of the attacker's brings. Each
// returns entries in the form of eval/attack_report.h.
#pragma once

#include "eval/attack_bench.h"

namespace veilnet::eval {

/// Accuracy and leak after what happens to protected pictures on their way: by the strongest attack
/// among `cells` that opens pictures one by one.
nlohmann::json transport_entries(const AttackBench& bench, const attack::Victim& victim,
                                 const nlohmann::json& cells);

/// What attack::infer_attribute names right.
nlohmann::json attribute_entries(const AttackBench& bench, const attack::Victim& victim);

/// Fewer pairs for the known-plaintext attack under one key; fewer pairs, and fewer epochs, for the
/// ITN-Attack on a network.
nlohmann::json curve_entries(const AttackBench& bench, const attack::Victim& victim);

}  // namespace veilnet::eval
