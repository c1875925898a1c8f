#include "model/torchscript.h"

#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>
#include <span>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/zip.h"

namespace veilnet::model {
namespace {

// Of the operators' meaning: the newest that PyTorch 1.13 knows, and 2.x still reads.
constexpr const char* kArchiveVersion = "10\n";

/// Python's pickle, protocol 2, as far as a module's attributes need it.
class Pickle {
 public:
  Pickle() { bytes_ = "\x80\x02"; }

  Pickle& op(char code) {
    bytes_ += code;
    return *this;
  }
  Pickle& global(std::string_view module, std::string_view name) {
    bytes_ += fmt::format("c{}\n{}\n", module, name);
    return *this;
  }
  Pickle& text(std::string_view value) {
    op('X').raw(value.size());
    bytes_ += value;
    return *this;
  }
  Pickle& number(int64_t value) { return op('J').raw(static_cast<size_t>(value)); }
  Pickle& tuple(std::span<const int64_t> values) {
    op('(');
    for (const auto value : values) number(value);
    return op('t');
  }
  /// A float32 tensor whose values are the archive's file data/<key>.
  Pickle& tensor(const std::string& key, const std::vector<int64_t>& shape) {
    std::vector<int64_t> strides(shape.size());
    int64_t count = 1;
    for (size_t i = shape.size(); i-- > 0; count *= shape[i]) strides[i] = count;
    global("torch._utils", "_rebuild_tensor_v2").op('(');
    op('(').text("storage").global("torch", "FloatStorage").text(key).text("cpu").number(count);
    op('t').op('Q').number(0).tuple(shape).tuple(strides).op('\x89');  // no gradient
    return global("collections", "OrderedDict").op(')').op('R').op('t').op('R');
  }
  const std::string& end() { return op('.').bytes_; }

 private:
  Pickle& raw(size_t value) {
    for (int i = 0; i < 4; ++i) bytes_ += static_cast<char>(value >> 8 * i);
    return *this;
  }

  std::string bytes_;
};

class ArchiveWriter {
 public:
  explicit ArchiveWriter(const Model& model) : model_(model), layers_(model.graph.layers) {
    if (model.graph.height > 0)  // sides that weights for each position give
      shapes_ = shapes(model.graph, model.graph.height, model.graph.width);
  }

  std::string run() {
    zip_.add("veilnet/version", kArchiveVersion);
    prepare();
    for (size_t i = 1; i < layers_.size(); ++i) let(i, layer(i));
    finish();
    attributes_.text("training").op('\x89').op('u').op('b');
    zip_.add("veilnet/data.pkl", attributes_.end());
    zip_.add("veilnet/constants.pkl", Pickle().op(')').end());
    zip_.add("veilnet/code/__torch__.py", fmt::format("class Veilnet(Module):\n"
                                                      "  __parameters__ = []\n"
                                                      "  __buffers__ = [{}]\n"
                                                      "{}"
                                                      "  training : bool\n"
                                                      "  def forward(self: __torch__.Veilnet,\n"
                                                      "    pictures: Tensor) -> Tensor:\n"
                                                      "{}",
                                                      names_, members_, body_));
    zip_.add("veilnet/extra/card.json", nlohmann::json(to_metadata(model_.card)).dump());
    return std::move(zip_).finish();
  }

 private:
  // -- Parts of a module --------------------------------------------------------------------------

  void line(const std::string& text) { body_ += "    " + text + "\n"; }
  static std::string value(size_t layer) { return fmt::format("x{}", layer); }
  void let(size_t layer, const std::string& expression) { line(value(layer) + " = " + expression); }

