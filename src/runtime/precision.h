// Which activations of a lowered model are kept in fewer bits.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "runtime/lower.h"
#include "runtime/narrow.h"

namespace veilnet::runtime {

/// An activation: of which layer, and what its elements are.
struct Value {
  size_t layer = 0;  ///< in the graph; its shape is this activation's
  Type type = Type::Float32;
  float scale = 1;  ///< Int8 only: value = scale * byte
};

/// The largest value of each layer's output on pictures such as the model will see, by layer.
using Ranges = std::map<size_t, float>;

/// Where a model's card keeps them, as text, and back. Empty where the card has none.
/// @throws Error{BadData} for a note of another form or of another network.
constexpr const char* kRangesNote = "int8.ranges";
std::string to_note(const Ranges& ranges, const model::Graph& graph);
Ranges ranges_of(const model::Model& model);

/// Rewrites the nodes so that every convolution that can computes with inputs of `type`, and
/// returns all values: first those of the graph's layers, then the converted ones. A convolution of
/// Int8 needs inputs from layers that are in `ranges`, and of either type channels in whole_blocks;
/// other nodes compute in float32, as does everything where `type` is Float32. The network's output
/// is float32.
std::vector<Value> narrow(std::vector<Node>& nodes, const model::Graph& graph, Type type,
                          const Ranges& ranges);

}  // namespace veilnet::runtime
