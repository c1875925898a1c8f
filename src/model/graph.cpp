#include "model/graph.h"

#include <algorithm>
#include <array>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/text.h"

namespace veilnet::model {
namespace {

constexpr int64_t kLevels = 5;        // of a U-Net
constexpr int64_t kClassifierIn = 3;  // channels of a picture

// Builds layers one behind the other. A cursor is the position of a layer in the graph.
class Builder {
 public:
  explicit Builder(std::string prefix = {}) : prefix_(std::move(prefix)) {}

  Graph graph;

  size_t input(int64_t channels) { return push({.op = Op::Input, .channels = channels}); }

  size_t conv(size_t x, const std::string& name, int64_t out, int64_t kernel, int64_t stride = 1,
              bool bias = false) {
    // Layers with a stride as long as their kernel see each block once and pad nothing.
    Layer layer{.op = Op::Conv,
                .name = prefix_ + name,
                .inputs = {x},
                .channels = out,
                .kernel = kernel,
                .stride = stride,
                .padding = stride == kernel ? 0 : kernel / 2};
    layer.tensors.push_back({layer.name + ".weight", {out, channels(x), kernel, kernel}});
    if (bias) layer.tensors.push_back({layer.name + ".bias", {out}});
    return push(std::move(layer));
  }

  size_t norm(size_t x, const std::string& name) {
    return push(normed(Op::BatchNorm, x, name, channels(x)));
  }
  size_t position_norm(size_t x, const std::string& name, int64_t pixels) {
    return push(normed(Op::PositionNorm, x, name, pixels * channels(x)));
  }

  size_t linear(size_t x, const std::string& name, int64_t out) {
    Layer layer{.op = Op::Linear, .name = prefix_ + name, .inputs = {x}, .channels = out};
    layer.tensors = {{layer.name + ".weight", {out, channels(x)}}, {layer.name + ".bias", {out}}};
    return push(std::move(layer));
  }

  // A layer without tensors that keeps the channels, unless told otherwise.
  size_t plain(Op op, size_t x, int64_t out = 0) {
    return push({.op = op, .inputs = {x}, .channels = out > 0 ? out : channels(x)});
  }
  size_t relu(size_t x) { return plain(Op::Relu, x); }
  size_t leaky_relu(size_t x, double slope) {
    const auto at = plain(Op::LeakyRelu, x);
    graph.layers[at].slope = slope;
    return at;
  }
  size_t add(size_t x, size_t y) {
    return push({.op = Op::Add, .inputs = {x, y}, .channels = channels(x)});
  }
  size_t concat(size_t x, size_t y) {
    return push({.op = Op::Concat, .inputs = {x, y}, .channels = channels(x) + channels(y)});
  }
  size_t pixel_shuffle(size_t x, int64_t block) {
    const auto at = plain(Op::PixelShuffle, x, channels(x) / (block * block));
    graph.layers[at].kernel = block;
    return at;
  }
  size_t pixel_unshuffle(size_t x, int64_t block) {
    const auto at = plain(Op::PixelUnshuffle, x, channels(x) * block * block);
    graph.layers[at].kernel = block;
    return at;
  }
  size_t tensors(Op op, size_t x, int64_t out, std::vector<TensorSpec> specs) {
    Layer layer{.op = op, .inputs = {x}, .channels = out, .tensors = std::move(specs)};
    for (auto& spec : layer.tensors) spec.name = prefix_ + spec.name;
    return push(std::move(layer));
  }

  size_t conv_norm(size_t x, const std::string& conv_name, const std::string& norm_name,
                   int64_t out, int64_t kernel, int64_t stride = 1, bool bias = false) {
    return norm(conv(x, conv_name, out, kernel, stride, bias), norm_name);
  }

  int64_t channels(size_t layer) const { return graph.layers[layer].channels; }
  size_t last() const { return graph.layers.size() - 1; }
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }

 private:
  size_t push(Layer layer) {
    graph.layers.push_back(std::move(layer));
    return last();
  }
  Layer normed(Op op, size_t x, const std::string& name, int64_t count) {
    Layer layer{.op = op, .name = prefix_ + name, .inputs = {x}, .channels = channels(x)};
    for (const char* kind : {".weight", ".bias", ".running_mean", ".running_var"})
      layer.tensors.push_back({layer.name + kind, {count}});
    return layer;
  }

