// The ways of protecting pictures that an experiment can compare, by label.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "experiment/models.h"
#include "protection/protection.h"
#include "record/matrix.h"

namespace veilnet::experiment {

/// A conventional scheme with its keys.
std::unique_ptr<protection::Protection> protection_of(const train::KeyedScheme& scheme);

/// The transformation network of one point of the experiment. @param folder_name of its run: its
/// label.
std::unique_ptr<protection::Protection> protection_of(const Experiment& point, nn::Model h);

/// The protection of that label: a scheme as Experiment::at_scheme names it; "transform", "gan"
/// or a network that at_transform knows, whose training must be finished; "pbm" or "instahide",
/// which mix the pictures of a set (cipher/mixing.h), drawn anew for each picture; or "random",
/// uniform noise that has nothing to do with the picture, from which no attack may recover
/// anything.
/// @throws Error{InvalidArgument} for another label, Error{NotFound} for an unfinished training.
std::unique_ptr<protection::Protection> make_protection(const Experiment& experiment,
                                                        const Workspace& workspace,
                                                        const std::string& label);

/// Refuses what make_protection does not know, whether it is trained or not. @throws
/// Error{InvalidArgument}.
void check_protection(const Experiment& experiment, const std::string& label);

/// What no attacker can do, measured on the test pictures and, how many codes there are, on all at
/// hand, where the protection is a code; else nothing.
std::optional<record::Bound> bound_of(const protection::Protection& protection,
                                      const Workspace& workspace);

/// The experiment at the transformation network of that label: itself for "transform",
/// Experiment::at_bits for "coded10", "coded4-eps8" and "coded16-shared", which alone of these
/// serves [transform] services too, at_rival for "minmax" and "nopeek"; nothing for another label.
/// @throws Error{InvalidArgument} for an epsilon of 0.
std::optional<Experiment> at_transform(const Experiment& experiment, const std::string& label);

}  // namespace veilnet::experiment
