// A model's layer graph with everything fused that the runtime computes at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "model/model.h"

namespace veilnet::runtime {

/// What follows a sum: max(y, slope * y). 1 is nothing, 0 ReLU.
constexpr float kNoActivation = 1.0f;

/// A convolution (or linear layer) with all that is folded into it.
struct Convolution {
  int64_t in = 0, out = 0;  ///< channels
  int64_t kernel = 1, stride = 1, padding = 0;
  bool upsampled = false;  ///< reads its input enlarged twice, nearest
  bool residual = false;   ///< adds to what its output already holds
  float slope = kNoActivation;
  std::vector<float> weights;  ///< [out][in][kernel][kernel], norm folded in
  std::vector<float> bias;     ///< [out]

  float weight(int64_t o, int64_t i, int64_t y, int64_t x) const {
    return weights[static_cast<size_t>(((o * in + i) * kernel + y) * kernel + x)];
  }
};

/// One thing to compute. Values are numbered as the layers of the graph whose output they are.
struct Node {
  enum class Kind {
    Convolution,
    ScaleShift,      ///< per channel, of the channels of all inputs behind each other; then slope
    Add,             ///< then slope
    Copy,            ///< channels of all inputs behind each other
    Plain,           ///< op of the graph's layer, without tensors
    PositionLinear,  ///< matrices and biases, norm folded in; then slope
    Mix,
    Convert  ///< the same values as another type (precision.h)
  };
  Kind kind = Kind::Plain;
  size_t layer = 0;            ///< in the graph, whose op and parameters a Plain node has
  std::vector<size_t> inputs;  ///< values
  size_t output = 0;           ///< value
  float slope = kNoActivation;
  std::shared_ptr<const Convolution> convolution;
  /// ScaleShift: scale and shift. PositionLinear: [pixel][in][out] and [pixel][out]. Mix: [q][p].
  std::vector<float> a, b;
};

/// The nodes in order, with the weights of `model`, whose convolutions have none afterwards; the
/// first value is the input, the last node's output the network's. In a
/// residual convolution, inputs.back() is the value that its output replaces.
std::vector<Node> lower(model::Model& model);

}  // namespace veilnet::runtime