  std::string prefix_;
};

void require(bool fits, std::string_view what, int64_t value, std::string_view allowed) {
  if (!fits) fail(ErrorCode::InvalidArgument, "{} is {}; allowed: {}", what, value, allowed);
}

// -- U-Net (src/nn/unet.h) ------------------------------------------------------------------------

size_t double_conv(Builder& b, size_t x, const std::string& name, int64_t out) {
  x = b.relu(b.conv_norm(x, name + ".conv.0", name + ".conv.1", out, 3, 1, true));
  return b.relu(b.conv_norm(x, name + ".conv.3", name + ".conv.4", out, 3, 1, true));
}

// Outputs of all levels, the deepest last.
std::array<size_t, kLevels> unet_levels(Builder& b, size_t x, int64_t width) {
  require(width >= 1 && width <= 256, "unet width", width, "1 to 256");
  std::array<size_t, kLevels> levels;
  for (int64_t level = 0; level < kLevels; ++level) {
    if (level > 0) x = b.plain(Op::MaxPool, x);
    x = double_conv(b, x, fmt::format("conv{}", level + 1), width << level);
    levels[static_cast<size_t>(level)] = x;
  }
  return levels;
}

size_t up(Builder& b, size_t x, int64_t level, int64_t out) {
  const auto name = fmt::format("up{}.up", level + 1);
  return b.relu(b.conv_norm(b.plain(Op::Upsample, x), name + ".1", name + ".2", out, 3, 1, true));
}

void unet(Builder& b, size_t input, const Card& card) {
  const auto levels = unet_levels(b, input, card.base_width);
  auto x = levels.back();
  for (int64_t level = kLevels - 1; level >= 1; --level) {
    const int64_t out = card.base_width << (level - 1);
    x = double_conv(b, b.concat(levels[static_cast<size_t>(level - 1)], up(b, x, level, out)),
                    fmt::format("up_conv{}", level + 1), out);
  }
  b.conv(x, "conv_1x1", 3, 1, 1, true);
  b.graph.multiple = b.graph.smallest = 1 << (kLevels - 1);
  b.graph.pads = true;
}

void coded(Builder& b, size_t input, const Card& card) {
  constexpr int64_t scale = 1 << (kLevels - 1);
  const int64_t width = card.base_width, start = card.height / scale;
  require(card.bits >= 1 && card.bits <= 64, "the code's bits", card.bits, "1 to 64");
  if (card.height != card.width || card.height % scale != 0)
    fail(ErrorCode::InvalidArgument,
         "a coded transformation is for square pictures with a side that is a multiple of {}, not "
         "{}x{}",
         scale, card.width, card.height);
  b.graph.multiple = b.graph.smallest = scale;
  b.graph.height = card.height;
  b.graph.width = card.width;
  auto x = b.plain(Op::GlobalAverage, unet_levels(b, input, width).back());
  if (card.quantiser.empty()) {
    x = b.plain(Op::Sign, b.norm(b.linear(x, "code", card.bits), "code_norm"));
  } else if (card.quantiser == "categorical") {
    const auto each = choice_bits(card.bits), choices = int64_t{1} << each;
    x = b.norm(b.linear(x, "code", card.bits / each * choices), "code_norm");
    x = b.plain(Op::Largest, x);
    b.graph.layers[x].kernel = choices;
  } else {
    fail(ErrorCode::InvalidArgument, "quantiser is \"{}\"; allowed: categorical, or none for signs",
         printable(card.quantiser));
  }
  if (card.role == Role::Encoder) return;
  x = b.relu(b.norm(b.linear(x, "start", scale * width * start * start), "start_norm"));
  x = b.pixel_shuffle(x, start);
  for (int64_t level = kLevels - 1; level >= 1; --level) x = up(b, x, level, width << (level - 1));
  b.conv(double_conv(b, x, "up_conv2", width), "conv_1x1", 3, 1, 1, true);
}

void unet_encoder(Builder& b, size_t input, const Card& card) {
  const auto deepest = unet_levels(b, input, card.base_width).back();
  b.linear(b.plain(Op::GlobalAverage, deepest), "linear",
           static_cast<int64_t>(card.class_names.size()));
  b.graph.smallest = 1 << (kLevels - 1);
}

// -- Classifiers (src/nn/resnet.h, vgg.h, densenet.h)
// -----------------------------------------------

// `projection`: shortcuts are 1x1 convolutions (option B) instead of option A.
size_t basic_block(Builder& b, size_t x, const std::string& name, int64_t out, int64_t stride,
                   bool projection) {
  auto shortcut = x;
  if (b.channels(x) != out || stride != 1) {
    if (projection) {
      shortcut = b.conv_norm(x, name + ".downsample.0", name + ".downsample.1", out, 1, stride);
    } else {
      shortcut = b.plain(Op::Shortcut, x, out);
      b.graph.layers[shortcut].stride = stride;
    }
  }
  auto y = b.relu(b.conv_norm(x, name + ".conv1", name + ".bn1", out, 3, stride));
  y = b.conv_norm(y, name + ".conv2", name + ".bn2", out, 3);
  return b.relu(b.add(y, shortcut));
}

void residual_network(Builder& b, size_t input, const std::vector<int64_t>& stages, int64_t blocks,
                      bool projection, const std::string& head, int64_t classes) {
  auto x = b.relu(b.conv_norm(input, "conv1", "bn1", stages[0], 3));
  for (size_t stage = 0; stage < stages.size(); ++stage) {
    for (int64_t i = 0; i < blocks; ++i) {
      x = basic_block(b, x, fmt::format("layer{}.{}", stage + 1, i), stages[stage],
                      stage > 0 && i == 0 ? 2 : 1, projection);
    }
  }
  b.linear(b.plain(Op::GlobalAverage, x), head, classes);
}

void resnet(Builder& b, size_t input, const Card& card) {
  require(card.depth >= 8 && card.depth <= 1202 && (card.depth - 2) % 6 == 0, "resnet depth",
          card.depth, "6n+2, for instance 20, 32, 44, 56, 110");
  residual_network(b, input, {16, 32, 64}, (card.depth - 2) / 6, false, "linear",
                   static_cast<int64_t>(card.class_names.size()));
}

void resnet18(Builder& b, size_t input, const Card& card) {
  residual_network(b, input, {64, 128, 256, 512}, 2, true, "fc",
                   static_cast<int64_t>(card.class_names.size()));
}

void vgg16_bn(Builder& b, size_t input, const Card& card) {
  constexpr std::array<std::pair<int64_t, int>, 5> groups = {
      {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}}};
  auto x = input;
  int module = 0;  // features counts convolution, normalisation, ReLU and pooling
  for (const auto& [out, convs] : groups) {
    for (int i = 0; i < convs; ++i, module += 3) {
      x = b.relu(b.conv_norm(x, fmt::format("features.{}", module),
                             fmt::format("features.{}", module + 1), out, 3, 1, true));
    }
    x = b.plain(Op::MaxPool, x);
    ++module;
  }
  x = b.plain(Op::GlobalAverage, x);
  // Dropouts are modules 0 and 3 of the classifier.
  x = b.relu(b.linear(x, "classifier.1", 512));
  x = b.relu(b.linear(x, "classifier.4", 512));
  b.linear(x, "classifier.6", static_cast<int64_t>(card.class_names.size()));
  b.graph.smallest = 32;
}

