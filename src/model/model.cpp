#include "model/model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/ranges.h>
#include <set>

#include "core/error.h"
#include "core/safetensors.h"
#include "core/text.h"

namespace veilnet::model {
namespace {

// No trained weight comes near; beyond it a few layers overflow float32.
constexpr float kLargest = 1e12f;

std::vector<float> values_of(const TensorView& view) {
  std::vector<float> values(view.bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
  return values;
}

void check_form(const std::string& file, const TensorView& view, const TensorSpec& expected) {
  if (view.dtype != DType::F32) {
    fail(ErrorCode::BadData, "{}: tensor \"{}\" has dtype {}; expected F32", file, view.name,
         dtype_name(view.dtype));
  }
  if (view.shape != expected.shape) {
    fail(ErrorCode::BadData, "{}: tensor \"{}\" has shape {}; expected {}", file, view.name,
         view.shape, expected.shape);
  }
}

void check_values(const std::string& file, const TensorView& view) {
  const bool variance = view.name.ends_with(".running_var");
  const float least = variance ? 0 : -kLargest;
  // Without a way out of the loop the compiler makes vectors of it, four milliseconds less for
  // eight megabytes.
  unsigned wrong = 0;
  for (size_t at = 0; at < view.bytes.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, view.bytes.data() + at, sizeof value);
    wrong |= static_cast<unsigned>(!(value >= least)) | static_cast<unsigned>(!(value <= kLargest));
  }
  if (wrong == 0) return;
  for (size_t at = 0; at < view.bytes.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, view.bytes.data() + at, sizeof value);
    if (!std::isfinite(value)) {
      fail(ErrorCode::BadData,
           "{}: tensor \"{}\" holds a value that is not finite (NaN or infinity)", file, view.name);
    }
    if (value < least || value > kLargest) {
      fail(ErrorCode::BadData, "{}: tensor \"{}\" holds {:g}; allowed: {:g} to {:g}", file,
           view.name, value, least, kLargest);
    }
  }
}

}  // namespace

void check_tensors(const std::string& file, std::span<const TensorView> tensors,
                   const std::vector<TensorSpec>& expected, bool allow_extra) {
  std::map<std::string_view, const TensorView*> given;
  for (const auto& view : tensors) given.emplace(view.name, &view);
  std::set<std::string_view> known;
  for (const auto& spec : expected) {
    const auto found = given.find(spec.name);
    if (found == given.end()) {
      fail(ErrorCode::BadData, "{}: tensor \"{}\" is missing; expected with shape {}", file,
           spec.name, spec.shape);
    }
    check_form(file, *found->second, spec);
    known.insert(spec.name);
  }
  for (const auto& view : tensors) {
    if (known.contains(view.name)) {
      check_values(file, view);
    } else if (!allow_extra) {
      fail(ErrorCode::BadData, "{}: tensor \"{}\" of shape {} does not belong to this architecture",
           file, printable(view.name, 80), view.shape);
    }
  }
}

Weights weights_of(const std::string& file, std::span<const TensorView> tensors,
                   const std::vector<TensorSpec>& expected) {
  check_tensors(file, tensors, expected, /*allow_extra=*/false);
  Weights weights;
  for (const auto& view : tensors) weights.emplace(view.name, Tensor{view.shape, values_of(view)});
  return weights;
}

Shape padded_shape(const Graph& graph, int64_t height, int64_t width, uint64_t max_picture_bytes) {
  const int64_t multiple = graph.pads ? graph.multiple : 1;
  const auto up = [&](int64_t side) { return (side + multiple - 1) / multiple * multiple; };
  const Shape padded{graph.layers[0].channels, up(height), up(width)};
  const auto bytes = activation_bytes(graph, padded.height, padded.width);
  if (bytes > max_picture_bytes) {
    fail(ErrorCode::InvalidArgument,
         "one picture of {}x{} takes {} MB of memory in this network; allowed: {} MB", width,
         height, bytes >> 20, max_picture_bytes >> 20);
  }
  return padded;
}

Model load(const std::filesystem::path& path, const LoadLimits& limits) {
  const auto file = Safetensors::load(path, limits.file);
  Model model{card_of(file), {}, {}, file.name()};
  const auto& card = model.card;
  try {
    model.graph = make_graph(card);
    padded_shape(model.graph, card.height, card.width, limits.max_picture_bytes);
  } catch (const Error& e) {
    fail(ErrorCode::BadData, "{}: {}", file.name(), e.what());
  }
  model.weights = weights_of(file.name(), file.tensors(), model.graph.tensors());
  return model;
}

Model load(const std::filesystem::path& path, Role role, const LoadLimits& limits) {
  auto model = load(path, limits);
  if (model.card.role != role) {
    fail(ErrorCode::BadData, "{}: is a {} model; a {} model is needed here", path.string(),
         role_name(model.card.role), role_name(role));
  }
  return model;
}

void save(const Model& model, const std::filesystem::path& path, Overwrite overwrite) {
  std::vector<TensorView> views;
  for (const auto& spec : model.graph.tensors()) {
    const auto& tensor = model.weights.at(spec.name);
    views.push_back({spec.name,
                     DType::F32,
                     tensor.shape,
                     {reinterpret_cast<const uint8_t*>(tensor.values.data()),
                      tensor.values.size() * sizeof(float)}});
  }
  save_safetensors(path, views, to_metadata(model.card), overwrite);
}

}  // namespace veilnet::model
