// The layers of every network, as data: what a back end computes, and which tensors it needs.
//
// Pictures enter as float32 [N, 3, H, W] (batch, channels, rows, columns); every layer's output has
// those four axes, in this order. A convolution pads with zeros, as many on each side as its
// `padding` says. Normalising, padding a U-Net's input and the sigmoid behind it are not layers:
// see model/prepare.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/card.h"

namespace veilnet::model {

/// What a layer computes from x (and y, its second input). Tensors are named in the order in which
/// the layer lists them, with their shapes.
enum class Op {
  Input,        ///< the picture
  Conv,         ///< weight [out, in, k, k], bias [out] where there is one; cross-correlation
  BatchNorm,    ///< (x - running_mean) / sqrt(running_var + 1e-5) * weight + bias; all [channels]:
                ///< weight, bias, running_mean, running_var
  Relu,         ///< max(x, 0)
  LeakyRelu,    ///< x, or slope * x where x < 0
  Sign,         ///< 1 where x >= 0, else -1
  Largest,      ///< in each group of `kernel` channels 1 for the first largest, else 0
  MaxPool,      ///< 2x2, stride 2; an odd last row or column is left out
  AveragePool,  ///< as MaxPool, the mean
  Upsample,     ///< each pixel becomes 2x2
  Concat,       ///< channels of x, then channels of y
  Add,          ///< x + y
  Shortcut,     ///< ResNet's option A: every second pixel from the first on, channels padded with
                ///< zeros, as many before as after
  GlobalAverage,   ///< the mean over rows and columns: [N, channels, 1, 1]
  Linear,          ///< weight [out, in], bias [out], on [N, in, 1, 1]
  PixelShuffle,    ///< channel (c, i, j) of a pixel becomes pixel (i, j) of a kernel x kernel block
  PixelUnshuffle,  ///< the way back: [N, c k k, H / k, W / k]
  BitPlanes,  ///< x in [0, 1] as 8 bits, each -1 or 1: channel (b, c) is bit 7 - b of channel c
  PositionLinear,  ///< a matrix for each pixel p: weight [pixels, in, out], bias [pixels, 1, out]
                   ///< where there is one. Spectral: weight [pixels, out, in], left [pixels, out,
                   ///< 1] and right [pixels, in, 1]; the matrix is weight / (left' weight right)
  PositionNorm,    ///< BatchNorm with tensors [pixels * channels], channel c of pixel p at
                   ///< p * channels + c
  Mix,             ///< weight [pixels, pixels]: pixel q of the output is sum over p of
                   ///< weight[q, p] x[p]
};

struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
  bool operator==(const TensorSpec&) const = default;
};

struct Layer {
  Op op = Op::Input;
  std::string name{};            ///< of its module in the reference code: tensors are <name>.<kind>
  std::vector<size_t> inputs{};  ///< positions in Graph::layers, all smaller than its own
  int64_t channels = 0;          ///< of the output
  int64_t kernel = 1, stride = 1, padding = 0;
  double slope = 0;       ///< LeakyRelu
  bool spectral = false;  ///< PositionLinear
  std::vector<TensorSpec> tensors{};
};

/// Layers in an order in which they can be computed; the first is the input, the last the output.
struct Graph {
  std::vector<Layer> layers;
  /// Sides of the input must be multiples of this, and at least `smallest`.
  int64_t multiple = 1, smallest = 1;
  /// Pictures of other sides are padded to the next multiple (prepare.h) instead of refused.
  bool pads = false;
  /// The only sides possible, for networks with weights for each position; 0 where any will do.
  int64_t height = 0, width = 0;

  /// Every tensor of every layer.
  std::vector<TensorSpec> tensors() const;
};

/// How many bits of a categorical code each choice makes: the most, of 10, that divide all.
int64_t choice_bits(int64_t bits);

/// A layer's output for one picture: channels, rows, columns.
struct Shape {
  int64_t channels = 0, height = 0, width = 0;
  int64_t size() const { return channels * height * width; }
  bool operator==(const Shape&) const = default;
};

/// The network that a card describes. Takes no memory for weights.
/// @throws Error{InvalidArgument} for an architecture that its role does not have, and for
/// parameters out of range.
Graph make_graph(const Card& card);

/// The output shape of every layer for pictures of this size.
/// @throws Error{InvalidArgument} for sides that the network cannot take.
std::vector<Shape> shapes(const Graph& graph, int64_t height, int64_t width);

/// The most bytes of float32 activations that are alive at once while one picture goes through the
/// layers in order. A back end may need as much again. @throws as shapes.
uint64_t activation_bytes(const Graph& graph, int64_t height, int64_t width);

/// Multiply-accumulate operations for one picture. @throws as shapes.
uint64_t multiplications(const Graph& graph, int64_t height, int64_t width);

}  // namespace veilnet::model