void densenet(Builder& b, size_t input, const Card& card) {
  constexpr int64_t growth = 12, layers = 16, blocks = 3;
  auto x = b.conv(input, "conv1", 2 * growth, 3);
  for (int64_t block = 1; block <= blocks; ++block) {
    for (int64_t i = 0; i < layers; ++i) {
      const auto name = fmt::format("dense{}.{}", block, i);
      auto y = b.conv(b.relu(b.norm(x, name + ".bn1")), name + ".conv1", 4 * growth, 1);
      y = b.conv(b.relu(b.norm(y, name + ".bn2")), name + ".conv2", growth, 3);
      x = b.concat(x, y);
    }
    if (block == blocks) break;
    const auto name = fmt::format("trans{}.0", block);
    x = b.conv(b.relu(b.norm(x, name + ".bn1")), name + ".conv1", b.channels(x) / 2, 1);
    x = b.plain(Op::AveragePool, x);
  }
  x = b.plain(Op::GlobalAverage, b.relu(b.norm(x, "bn1")));
  b.linear(x, "fc", static_cast<int64_t>(card.class_names.size()));
  b.graph.smallest = 4;
}

// -- Adaptation networks (src/nn/adaptation.h)
// ------------------------------------------------------

void require_blocks(const std::string& what, const Card& card) {
  if (card.block_size >= 1 && card.height % card.block_size == 0 &&
      card.width % card.block_size == 0) {
    return;
  }
  fail(ErrorCode::InvalidArgument,
       "{} with blocks of {} does not fit pictures of {}x{}; sides must be multiples of the block "
       "size",
       what, card.block_size, card.width, card.height);
}

