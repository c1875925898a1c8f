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
  const auto sign = std::ranges::find_if(
      layers, [](const Layer& l) { return l.op == Op::Sign || l.op == Op::Largest; });
  if (sign == layers.end())
    fail(ErrorCode::InvalidArgument, "{} has no code; allowed: a coded transformation",
         describe(h.card));
  const auto code = static_cast<size_t>(sign - layers.begin());
  if (h.card.role == Role::Encoder) return {h, std::nullopt};
  // Nothing behind the code reads anything before it, so positions only move.
  std::vector<Layer> behind{{.op = Op::Input, .channels = sign->channels}};
  for (auto layer : std::span(layers).subspan(code + 1)) {
    for (auto& input : layer.inputs) input -= code;
    behind.push_back(std::move(layer));
  }
  CodedParts parts{with_layers(h, {layers.begin(), sign + 1}), with_layers(h, std::move(behind))};
  auto& graph = parts.decoder->graph;
  graph.multiple = graph.smallest = graph.height = graph.width = 1;
  graph.pads = false;
  return parts;
}

std::vector<float> symbols_of(const Card& card, uint64_t code) {
  std::vector<float> symbols;
  if (card.quantiser.empty()) {
    for (int64_t bit = 0; bit < card.bits; ++bit) symbols.push_back(code >> bit & 1 ? 1.0f : -1.0f);
    return symbols;
  }
  const auto each = choice_bits(card.bits);
  for (int64_t bit = 0; bit < card.bits; bit += each)
    for (uint64_t choice = 0; choice < 1ull << each; ++choice)
      symbols.push_back((code >> bit & ((1ull << each) - 1)) == choice ? 1.0f : 0.0f);
  return symbols;
}

uint64_t code_of(const Card& card, std::span<const float> symbols) {
  uint64_t code = 0;
  if (card.quantiser.empty()) {
    for (size_t bit = 0; bit < symbols.size(); ++bit)
      if (symbols[bit] > 0) code |= 1ull << bit;
    return code;
  }
  const auto each = choice_bits(card.bits);
  const size_t choices = 1ull << each;
  for (size_t i = 0; i < symbols.size(); ++i)
    if (symbols[i] > 0) code |= static_cast<uint64_t>(i % choices) << (i / choices * each);
  return code;
}

Model encoder_of(const Model& h, const std::string& sha256) {
  auto encoder = coded_parts(h).encoder;
  encoder.card.role = Role::Encoder;
  encoder.card.notes[kWholeNote] = sha256;
  encoder.graph = make_graph(encoder.card);
  return encoder;
}

}  // namespace veilnet::model
