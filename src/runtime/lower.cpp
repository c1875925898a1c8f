#include "runtime/lower.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

namespace veilnet::runtime {
namespace {

using model::Layer;
using model::Op;

class Lowering {
 public:
  explicit Lowering(model::Model& model)
      : model_(model), layers_(model.graph.layers), users_(layers_.size()), done_(layers_.size()) {
    for (size_t i = 0; i < layers_.size(); ++i) {
      for (const auto input : layers_[i].inputs) users_[input].push_back(i);
      parts_.push_back({i});
    }
  }

  std::vector<Node> run() {
    for (size_t i = 1; i < layers_.size(); ++i) {
      if (!done_[i]) lower(i);
    }
    return std::move(nodes_);
  }

 private:
  void lower(size_t i) {
    const auto& layer = layers_[i];
    switch (layer.op) {
      case Op::Conv:
      case Op::Linear: return convolution(i);
      case Op::Upsample:
        if (follower(i, Op::Conv) && layers_[*follower(i, Op::Conv)].kernel == 3) return;
        break;
      case Op::Concat:
        parts_[i] = parts_[layer.inputs[0]];
        parts_[i].insert(parts_[i].end(), parts_[layer.inputs[1]].begin(),
                         parts_[layer.inputs[1]].end());
        return;
      case Op::BatchNorm:
      case Op::Relu:
      case Op::LeakyRelu: return scale_shift(i);
      case Op::PositionLinear: return position_linear(i);
      case Op::Mix: {
        Node node = begin(Node::Kind::Mix, i);
        node.a = tensor(layer, 0);
        return push(std::move(node), i);
      }
      case Op::Add: {
        Node node = begin(Node::Kind::Add, i);
        return push_activated(std::move(node), i);
      }
      default: break;
    }
    push(begin(Node::Kind::Plain, i), i);
  }

  void convolution(size_t i) {
    const auto& layer = layers_[i];
    auto conv = std::make_shared<Convolution>();
    conv->in = layers_[layer.inputs[0]].channels;
    conv->out = layer.channels;
    conv->kernel = layer.kernel;
    conv->stride = layer.stride;
    conv->padding = layer.padding;
    conv->weights = std::move(model_.weights.at(layer.tensors[0].name).values);
    conv->bias = layer.tensors.size() > 1 ? tensor(layer, 1)
                                          : std::vector<float>(static_cast<size_t>(layer.channels));
    Node node;
    node.kind = Node::Kind::Convolution;
    node.layer = i;
    auto source = layer.inputs[0];
    if (layers_[source].op == Op::Upsample && !written(source)) {
      conv->upsampled = true;
      source = layers_[source].inputs[0];
    }
    node.inputs = parts_[source];
    auto last = i;
    if (const auto norm = follower(last, Op::BatchNorm)) {
      const auto [scale, shift] = scale_and_shift(layers_[*norm]);
      const size_t each = conv->weights.size() / scale.size();
      for (size_t o = 0; o < scale.size(); ++o) {
        for (size_t j = o * each; j < (o + 1) * each; ++j)
          conv->weights[j] = static_cast<float>(conv->weights[j] * scale[o]);
        conv->bias[o] = static_cast<float>(conv->bias[o] * scale[o] + shift[o]);
      }
      last = absorb(*norm);
    }
    // The other summand's memory becomes the sum's: nothing else may need it afterwards.
    if (const auto sum = follower(last, Op::Add)) {
      const auto& summands = layers_[*sum].inputs;
      const auto other = summands[0] == last ? summands[1] : summands[0];
      if (other != last && other != 0 && written(other) && parts_[other].size() == 1 &&
          users_[other].back() == *sum && std::ranges::none_of(users_[other], [&](size_t u) {
            return layers_[u].op == Op::Concat;
          })) {
        conv->residual = true;
        node.inputs.push_back(parts_[other][0]);
        last = absorb(*sum);
      }
    }
    last = activation(last, conv->slope);
    node.convolution = std::move(conv);
    push(std::move(node), last);
  }

  void scale_shift(size_t i) {
    const auto& layer = layers_[i];
    Node node = begin(Node::Kind::ScaleShift, i);
    node.a.assign(static_cast<size_t>(layer.channels), 1.0f);
    node.b.assign(static_cast<size_t>(layer.channels), 0.0f);
    if (layer.op == Op::BatchNorm) {
      const auto [scale, shift] = scale_and_shift(layer);
      node.a.assign(scale.begin(), scale.end());
      node.b.assign(shift.begin(), shift.end());
      return push_activated(std::move(node), i);
    }
    node.slope = slope_of(layer);
    push(std::move(node), i);
  }

