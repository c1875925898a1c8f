// Weights that were trained elsewhere: PyTorch state dicts of the reference networks.
#pragma once

#include <filesystem>

#include "model/model.h"

namespace veilnet::model {

/// A model from a state dict in a safetensors file. Tensor names and shapes are those that
/// make_graph gives; "module." in front of all of them (DataParallel) and num_batches_tracked are
/// left out.
/// @param card what a state dict does not say: role, architecture, class names, picture size and
/// normalisation. Depth and width are read off the tensors.
/// @return with the note "state_dict_sha256", of the file.
/// @throws Error{NotFound, Io} as read_file; Error{BadData}, naming the file, as load for tensors
/// that do not fit, and for a file that is a model already; Error{InvalidArgument} as check,
/// make_graph and padded_shape for a card that no model can have.
Model from_state_dict(const std::filesystem::path& path, Card card, const LoadLimits& limits = {});

}  // namespace veilnet::model
