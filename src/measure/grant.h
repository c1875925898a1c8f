// What an attacker is handed of a protection: its public side, and what a threat model grants.
#pragma once

#include <optional>

#include "attack/materials.h"
#include "data/dataset.h"
#include "protection/protection.h"

namespace veilnet::measure {

/// What the public knows of it.
attack::Target target_of(const protection::Protection& protection);

/// What the bench has and an attacker is given parts of. No picture is in two of the sets.
struct Sets {
  data::Dataset attacked;   ///< test pictures; their plain versions are what is to be recovered
  data::Dataset auxiliary;  ///< plain pictures of the same distribution
  data::Dataset observed;   ///< pictures of the same distribution of which the attacker may see
                            ///< protected versions
  std::optional<data::Dataset> unrelated;
  /// Which of the auxiliary and of the observed pictures validate; every tenth unless given.
  std::optional<data::Split> split;
};

/// Pictures as they are protected for the service: test pictures, whose keys no other set has.
image::Batch protect_test(const protection::Protection& protection, const data::Dataset& plain);

/// @throws Error{InvalidArgument} when the protection cannot be attacked so (naming the part of the
/// threat model that does not fit it), and as attack::check.
attack::Materials grant(const protection::Protection& protection, const Sets& sets,
                        const attack::ThreatModel& model);

}  // namespace veilnet::measure