  void position_linear(size_t i) {
    const auto& layer = layers_[i];
    Node node = begin(Node::Kind::PositionLinear, i);
    const auto weight = tensor(layer, 0);
    const auto& shape = layer.tensors[0].shape;
    const auto pixels = static_cast<size_t>(shape[0]);
    const auto out = static_cast<size_t>(layer.channels);
    const size_t in = weight.size() / pixels / out;
    node.a.resize(weight.size());
    node.b = !layer.spectral && layer.tensors.size() > 1 ? tensor(layer, 1)
                                                         : std::vector<float>(pixels * out);
    const auto left = layer.spectral ? tensor(layer, 1) : std::vector<float>();
    const auto right = layer.spectral ? tensor(layer, 2) : std::vector<float>();
    std::vector<double> scale(pixels * out, 1.0), shift(pixels * out, 0.0);
    auto last = i;
    if (const auto norm = follower(i, Op::PositionNorm)) {
      std::tie(scale, shift) = scale_and_shift(layers_[*norm]);
      last = absorb(*norm);
    }
    for (size_t p = 0; p < pixels; ++p) {
      const auto* w = weight.data() + p * in * out;
      double sigma = layer.spectral ? 0 : 1;
      if (layer.spectral) {
        for (size_t o = 0; o < out; ++o)
          for (size_t k = 0; k < in; ++k)
            sigma += double{left[p * out + o]} * w[o * in + k] * right[p * in + k];
      }
      for (size_t o = 0; o < out; ++o) {
        const double s = scale[p * out + o];
        for (size_t k = 0; k < in; ++k) {
          node.a[(p * in + k) * out + o] =
              static_cast<float>(s * (layer.spectral ? w[o * in + k] / sigma : w[k * out + o]));
        }
        node.b[p * out + o] = static_cast<float>(s * node.b[p * out + o] + shift[p * out + o]);
      }
    }
    last = activation(last, node.slope);
    push(std::move(node), last);
  }

  // A node that reads the layer's inputs; those that are several parts are first copied together,
  // unless the node reads parts.
  Node begin(Node::Kind kind, size_t i) {
    Node node;
    node.kind = kind;
    node.layer = i;
    for (const auto input : layers_[i].inputs) {
      if (parts_[input].size() > 1 && kind != Node::Kind::ScaleShift) {
        Node copy;
        copy.kind = Node::Kind::Copy;
        copy.layer = input;
        copy.inputs = parts_[input];
        push(std::move(copy), input);
      }
      node.inputs.insert(node.inputs.end(), parts_[input].begin(), parts_[input].end());
    }
    return node;
  }

  void push_activated(Node node, size_t last) {
    last = activation(last, node.slope);
    push(std::move(node), last);
  }

  void push(Node node, size_t output) {
    node.output = output;
    done_[output] = true;
    parts_[output] = {output};
    nodes_.push_back(std::move(node));
  }

  // The layer that alone reads `i`, if it is of this kind.
  std::optional<size_t> follower(size_t i, Op op) const {
    if (users_[i].size() == 1 && layers_[users_[i][0]].op == op) return users_[i][0];
    return std::nullopt;
  }
  size_t absorb(size_t i) {
    done_[i] = true;
    return i;
  }
  size_t activation(size_t last, float& slope) {
    for (const Op op : {Op::Relu, Op::LeakyRelu}) {
      if (const auto next = follower(last, op)) {
        slope = slope_of(layers_[*next]);
        return absorb(*next);
      }
    }
    return last;
  }
  bool written(size_t i) const {
    return std::ranges::any_of(nodes_, [&](const Node& n) { return n.output == i; });
  }

  static float slope_of(const Layer& layer) {
    return layer.op == Op::LeakyRelu ? static_cast<float>(layer.slope) : 0.0f;
  }
  const std::vector<float>& tensor(const Layer& layer, size_t i) const {
    return model_.weights.at(layer.tensors[i].name).values;
  }
  std::pair<std::vector<double>, std::vector<double>> scale_and_shift(const Layer& norm) const {
    const auto &weight = tensor(norm, 0), &bias = tensor(norm, 1), &mean = tensor(norm, 2),
               &variance = tensor(norm, 3);
    std::vector<double> scale, shift;
    for (size_t i = 0; i < weight.size(); ++i) {
      scale.push_back(weight[i] / std::sqrt(variance[i] + 1e-5));
      shift.push_back(bias[i] - mean[i] * scale.back());
    }
    return {scale, shift};
  }

  model::Model& model_;
  const std::vector<Layer>& layers_;
  std::vector<std::vector<size_t>> users_;
  std::vector<std::vector<size_t>> parts_;  // the values whose channels make up a layer's output
  std::vector<bool> done_;
  std::vector<Node> nodes_;
};

}  // namespace

std::vector<Node> lower(model::Model& model) { return Lowering(model).run(); }

}  // namespace veilnet::runtime
