// A model: its card, the layers that the card describes, and weights that fit them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "model/card.h"
#include "model/graph.h"

namespace veilnet::model {

/// float32, row-major.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

/// By name, as in the reference PyTorch state dicts.
using Weights = std::map<std::string, Tensor>;

struct Model {
  Card card;
  Graph graph;
  Weights weights;
  std::string source;  ///< the file that it was loaded from, for messages; empty where none was
};

struct LoadLimits {
  SafetensorsLimits file;
  /// Of activations, for one picture of the card's size: what activation_bytes tells.
  uint64_t max_picture_bytes = 4ull << 30;
};

/// The shape that pictures of this size have as a network's input: rounded up to what it takes
/// where it pads.
/// @throws Error{InvalidArgument} if the network cannot take them even so (shapes), or if one
/// picture needs more than max_picture_bytes.
Shape padded_shape(const Graph& graph, int64_t height, int64_t width,
                   uint64_t max_picture_bytes = LoadLimits().max_picture_bytes);

/// Reads a model file. Everything is checked against what the card describes before memory is taken
/// for it: the size of a picture, the tensors' names, types and shapes, then their values.
/// @throws Error{NotFound, Io} as read_file; Error{BadData}, naming the file, if it is no model
/// (card_of), describes no network (make_graph), needs more than `limits` allow, if a tensor is
/// missing, surplus, not float32 or of another shape, holds a value that is not finite or beyond
/// 1e12 in magnitude, or a negative variance.
Model load(const std::filesystem::path& path, const LoadLimits& limits = {});
/// As load, also refusing another role.
Model load(const std::filesystem::path& path, Role role, const LoadLimits& limits = {});

/// Writes a file that `load` reads. @throws as save_safetensors.
void save(const Model& model, const std::filesystem::path& path, Overwrite overwrite);

/// Checks that tensors of a file are these, and unless allow_extra no others, with these shapes and
/// usable values. @param file for messages. @throws Error{BadData} as load.
void check_tensors(const std::string& file, std::span<const TensorView> tensors,
                   const std::vector<TensorSpec>& expected, bool allow_extra);

/// Those tensors and no others. @throws as check_tensors.
Weights weights_of(const std::string& file, std::span<const TensorView> tensors,
                   const std::vector<TensorSpec>& expected);

}  // namespace veilnet::model
