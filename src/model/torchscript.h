// A model as a TorchScript file, for PyTorch and LibTorch: everything between pixels and results
// inside.
#pragma once

#include <string>

#include "model/model.h"

namespace veilnet::model {

/// A file for torch.jit.load of PyTorch 1.13 to 2.x. The module takes float32 [N, 3, H, W] with
/// values in [0, 1], any N and every H and W that the network can take; normalisation, padding and
/// the sigmoid are inside. It gives logits [N, classes] of a Classifier, else pictures of the
/// input's shape with values in [0, 1], not rounded to 256 levels. Weights are its buffers, their
/// dots underscores; the card's metadata is its extra file "card.json".
/// @throws Error{InvalidArgument} for models beyond the 4 GB of a ZIP archive.
std::string to_torchscript(const Model& model);

}  // namespace veilnet::model
