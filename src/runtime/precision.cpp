#include "runtime/precision.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <sstream>

#include "core/error.h"
#include "core/text.h"

namespace veilnet::runtime {
namespace {

class Narrowing {
 public:
  Narrowing(const std::vector<Node>& nodes, const model::Graph& graph, Type type,
            const Ranges& ranges)
      : old_(nodes),
        graph_(graph),
        type_(type),
        ranges_(ranges),
        not_negative_(graph.layers.size()) {
    for (size_t layer = 0; layer < graph.layers.size(); ++layer) values_.push_back({layer});
  }

  std::vector<Node> run() {
    for (const auto& node : old_) {
      if (node.kind == Node::Kind::Convolution) {
        convolution(node);
      } else if (node.kind == Node::Kind::Plain && is_narrow(node.inputs[0]) &&
                 graph_.layers[node.layer].op == model::Op::MaxPool &&
                 not_negative_[node.inputs[0]]) {
        push(node, /*narrow=*/true, values_[node.inputs[0]].scale);
        not_negative_[node.output] = true;
      } else {
        auto wide = node;
        for (auto& input : wide.inputs) input = widened(input);
        not_negative_[node.output] = node.slope == 0 || keeps_sign(node);
        push(std::move(wide), false);
      }
    }
    return std::move(nodes_);
  }

  std::vector<Value> values() { return std::move(values_); }

 private:
  void convolution(const Node& node) {
    const auto& c = *node.convolution;
    auto made = node;
    const size_t sources = node.inputs.size() - (c.residual ? 1 : 0);
    const auto first = node.inputs.begin(), end = first + static_cast<std::ptrdiff_t>(sources);
    const bool computes = std::all_of(first, end, [&](size_t v) {
      return whole_blocks(graph_.layers[values_[v].layer].channels, type_) && can_be_narrow(v);
    });
    const auto range = ranges_.find(node.output);
    const bool last = &node == &old_.back();
    bool gives = computes && !last && whole_blocks(c.out, type_) &&
                 (type_ == Type::BFloat16 || (c.slope == 0 && range != ranges_.end()));
    if (c.residual) gives = gives && can_be_narrow(node.inputs.back());
    for (size_t i = 0; i < sources; ++i)
      made.inputs[i] = computes ? narrowed(node.inputs[i]) : widened(node.inputs[i]);
    if (c.residual)
      made.inputs.back() = gives ? narrowed(node.inputs.back()) : widened(node.inputs.back());
    not_negative_[node.output] = c.slope == 0;
    push(std::move(made), gives, gives ? scale_of(node.output) : 1);
  }

  // Whether a layer without tensors gives nothing negative.
  bool keeps_sign(const Node& node) const {
    const auto op = graph_.layers[node.layer].op;
    return node.kind == Node::Kind::Plain && op != model::Op::Sign && op != model::Op::Largest &&
           op != model::Op::BitPlanes && not_negative_[values_[node.inputs[0]].layer];
  }
  bool is_narrow(size_t value) const { return values_[value].type != Type::Float32; }
  bool can_be_narrow(size_t value) const {
    return is_narrow(value) || type_ == Type::BFloat16 ||
           (not_negative_[value] && ranges_.contains(value));
  }
  float scale_of(size_t layer) const {
    if (type_ != Type::Int8) return 1;
    const auto largest = ranges_.at(layer);
    return largest > 0 ? largest / 255 : 1;
  }

  // The value in the other type, converted where it first is needed.
  size_t narrowed(size_t value) { return is_narrow(value) ? value : converted(value, type_); }
  size_t widened(size_t value) {
    return is_narrow(value) ? converted(value, Type::Float32) : value;
  }
  size_t converted(size_t value, Type type) {
    const auto [found, made] = converted_.try_emplace(value, values_.size());
    if (!made) return found->second;
    values_.push_back({values_[value].layer, type, type == Type::Int8 ? scale_of(value) : 1});
    Node node;
    node.kind = Node::Kind::Convert;
    node.layer = values_[value].layer;
    node.inputs = {value};
    node.output = found->second;
    nodes_.push_back(std::move(node));
    return found->second;
  }

  void push(Node node, bool narrow, float scale = 1) {
    if (narrow) {
      values_[node.output].type = type_;
      values_[node.output].scale = scale;
    }
    nodes_.push_back(std::move(node));
  }

  const std::vector<Node>& old_;
  const model::Graph& graph_;
  Type type_;
  const Ranges& ranges_;
  std::vector<bool> not_negative_;  // by layer
  std::vector<Value> values_;
  std::map<size_t, size_t> converted_;
  std::vector<Node> nodes_;
};

}  // namespace

std::string to_note(const Ranges& ranges, const model::Graph& graph) {
  auto text = fmt::format("{}", graph.layers.size());
  for (const auto& [layer, largest] : ranges) text += fmt::format(" {}:{}", layer, largest);
  return text;
}

Ranges ranges_of(const model::Model& model) {
  Ranges ranges;
  const auto note = model.card.notes.find(kRangesNote);
  if (note == model.card.notes.end()) return ranges;
  std::istringstream text(note->second);
  size_t layers = 0, layer = 0;
  bool good = static_cast<bool>(text >> layers) && layers == model.graph.layers.size();
  char colon = 0;
  for (float largest = 0; good && text >> layer;) {
    good = text >> colon >> largest && colon == ':' && layer < layers && std::isfinite(largest);
    ranges[layer] = largest;
  }
  if (!good || !text.eof())
    fail(ErrorCode::BadData,
         "{}: the note {} is \"{}\"; allowed is what veilnet calibrate writes for this network",
         model.source.empty() ? "model" : model.source, kRangesNote, printable(note->second));
  return ranges;
}

std::vector<Value> narrow(std::vector<Node>& nodes, const model::Graph& graph, Type type,
                          const Ranges& ranges) {
  Narrowing narrowing(nodes, graph, type, ranges);
  if (type != Type::Float32) nodes = narrowing.run();
  return narrowing.values();
}

}  // namespace veilnet::runtime
