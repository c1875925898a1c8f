#include "model/onnx.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <utility>

#include "core/error.h"

namespace veilnet::model {
namespace {

constexpr int64_t kIrVersion = 7, kOpset = 13;
// Numbers that onnx.proto gives its types.
constexpr int64_t kFloat = 1, kInt64 = 7;
constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();  // of a slice: to the last one

/// A protobuf message, written field by field: docs of the wire format, "Encoding".
class Message {
 public:
  Message& number(int field, int64_t value) {
    key(field, 0);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  Message& real(int field, float value) {
    key(field, 5);
    append(&value, sizeof value);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return text(field, value.bytes_); }
  Message& numbers(int field, const std::vector<int64_t>& values) {
    for (const auto value : values) number(field, value);
    return *this;
  }

  std::string& bytes() { return bytes_; }

 private:
  void key(int field, int kind) { varint(static_cast<uint64_t>(field << 3 | kind)); }
  void varint(uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>(value | 128);
    bytes_ += static_cast<char>(value);
  }
  void append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }

  std::string bytes_;
};

/// An attribute of a node: its name with an integer, several, a float or a string.
struct Attribute {
  Attribute(const char* name, int64_t value) {
    message.text(1, name).number(3, value).number(20, 2);
  }
  Attribute(const char* name, float value) { message.text(1, name).real(2, value).number(20, 1); }
  Attribute(const char* name, const char* value) {
    message.text(1, name).text(4, value).number(20, 3);
  }
  Attribute(const char* name, const std::vector<int64_t>& values) {
    message.text(1, name).numbers(8, values).number(20, 7);
  }
  Message message;
};

class Writer {
 public:
  Writer(const Model& model, int64_t height, int64_t width)
      : model_(model),
        layers_(model.graph.layers),
        height_(height),
        width_(width),
        padded_(padded_shape(model.graph, height, width)),
        shapes_(shapes(model.graph, padded_.height, padded_.width)) {}

  std::string run() {
    values_.push_back(prepared("pictures"));
    for (size_t i = 1; i < layers_.size(); ++i) values_.push_back(layer(i));
    const auto& card = model_.card;
    const bool classifier = card.role == Role::Classifier;
    const std::string name = classifier                     ? "logits"
                             : card.role == Role::Transform ? "protected"
                                                            : "reconstructed";
    finish(values_.back(), name, classifier);
    graph_.text(2, "veilnet");
    graph_.message(11, value_info("pictures", {3, height_, width_}));
    graph_.message(12, value_info(name, classifier ? std::vector{shapes_.back().channels}
                                                   : std::vector<int64_t>{3, height_, width_}));
    if (graph_.bytes().size() >= static_cast<size_t>(std::numeric_limits<int32_t>::max()))
      fail(ErrorCode::InvalidArgument, "the model takes {} MB as ONNX; allowed: below 2048",
           graph_.bytes().size() >> 20);
    Message file;
    file.number(1, kIrVersion).text(2, "veilnet").message(7, graph_);
    file.message(8, Message().text(1, "").number(2, kOpset));
    for (const auto& [key, value] : to_metadata(card))
      file.message(14, Message().text(1, key).text(2, value));
    return std::move(file.bytes());
  }

 private:
  // -- Parts of a graph ---------------------------------------------------------------------------

  /// Adds a node and returns its output.
  std::string node(const char* op, const std::vector<std::string>& inputs,
                   const std::vector<Attribute>& attributes = {}, std::string output = {}) {
    if (output.empty()) output = fmt::format("v{}", next_++);
    Message message;
    for (const auto& input : inputs) message.text(1, input);
    message.text(2, output).text(3, output).text(4, op);
    for (const auto& attribute : attributes) message.message(5, attribute.message);
    graph_.message(1, message);
    return output;
  }

  std::string constant(const std::vector<int64_t>& shape, const std::vector<float>& values,
                       std::string name = {}) {
    return tensor(kFloat, shape, values.data(), values.size() * sizeof(float), std::move(name));
  }
  std::string constant(float value) { return constant({}, {value}); }
  std::string integers(const std::vector<int64_t>& values) {
    return tensor(kInt64, {static_cast<int64_t>(values.size())}, values.data(),
                  values.size() * sizeof(int64_t), {});
  }
  std::string tensor(int64_t type, const std::vector<int64_t>& shape, const void* data,
                     size_t bytes, std::string name) {
    if (name.empty()) name = fmt::format("c{}", next_++);
    Message message;
    message.numbers(1, shape).number(2, type).text(8, name);
    message.text(9, {static_cast<const char*>(data), bytes});
    graph_.message(5, message);
    return name;
  }
  /// A tensor of the model under its own name; `shape` may add axes of length 1.
  std::string weight(const TensorSpec& spec, std::vector<int64_t> shape = {}) {
    if (shape.empty()) shape = spec.shape;
    return constant(shape, model_.weights.at(spec.name).values, spec.name);
  }

