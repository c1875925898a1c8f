// How much of the plain pictures a guess at them shows, and when the figure of an attack is not to
// be trusted.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "nn/model.h"
#include "train/compute.h"

namespace veilnet::eval {

/// Who judges besides PSNR and SSIM; either may be absent.
struct Judges {
  const nn::Model* psi = nullptr;  ///< a classifier that was trained on plain pictures only
  std::shared_ptr<nn::FeatureExtractor> phi;
};

/// Of guesses at the first n pictures of `plain`, the keys of a cell of eval/attack_report.h from
/// "n" to "psnr_db_values".
///
/// feature_distance is the mean squared difference of phi's features of normalised pictures (L_feat
/// of arXiv 2008.03143): a learned perceptual distance, but not LPIPS, whose weights are calibrated
/// to people's judgement. reidentified is the share of guesses whose own plain picture is the
/// nearest of the n by squared error.
/// @param recovered_nhwc n pictures, n >= 1. @throws Error{InvalidArgument} for sizes that do not
/// fit.
nlohmann::json measure_leak(const data::Dataset& plain, std::span<const uint8_t> recovered_nhwc,
                            const Judges& judges, const train::Compute& compute);

/// Marks what must not be read as strength of a scheme: gives each cell that was not refused its
/// "flags". `trained` says by how much (relative, 0 to 1) the validation loss of the cell's
/// training fell in its last epoch, where there was one.
///
///   under_trained         that was more than 5 %, or there was one epoch only
///   weaker_than_trivial   a trivial guess (the mean picture, the protected picture as it is or
///   blurred) is at least as good by
///                         mean PSNR and by mean SSIM
///   constant_output       guesses differ from each other by less than a twentieth of what plain
///   pictures do beaten_by_less        an attacker of the same victim who has less reaches a median
///   SSIM higher by more than 0.02
struct CellTraining {
  bool one_epoch = false;
  double last_improvement = 0;
};
void set_flags(nlohmann::json& cells, const nlohmann::json& baselines);
nlohmann::json training_flags(const std::vector<CellTraining>& trainings);
/// From the log of a training. @throws Error{BadData} when it holds no validation.
CellTraining read_training(const std::filesystem::path& run_folder);

/// The mean of the pictures, as the guess at each of `count`.
std::vector<uint8_t> mean_picture(const data::Dataset& pictures, size_t count);

}  // namespace veilnet::eval
