// The plain evaluation of a graph, against which every back end is tested. Slow.
#pragma once

#include "model/prepare.h"

namespace veilnet::model {

/// The output of a model's last layer for its first layer's input (network_input), computed layer
/// by layer as graph.h states them, with sums in double. Logits have height and width 1.
/// @throws as shapes.
Activations ref_forward(const Model& model, const Activations& input);

}  // namespace veilnet::model