size_t adaptation(Builder& b, size_t x, const Card& card) {
  const int64_t block = card.block_size, values = kClassifierIn * block * block;
  const auto norm = [&](size_t at, int i) { return b.norm(at, fmt::format("layers.{}", i)); };
  const auto conv1x1 = [&](size_t at, int i, int64_t out) {
    return b.conv(at, fmt::format("layers.{}", i), out, 1, 1, true);
  };
  if (card.adaptation == "pixel") {
    x = b.relu(norm(conv1x1(x, 0, 32), 1));
    return b.relu(norm(conv1x1(x, 3, 32), 4));
  }
  if (card.adaptation != "tanaka" && card.adaptation != "le" && card.adaptation != "ele") {
    fail(ErrorCode::InvalidArgument, "adaptation is \"{}\"; allowed: tanaka, le, ele, pixel",
         printable(card.adaptation));
  }
  require_blocks("adaptation \"" + card.adaptation + "\"", card);
  b.graph.multiple = block;
  if (card.adaptation == "le") {
    x = norm(b.conv(x, "layers.0", 16 * block * block, block, block), 1);
    return b.pixel_shuffle(b.leaky_relu(x, 0.1), block);
  }
  if (card.adaptation == "tanaka") {
    x = b.relu(b.conv(norm(x, 0), "layers.1", values, block, block, true));
    x = b.relu(conv1x1(norm(x, 3), 4, values));
    return b.pixel_shuffle(conv1x1(norm(x, 6), 7, 32 * block * block), block);
  }
  const int64_t pixels = card.height / block * (card.width / block), features = 16 * block * block;
  x = b.tensors(Op::PositionLinear, b.pixel_unshuffle(x, block), features,
                {{"weight", {pixels, features, values}},
                 {"left", {pixels, features, 1}},
                 {"right", {pixels, values, 1}}});
  b.graph.layers[x].spectral = true;
  x = b.leaky_relu(b.position_norm(x, "bn", pixels), 0.2);
  x = b.tensors(Op::Mix, x, features, {{"mixing", {pixels, pixels}}});
  b.graph.height = card.height;
  b.graph.width = card.width;
  return b.pixel_shuffle(x, block);
}

// -- Inverse networks (src/nn/inverse.h)
// --------------------------------------------------------------

size_t pointwise(Builder& b, size_t x, int module, int64_t out, int64_t block = 1) {
  return b.relu(b.conv_norm(x, fmt::format("layers.{}", module),
                            fmt::format("layers.{}", module + 1), out, block, block, true));
}

void pixel_inverse(Builder& b, size_t x, const Card&) {
  x = pointwise(b, pointwise(b, pointwise(b, x, 0, 64), 3, 128), 6, 256);
  b.conv(x, "layers.9", 3, 1, 1, true);
}

void block_inverse(Builder& b, size_t x, const Card& card) {
  const int64_t block = card.block_size, values = 3 * block * block;
  require(block >= 1 && block <= 64, "the block size of a block inverse", block, "1 to 64");
  x = pointwise(b, x, 0, values, block);
  x = pointwise(b, pointwise(b, x, 3, values), 6, 32 * block * block);
  b.conv(b.pixel_shuffle(x, block), "layers.10", 3, 1, 1, true);
  b.graph.multiple = block;
}

