// Attribute inference: what a classifier reads from protected pictures that the service does not
// need.
#pragma once

#include "attack/inverse.h"

namespace veilnet::attack {

/// Yes-or-no questions about a plain picture, each true for the half of a set's pictures above the
/// median: "brightness" mean luminance; "warmth" mean red minus mean blue; "detail" mean absolute
/// difference of neighbouring luminances; "top-lit" mean luminance of the upper half minus that of
/// the lower.
std::vector<std::string> attribute_names();
/// The quantity behind the question, in 8-bit steps. @throws Error{InvalidArgument} for another
/// name.
double attribute_value(const std::string& name, std::span<const uint8_t> image_hwc, int height,
                       int width);

struct AttributeInference {
  double accuracy = 0;  ///< share of protected pictures whose attribute is named right
  double chance = 0;    ///< share of the more frequent answer
};

/// Trains a ResNet-8 on protected pictures whose plain versions the attacker knows, and asks it
/// about others.
/// @param plan with the recipe of a classifier. @param attacked their plain halves only tell what
/// is right. @throws as train::run_training.
AttributeInference infer_attribute(const TrainingPlan& plan, const std::string& name,
                                   const data::Pairs& known, const data::Split& split,
                                   const data::Pairs& attacked);

}  // namespace veilnet::attack