  /// A buffer of the module; the expression that reads it.
  std::string buffer(std::string name, const std::vector<int64_t>& shape,
                     std::span<const float> values) {
    std::ranges::replace(name, '.', '_');
    const auto key = std::to_string(buffers_++);
    zip_.add("veilnet/data/" + key,
             {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
    attributes_.text(name).tensor(key, shape);
    names_ += fmt::format("\"{}\", ", name);
    members_ += fmt::format("  {} : Tensor\n", name);
    return "self." + name;
  }
  std::string weight(const Layer& layer, size_t i) {
    const auto& [name, shape] = layer.tensors[i];
    return buffer(name, shape, model_.weights.at(name).values);
  }

  // -- Around the layers (prepare.h) --------------------------------------------------------------

  void prepare() {
    const auto& card = model_.card;
    let(0, "pictures");
    if (card.role == Role::Classifier) {
      const auto channels = [&](const char* name, const std::array<double, 3>& rgb) {
        return buffer(name, {3, 1, 1}, std::vector<float>(rgb.begin(), rgb.end()));
      };
      const auto mean = channels("mean_rgb", card.mean_rgb);
      let(0,
          fmt::format("torch.div(torch.sub(x0, {}), {})", mean, channels("std_rgb", card.std_rgb)));
    }
    if (!model_.graph.pads) return;
    line("height = torch.size(x0, 2)");
    line("width = torch.size(x0, 3)");
    const auto more = [&](const char* side) {
      const auto multiple = model_.graph.multiple;
      return fmt::format("({0} - {1} % {0}) % {0}", multiple, side);
    };
    let(0,
        fmt::format("torch.replication_pad2d(x0, [0, {}, 0, {}])", more("width"), more("height")));
  }

  void finish() {
    auto x = value(layers_.size() - 1);
    if (model_.card.role == Role::Classifier)
      return line(fmt::format("return torch.flatten({}, 1)", x));
    if (model_.graph.pads)
      x = fmt::format("torch.slice(torch.slice({}, 2, 0, height), 3, 0, width)", x);
    line(fmt::format("return torch.sigmoid({})", x));
  }

  // -- Layers, as graph.h states them -------------------------------------------------------------

  std::string layer(size_t i) {
    const auto& layer = layers_[i];
    const auto x = value(layer.inputs[0]);
    const auto y = layer.inputs.size() > 1 ? value(layer.inputs[1]) : "";
    switch (layer.op) {
      case Op::Input: break;
      case Op::Conv:
      case Op::Linear: return convolution(layer, x);
      case Op::BatchNorm: return norm(layer, x);
      case Op::Relu: return fmt::format("torch.relu({})", x);
      case Op::LeakyRelu: return fmt::format("torch.leaky_relu({}, {})", x, layer.slope);
      case Op::Sign:
        return fmt::format("torch.sub(torch.mul(torch.type_as(torch.ge({0}, 0), {0}), 2), 1)", x);
      case Op::Largest:
        return fmt::format(
            "torch.reshape(torch.type_as(torch.one_hot(torch.argmax(torch.reshape({0}, [-1, {1}, "
            "{2}]), 2), {2}), {0}), [-1, {3}, 1, 1])",
            x, layer.channels / layer.kernel, layer.kernel, layer.channels);
      case Op::MaxPool:
        return fmt::format("torch.max_pool2d({}, [2, 2], [2, 2], [0, 0], [1, 1], False)", x);
      case Op::AveragePool:
        return fmt::format("torch.avg_pool2d({}, [2, 2], [2, 2], [0, 0], False, True, None)", x);
      case Op::Upsample: return fmt::format("torch.upsample_nearest2d({}, None, [2., 2.])", x);
      case Op::Concat: return fmt::format("torch.cat([{}, {}], 1)", x, y);
      case Op::Add: return fmt::format("torch.add({}, {})", x, y);
      case Op::Shortcut: {
        const auto more = layer.channels - layers_[layer.inputs[0]].channels;
        return fmt::format(
            "torch.constant_pad_nd(torch.slice(torch.slice({0}, 2, 0, None, {1}), 3, 0, None, "
            "{1}), "
            "[0, 0, 0, 0, {2}, {3}], 0)",
            x, layer.stride, more / 2, more - more / 2);
      }
      case Op::GlobalAverage: return fmt::format("torch.mean({}, [2, 3], True)", x);
      case Op::PixelShuffle: return fmt::format("torch.pixel_shuffle({}, {})", x, layer.kernel);
      case Op::PixelUnshuffle: return fmt::format("torch.pixel_unshuffle({}, {})", x, layer.kernel);
      case Op::BitPlanes: return bit_planes(layer, x);
      case Op::PositionLinear: return position_linear(i, x);
      case Op::PositionNorm: return position_norm(i, x);
      case Op::Mix:
        return pictures(
            i, fmt::format("torch.linear(torch.flatten({}, 2), {}, None)", x, weight(layer, 0)));
    }
    fail(ErrorCode::Unsupported, "layer {} has no form in TorchScript", i);
  }

  std::string convolution(const Layer& layer, const std::string& x) {
    auto kernel = weight(layer, 0);
    if (layer.op == Op::Linear)  // on [N, channels, 1, 1]
      kernel = fmt::format("torch.unsqueeze(torch.unsqueeze({}, 2), 3)", kernel);
    return fmt::format("torch.conv2d({0}, {1}, {2}, [{3}, {3}], [{4}, {4}], [1, 1], 1)", x, kernel,
                       layer.tensors.size() > 1 ? weight(layer, 1) : "None", layer.stride,
                       layer.padding);
  }

  std::string norm(const Layer& layer, const std::string& x) {
    std::vector<std::string> tensors;
    for (size_t t = 0; t < 4; ++t) tensors.push_back(weight(layer, t));
    return fmt::format("torch.batch_norm({}, {}, False, 0., 1e-05, False)", x,
                       fmt::join(tensors, ", "));
  }

  /// Rows and columns again for [N, channels, pixels].
  std::string pictures(size_t i, const std::string& x) const {
    const auto& to = shapes_[i];
    return fmt::format("torch.reshape({}, [-1, {}, {}, {}])", x, to.channels, to.height, to.width);
  }

  std::string bit_planes(const Layer& layer, const std::string& x) {
    const int64_t planes = layer.channels / layers_[layer.inputs[0]].channels;
    std::vector<float> shifts;
    for (int plane = 0; plane < planes; ++plane) shifts.push_back(std::ldexp(1.0f, plane - 7));
    const auto levels = fmt::format("torch.unsqueeze(torch.round(torch.mul({}, 255)), 1)", x);
    const auto shifted = fmt::format("torch.floor(torch.mul({}, {}))", levels,
                                     buffer("shifts", {planes, 1, 1, 1}, shifts));
    return fmt::format("torch.flatten(torch.sub(torch.mul(torch.remainder({}, 2), 2), 1), 1, 2)",
                       shifted);
  }

  std::string position_linear(size_t i, const std::string& x) {
    const auto& layer = layers_[i];
    auto matrices = weight(layer, 0);
    if (layer.spectral) {
      line(fmt::format("left = torch.matmul(torch.transpose({}, 1, 2), {})", weight(layer, 1),
                       matrices));
      matrices = fmt::format("torch.transpose(torch.div({}, torch.matmul(left, {})), 1, 2)",
                             matrices, weight(layer, 2));
    }
    // [pixels, N, in] times [pixels, in, out]
    auto y = fmt::format("torch.matmul(torch.permute(torch.flatten({}, 2), [2, 0, 1]), {})", x,
                         matrices);
    if (!layer.spectral && layer.tensors.size() > 1)
      y = fmt::format("torch.add({}, {})", y, weight(layer, 1));
    return pictures(i, fmt::format("torch.permute({}, [1, 2, 0])", y));
  }

  /// As BatchNorm of [N, pixels * channels].
  std::string position_norm(size_t i, const std::string& x) {
    const auto flat =
        fmt::format("torch.flatten(torch.transpose(torch.flatten({}, 2), 1, 2), 1)", x);
    const auto& to = shapes_[i];
    return pictures(i, fmt::format("torch.transpose(torch.reshape({}, [-1, {}, {}]), 1, 2)",
                                   norm(layers_[i], flat), to.height * to.width, to.channels));
  }

  const Model& model_;
  const std::vector<Layer>& layers_;
  std::vector<Shape> shapes_;
  ZipWriter zip_;
  Pickle attributes_ =
      std::move(Pickle().global("__torch__", "Veilnet").op(')').op('\x81').op('}').op('('));
  std::string names_, members_, body_;
  int buffers_ = 0;
};

}  // namespace

std::string to_torchscript(const Model& model) { return ArchiveWriter(model).run(); }

}  // namespace veilnet::model