void position_inverse(Builder& b, size_t x, const Card& card) {
  const int64_t width = card.base_width, block = card.block_size;
  require(width >= 1 && width <= 256, "the width of a position-aware inverse", width, "1 to 256");
  require_blocks("a position-aware inverse", card);
  const int64_t pixels = card.height / block * (card.width / block);
  const int64_t inputs = 24 * block * block, features = 16 * block * block;
  const auto bits = b.pixel_unshuffle(b.plain(Op::BitPlanes, x, 24), block);
  const auto conv_norm = [&](size_t at, const std::string& name, int module) {
    return b.conv_norm(at, fmt::format("{}.{}", name, module),
                       fmt::format("{}.{}", name, module + 1), width, 3);
  };
  x = b.tensors(Op::PositionLinear, bits, features, {{"weight", {pixels, inputs, features}}});
  x = b.leaky_relu(b.norm(x, "after_blocks.0"), 0.1);
  x = b.leaky_relu(conv_norm(b.pixel_shuffle(x, block), "after_blocks", 3), 0.1);
  for (int i = 0; i < 3; ++i) {
    const auto name = fmt::format("residual{}", i);
    const auto y = conv_norm(b.leaky_relu(conv_norm(x, name, 0), 0.1), name, 3);
    x = b.leaky_relu(b.add(y, x), 0.1);
  }
  x = b.conv(b.leaky_relu(conv_norm(x, "head", 0), 0.1), "head.3", 3, 3, 1, true);
  const auto direct = b.tensors(Op::PositionLinear, bits, 3 * block * block,
                                {{"direct", {pixels, inputs, 3 * block * block}},
                                 {"direct_bias", {pixels, 1, 3 * block * block}}});
  b.add(x, b.pixel_shuffle(direct, block));
  b.graph.multiple = block;
  b.graph.height = card.height;
  b.graph.width = card.width;
}

// -- The table
// ------------------------------------------------------------------------------------------

struct Architecture {
  std::string_view name;
  std::vector<Role> roles;
  bool adaptable;  // may stand behind an adaptation network
  void (*build)(Builder&, size_t input, const Card&);
};

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> table = {
      {"resnet", {Role::Classifier}, true, resnet},
      {"resnet18", {Role::Classifier}, true, resnet18},
      {"vgg16_bn", {Role::Classifier}, true, vgg16_bn},
      {"densenet", {Role::Classifier}, true, densenet},
      {"unet_encoder", {Role::Classifier}, false, unet_encoder},
      {"unet", {Role::Transform, Role::Inverse}, false, unet},
      {"coded", {Role::Transform, Role::Encoder}, false, coded},
      {"pixel_inverse", {Role::Inverse}, false, pixel_inverse},
      {"block_inverse", {Role::Inverse}, false, block_inverse},
      {"position_inverse", {Role::Inverse}, false, position_inverse},
  };
  return table;
}

const Architecture& architecture_of(const Card& card) {
  std::vector<std::string_view> allowed;
  for (const auto& a : architectures()) {
    if (std::ranges::find(a.roles, card.role) == a.roles.end()) continue;
    if (!card.adaptation.empty() && !a.adaptable) continue;
    if (a.name == card.architecture) return a;
    allowed.push_back(a.name);
  }
  fail(ErrorCode::InvalidArgument, "architecture \"{}\"{} is not available for a {}; allowed: {}",
       printable(card.architecture),
       card.adaptation.empty() ? "" : " behind adaptation \"" + printable(card.adaptation) + "\"",
       role_name(card.role),
       allowed.empty() ? "none" : fmt::format("{}", fmt::join(allowed, ", ")));
}

