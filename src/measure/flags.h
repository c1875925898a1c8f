// What must not be read as strength of a protection.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "record/matrix.h"

namespace veilnet::measure {

/// By how much (relative, 0 to 1) a training's validation loss fell in its last epoch.
struct LastEpoch {
  bool only_one = false;  ///< there was no other to compare with
  double improvement = 0;
};
/// From the log of a training. @throws Error{BadData} when it holds no validation.
LastEpoch last_epoch(const std::filesystem::path& run_folder);

/// under_trained  the loss fell by more than 5 % in the last epoch, or there was one epoch only
std::optional<record::Flag> training_flag(const LastEpoch& last);

/// under_trained  an adversarial training, whose losses do not say whether it has ended, had less
///                than a quarter of the epochs that were published (0: none were)
std::optional<record::Flag> epochs_flag(int64_t epochs, int64_t published);

/// Adds to each cell that was not refused, and does not pick among candidates, what says that its
/// figure means nothing:
///
///   weaker_than_trivial   a trivial guess (a baseline, the protected picture as it is or blurred)
///                         is at least as good by mean PSNR and by mean SSIM
///   beaten_by_less        an attacker of the same protection who has less reaches a median SSIM
///                         higher by more than 0.02
///   constant_output       guesses differ from each other by less than a twentieth of what plain
///                         pictures do
void set_flags(std::vector<record::Cell>& cells, std::span<const record::Baseline> baselines);

}  // namespace veilnet::measure
