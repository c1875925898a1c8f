#include "model/state_dict.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"
#include "core/hash.h"
#include "core/safetensors.h"

namespace veilnet::model {
namespace {

using Views = std::vector<TensorView>;

/// What belongs to the network, under the names that its own module gives.
Views network_tensors(const Safetensors& file) {
  constexpr std::string_view kParallel = "module.";
  auto views = file.tensors();
  std::erase_if(views, [](const auto& view) { return view.name.ends_with("num_batches_tracked"); });
  if (std::ranges::all_of(views, [&](const auto& v) { return v.name.starts_with(kParallel); }))
    for (auto& view : views) view.name.erase(0, kParallel.size());
  return views;
}

/// A resnet's depth: two convolutions a block, as many blocks in each of its three stages.
int64_t depth_of(const std::string& file, const Views& views) {
  constexpr std::string_view kStage = "layer1.";
  int64_t blocks = 0;
  for (const auto& [name, dtype, shape, bytes] : views) {
    if (!name.starts_with(kStage)) continue;
    int block = -1;
    std::from_chars(name.data() + kStage.size(), name.data() + name.size(), block);
    blocks = std::max<int64_t>(blocks, block + int64_t{1});
  }
  if (blocks == 0)
    fail(ErrorCode::BadData,
         "{}: tensor \"{}0.conv1.weight\" is missing, whose stage says how deep a resnet is", file,
         kStage);
  return 6 * blocks + 2;
}

/// A U-Net's width: the channels of its first convolution.
int64_t width_of(const std::string& file, const Views& views) {
  constexpr std::string_view kFirst = "conv1.conv.0.weight";
  const auto first = std::ranges::find(views, kFirst, &TensorView::name);
  if (first == views.end() || first->shape.empty())
    fail(ErrorCode::BadData, "{}: tensor \"{}\" is missing, which says how wide a U-Net is", file,
         kFirst);
  return first->shape[0];
}

}  // namespace

Model from_state_dict(const std::filesystem::path& path, Card card, const LoadLimits& limits) {
  const auto file = Safetensors::load(path, limits.file);
  // Its card says more than the caller can: what it was trained for and whether it hides pictures.
  if (file.metadata().contains("format_version"))
    fail(ErrorCode::BadData, "{}: is a model of Veilnet already; a state dict is needed here",
         file.name());
  // What their tensors do not say: the bits of a code, the size of a block.
  constexpr std::array kUntold = {"coded", "block_inverse", "position_inverse"};
  if (std::ranges::find(kUntold, card.architecture) != kUntold.end())
    fail(ErrorCode::InvalidArgument, "--architecture {}: such a network cannot be imported",
         card.architecture);
  const auto views = network_tensors(file);
  if (card.architecture == "resnet") card.depth = depth_of(file.name(), views);
  if (card.architecture.starts_with("unet")) card.base_width = width_of(file.name(), views);
  card.notes["state_dict_sha256"] = sha256_file(path);
  check(card);
  Model model{card, make_graph(card), {}, {}};
  padded_shape(model.graph, card.height, card.width, limits.max_picture_bytes);
  model.weights = weights_of(file.name(), views, model.graph.tensors());
  return model;
}

}  // namespace veilnet::model
