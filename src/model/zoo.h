// Models that are there by name, without a training: a folder of model files and what is said of
// them.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/card.h"

namespace veilnet::model {

/// A row of the folder's index.json, in which all fields are required:
///
///     {"format": "veilnet-models", "format_version": 1, "models": [{"name": "cifar10-h",
///      "file": "cifar10-h.safetensors", "sha256": "...", "role": "transform", "text": "...",
///      "licence": "...", "record": "results/cifar10-cpu.json", "figures": {"accuracy": 0.874}}]}
struct ZooModel {
  std::string name;
  std::filesystem::path file;  ///< in the folder
  std::string sha256;          ///< of the file
  Role role = Role::Classifier;
  std::string text, licence;
  std::string record;                     ///< where its figures come from
  std::map<std::string, double> figures;  ///< by name, shares from 0 to 1 or what the name says
};

/// The folder of models: VEILNET_MODELS where that is set; else, seen from the folder of the
/// program or of the library that this is part of, ../share/veilnet/models or
/// ../../share/veilnet/models of an installation, or ../../models of a build. Empty where there is
/// none.
std::filesystem::path zoo_folder();

/// What the folder's index lists; nothing for an empty path.
/// @throws Error{BadData}, naming the index, for anything that is no such index, and for a file
/// outside the folder; Error{NotFound, Io} as read_file.
std::vector<ZooModel> zoo(const std::filesystem::path& folder);

/// The checked path of a model. @throws Error{BadData} for a file that is not the one that the
/// index describes, naming both; Error{NotFound, Io} as sha256_file.
std::filesystem::path checked(const std::filesystem::path& folder, const ZooModel& model);

/// The checked path of the model of this name, where zoo_folder() lists one. @throws as zoo and
/// checked.
std::optional<std::filesystem::path> listed(const std::string& name);

/// The file itself, or that of the model of this name. @throws Error{NotFound} if there is neither,
/// and as zoo and checked.
std::filesystem::path file_of(const std::string& given);

}  // namespace veilnet::model
