// A model as an ONNX file, for other programs: everything between pixels and results inside.
#pragma once

#include <cstdint>
#include <string>

#include "model/model.h"

namespace veilnet::model {

/// An ONNX ModelProto (opset 13, IR version 7). Its input "pictures" is float32 [N, 3, height,
/// width] with values in [0, 1], any N; normalisation, padding and the sigmoid are nodes of its
/// graph. Its output is "logits" [N, classes] of a Classifier, else "protected" (of an Inverse:
/// "reconstructed"), of the input's shape with values in [0, 1], not rounded to 256 levels.
/// The card's metadata is the file's.
/// @throws Error{InvalidArgument} as padded_shape, and for models beyond the 2 GB of a protobuf
/// message.
std::string to_onnx(const Model& model, int64_t height, int64_t width);

}  // namespace veilnet::model
