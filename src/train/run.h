// Where a training is kept, and which one it is.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "nn/model.h"
#include "train/rehearsal.h"

namespace veilnet::train {

/// One training: its folder receives model.safetensors, log.jsonl and checkpoint/state.pt.
struct Run {
  std::filesystem::path folder;
  std::string title;  ///< what the progress line shows
  /// Names the training by all that its result depends on. A checkpoint of another key is refused,
  /// and the finished model states it.
  std::string key;
  bool resume = false;            ///< continue from the checkpoint
  double checkpoint_minutes = 5;  ///< 0 saves the state after every step
  std::int64_t log_every_steps = 20;
  Rehearsal* rehearsal = nullptr;  ///< only try a few steps, write nothing
};

/// The note of a model's card that holds Run::key.
inline constexpr const char* kStageNote = "stage";

/// The model that this very training has left in its folder, on `device`; or nothing.
/// @throws as nn::load_model.
inline std::optional<nn::Model> finished_model(const Run& run, model::Role role,
                                               const torch::Device& device) {
  const auto path = run.folder / "model.safetensors";
  if (!std::filesystem::exists(path)) return std::nullopt;
  auto model = nn::load_model(path, role, device);
  const auto note = model.card.notes.find(kStageNote);
  if (note == model.card.notes.end() || note->second != run.key) return std::nullopt;
  return model;
}

}  // namespace veilnet::train
