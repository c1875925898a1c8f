#include "model/coded.h"

#include <algorithm>

#include "core/error.h"

namespace veilnet::model {
namespace {

Model with_layers(const Model& whole, std::vector<Layer> layers) {
  Model part{whole.card, whole.graph, {}};
  part.graph.layers = std::move(layers);
  for (const auto& spec : part.graph.tensors())
    part.weights.emplace(spec.name, whole.weights.at(spec.name));
  return part;
}

}  // namespace

CodedParts coded_parts(const Model& h) {
  const auto& layers = h.graph.layers;
  const auto sign = std::ranges::find(layers, Op::Sign, &Layer::op);
  if (sign == layers.end())
    fail(ErrorCode::InvalidArgument, "{} has no code; allowed: a coded transformation",
         describe(h.card));
  const auto code = static_cast<size_t>(sign - layers.begin());
  // Nothing behind the code reads anything before it, so positions only move.
  std::vector<Layer> behind{{.op = Op::Input, .channels = sign->channels}};
  for (auto layer : std::span(layers).subspan(code + 1)) {
    for (auto& input : layer.inputs) input -= code;
    behind.push_back(std::move(layer));
  }
  CodedParts parts{with_layers(h, {layers.begin(), sign + 1}), with_layers(h, std::move(behind))};
  auto& graph = parts.decoder.graph;
  graph.multiple = graph.smallest = graph.height = graph.width = 1;
  graph.pads = false;
  return parts;
}

}  // namespace veilnet::model