Shape output_shape(const Layer& layer, const std::vector<Shape>& all) {
  const auto& x = all[layer.inputs[0]];
  const auto with = [&](int64_t height, int64_t width) {
    return Shape{layer.channels, height, width};
  };
  switch (layer.op) {
    case Op::Conv: {
      const auto side = [&](int64_t n) {
        return (n + 2 * layer.padding - layer.kernel) / layer.stride + 1;
      };
      return with(side(x.height), side(x.width));
    }
    case Op::MaxPool:
    case Op::AveragePool: return with(x.height / 2, x.width / 2);
    case Op::Upsample: return with(x.height * 2, x.width * 2);
    case Op::Shortcut:
      return with((x.height - 1) / layer.stride + 1, (x.width - 1) / layer.stride + 1);
    case Op::GlobalAverage: return with(1, 1);
    case Op::PixelShuffle: return with(x.height * layer.kernel, x.width * layer.kernel);
    case Op::PixelUnshuffle: return with(x.height / layer.kernel, x.width / layer.kernel);
    default: return with(x.height, x.width);
  }
}

}  // namespace

int64_t choice_bits(int64_t bits) {
  int64_t each = 10;
  while (bits % each != 0) --each;
  return each;
}

std::vector<TensorSpec> Graph::tensors() const {
  std::vector<TensorSpec> all;
  for (const auto& layer : layers)
    all.insert(all.end(), layer.tensors.begin(), layer.tensors.end());
  return all;
}

Graph make_graph(const Card& card) {
  const auto& architecture = architecture_of(card);
  if (!card.quantiser.empty() && card.architecture != "coded")
    fail(ErrorCode::InvalidArgument, "quantiser is \"{}\" of a {}; allowed: of a coded one alone",
         printable(card.quantiser), card.architecture);
  if (card.architecture != "coded")
    require(card.bits == 0, card.architecture + " bits", card.bits, "0, but for a coded one");
  if (card.role == Role::Classifier) {
    require(card.class_names.size() >= 2, card.architecture + " classes",
            static_cast<int64_t>(card.class_names.size()), "2 or more");
  }
  Builder b;
  auto x = b.input(3);
  if (!card.adaptation.empty()) {
    b.set_prefix("adaptation.");
    x = adaptation(b, x, card);
    b.set_prefix("classifier.");
  }
  architecture.build(b, x, card);
  return std::move(b.graph);
}

std::vector<Shape> shapes(const Graph& graph, int64_t height, int64_t width) {
  for (const int64_t side : {height, width}) {
    if (side >= graph.smallest && side % graph.multiple == 0) continue;
    fail(ErrorCode::InvalidArgument,
         "the network cannot take pictures of {}x{}; allowed: sides of at least {}{}", width,
         height, graph.smallest,
         graph.multiple > 1 ? fmt::format(" that are multiples of {}", graph.multiple) : "");
  }
  if (graph.height > 0 && (height != graph.height || width != graph.width)) {
    fail(ErrorCode::InvalidArgument,
         "the network cannot take pictures of {}x{}; it has weights for each position of {}x{}",
         width, height, graph.width, graph.height);
  }
  std::vector<Shape> all;
  for (const auto& layer : graph.layers) {
    all.push_back(layer.op == Op::Input ? Shape{layer.channels, height, width}
                                        : output_shape(layer, all));
  }
  return all;
}

uint64_t activation_bytes(const Graph& graph, int64_t height, int64_t width) {
  const auto all = shapes(graph, height, width);
  std::vector<size_t> last_use(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    last_use[i] = i;
    for (const auto input : graph.layers[i].inputs) last_use[input] = i;
  }
  int64_t alive = 0, most = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    alive += all[i].size();
    most = std::max(most, alive);
    for (size_t j = 0; j <= i; ++j) {
      if (last_use[j] == i) alive -= all[j].size();
    }
  }
  return static_cast<uint64_t>(most) * sizeof(float);
}

uint64_t multiplications(const Graph& graph, int64_t height, int64_t width) {
  const auto all = shapes(graph, height, width);
  uint64_t total = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& layer = graph.layers[i];
    if (layer.inputs.empty()) continue;
    const auto in = all[layer.inputs[0]];
    int64_t each = 0;  // per value of the output
    if (layer.op == Op::Conv) each = in.channels * layer.kernel * layer.kernel;
    if (layer.op == Op::Linear || layer.op == Op::PositionLinear) each = in.channels;
    if (layer.op == Op::Mix) each = in.height * in.width;
    total += static_cast<uint64_t>(each * all[i].size());
  }
  return total;
}

}  // namespace veilnet::model