  static Message value_info(const std::string& name, const std::vector<int64_t>& sides) {
    Message shape;
    shape.message(1, Message().text(2, "N"));
    for (const auto side : sides) shape.message(1, Message().number(1, side));
    const auto type = Message().number(1, kFloat).message(2, shape);
    return Message().text(1, name).message(2, Message().message(1, type));
  }

  std::string reshape(const std::string& x, const std::vector<int64_t>& shape) {
    return node("Reshape", {x, integers(shape)});  // 0 keeps an axis
  }
  std::string transpose(const std::string& x, const std::vector<int64_t>& axes) {
    return node("Transpose", {x}, {{"perm", axes}});
  }

  // -- Around the layers (prepare.h) --------------------------------------------------------------

  std::string prepared(std::string x) {
    const auto& card = model_.card;
    if (card.role == Role::Classifier) {
      const auto channels = [&](const std::array<double, 3>& rgb) {
        return constant({3, 1, 1}, {rgb.begin(), rgb.end()});
      };
      x = node("Div", {node("Sub", {x, channels(card.mean_rgb)}), channels(card.std_rgb)});
    }
    if (padded_.height == height_ && padded_.width == width_) return x;
    const auto by = integers({0, 0, 0, 0, 0, 0, padded_.height - height_, padded_.width - width_});
    return node("Pad", {x, by}, {{"mode", "edge"}});
  }

  void finish(std::string x, const std::string& name, bool classifier) {
    if (classifier) {
      node("Flatten", {x}, {}, name);
      return;
    }
    if (padded_.height != height_ || padded_.width != width_)
      x = node("Slice", {x, integers({0, 0}), integers({height_, width_}), integers({2, 3})});
    node("Sigmoid", {x}, {}, name);
  }

  // -- Layers, as graph.h states them -------------------------------------------------------------

  std::string layer(size_t i) {
    const auto& layer = layers_[i];
    const auto& x = values_[layer.inputs[0]];
    const auto &in = shapes_[layer.inputs[0]], &to = shapes_[i];
    switch (layer.op) {
      case Op::Input: break;
      case Op::Conv:
      case Op::Linear: return convolution(layer, x);
      case Op::BatchNorm:
        return node("BatchNormalization",
                    {x, weight(layer.tensors[0]), weight(layer.tensors[1]),
                     weight(layer.tensors[2]), weight(layer.tensors[3])},
                    {{"epsilon", 1e-5f}});
      case Op::Relu: return node("Relu", {x});
      case Op::LeakyRelu:
        return node("LeakyRelu", {x}, {{"alpha", static_cast<float>(layer.slope)}});
      case Op::Sign: {
        const auto positive = node("GreaterOrEqual", {x, constant(0)});
        return node("Where", {positive, constant(1), constant(-1)});
      }
      case Op::Largest: {
        const auto groups = layer.channels / layer.kernel;
        const auto best = node("ArgMax", {reshape(x, {0, groups, layer.kernel})},
                               {{"axis", int64_t{2}}, {"keepdims", int64_t{0}}});
        const auto chosen = node("OneHot", {best, integers({layer.kernel}), constant({2}, {0, 1})});
        return reshape(chosen, {0, layer.channels, 1, 1});
      }
      case Op::MaxPool:
      case Op::AveragePool:
        return node(layer.op == Op::MaxPool ? "MaxPool" : "AveragePool", {x},
                    {{"kernel_shape", std::vector<int64_t>{2, 2}},
                     {"strides", std::vector<int64_t>{2, 2}}});
      case Op::Upsample:
        return node("Resize", {x, "", constant({4}, {1, 1, 2, 2})},
                    {{"mode", "nearest"},
                     {"coordinate_transformation_mode", "asymmetric"},
                     {"nearest_mode", "floor"}});
      case Op::Concat: return node("Concat", {x, values_[layer.inputs[1]]}, {{"axis", int64_t{1}}});
      case Op::Add: return node("Add", {x, values_[layer.inputs[1]]});
      case Op::Shortcut: {
        const auto every = integers({layer.stride, layer.stride});
        const auto kept =
            node("Slice", {x, integers({0, 0}), integers({kEnd, kEnd}), integers({2, 3}), every});
        const int64_t more = to.channels - in.channels;
        return node("Pad", {kept, integers({0, more / 2, 0, 0, 0, more - more / 2, 0, 0})});
      }
      case Op::GlobalAverage: return node("GlobalAveragePool", {x});
      case Op::PixelShuffle:
        return node("DepthToSpace", {x}, {{"blocksize", layer.kernel}, {"mode", "CRD"}});
      case Op::PixelUnshuffle: {
        const auto blocks =
            reshape(x, {0, in.channels, to.height, layer.kernel, to.width, layer.kernel});
        return reshape(transpose(blocks, {0, 1, 3, 5, 2, 4}),
                       {0, to.channels, to.height, to.width});
      }
      case Op::BitPlanes: return bit_planes(x, in, to);
      case Op::PositionLinear: return position_linear(layer, x, in, to);
      case Op::PositionNorm: return position_norm(layer, x, to);
      case Op::Mix: {
        const auto pixels = reshape(x, {0, in.channels, in.height * in.width});
        const auto mixing = transpose(weight(layer.tensors[0]), {1, 0});
        return reshape(node("MatMul", {pixels, mixing}), {0, to.channels, to.height, to.width});
      }
    }
    fail(ErrorCode::Unsupported, "layer {} has no form in ONNX", i);
  }

  std::string convolution(const Layer& layer, const std::string& x) {
    auto shape = layer.tensors[0].shape;
    shape.resize(4, 1);  // a linear layer is a 1x1 convolution
    std::vector<std::string> inputs = {x, weight(layer.tensors[0], shape)};
    if (layer.tensors.size() > 1) inputs.push_back(weight(layer.tensors[1]));
    const auto pad = layer.padding;
    return node("Conv", inputs,
                {{"kernel_shape", std::vector<int64_t>{layer.kernel, layer.kernel}},
                 {"strides", std::vector<int64_t>{layer.stride, layer.stride}},
                 {"pads", std::vector<int64_t>{pad, pad, pad, pad}}});
  }

  std::string bit_planes(const std::string& x, const Shape& in, const Shape& to) {
    const auto levels = node("Round", {node("Mul", {x, constant(255)})});
    const int64_t planes = to.channels / in.channels;
    const std::vector<std::string> copies(static_cast<size_t>(planes), levels);
    std::vector<float> shifts;
    for (int64_t c = 0; c < to.channels; ++c)
      shifts.push_back(std::ldexp(1.0f, static_cast<int>(c / in.channels - 7)));
    const auto shifted = node("Mul", {node("Concat", copies, {{"axis", int64_t{1}}}),
                                      constant({to.channels, 1, 1}, shifts)});
    const auto bits = node("Mod", {node("Floor", {shifted}), constant(2)}, {{"fmod", int64_t{1}}});
    return node("Sub", {node("Mul", {bits, constant(2)}), constant(1)});
  }

  std::string position_linear(const Layer& layer, const std::string& x, const Shape& in,
                              const Shape& to) {
    const int64_t pixels = in.height * in.width;
    // [pixels, N, in] times [pixels, in, out]
    const auto by_pixel = transpose(reshape(x, {0, in.channels, pixels}), {2, 0, 1});
    std::string matrices;
    if (layer.spectral) {
      const auto w = weight(layer.tensors[0]), left = weight(layer.tensors[1]),
                 right = weight(layer.tensors[2]);
      const auto sigma = node("MatMul", {node("MatMul", {transpose(left, {0, 2, 1}), w}), right});
      matrices = transpose(node("Div", {w, sigma}), {0, 2, 1});
    } else {
      matrices = weight(layer.tensors[0]);
    }
    auto y = node("MatMul", {by_pixel, matrices});
    if (!layer.spectral && layer.tensors.size() > 1) y = node("Add", {y, weight(layer.tensors[1])});
    return reshape(transpose(y, {1, 2, 0}), {0, to.channels, to.height, to.width});
  }

  std::string position_norm(const Layer& layer, const std::string& x, const Shape& to) {
    const auto values = [&](size_t i) -> const std::vector<float>& {
      return model_.weights.at(layer.tensors[i].name).values;
    };
    const int64_t pixels = to.height * to.width;
    std::vector<float> scale(static_cast<size_t>(to.size())), shift(scale.size());
    for (int64_t c = 0; c < to.channels; ++c) {
      for (int64_t p = 0; p < pixels; ++p) {
        const auto from = static_cast<size_t>(p * to.channels + c);
        const auto at = static_cast<size_t>(c * pixels + p);
        const double s = values(0)[from] / std::sqrt(values(3)[from] + 1e-5);
        scale[at] = static_cast<float>(s);
        shift[at] = static_cast<float>(values(1)[from] - values(2)[from] * s);
      }
    }
    const std::vector<int64_t> shape = {to.channels, to.height, to.width};
    return node("Add", {node("Mul", {x, constant(shape, scale)}), constant(shape, shift)});
  }

  const Model& model_;
  const std::vector<Layer>& layers_;
  int64_t height_, width_;
  Shape padded_;
  std::vector<Shape> shapes_;
  std::vector<std::string> values_;  // the name of each layer's output
  Message graph_;
  int next_ = 0;
};

}  // namespace

std::string to_onnx(const Model& model, int64_t height, int64_t width) {
  return Writer(model, height, width).run();
}

}  // namespace veilnet::model
