// Measuring a conventional scheme and the classifier that learned from its pictures.
#pragma once

#include <nlohmann/json.hpp>

#include "experiment/models.h"

namespace veilnet::eval {

/// Of the finished run of the configured scheme, on all test pictures: "accuracy" on encrypted
/// pictures and "plain_accuracy" of the same classifier on plain ones (0 to 1), "similarity" of
/// plain and encrypted pictures ("psnr_db", "ssim", "ssim_gaussian", each a summary),
/// "key_space_bits", "label", "classifier" and "provenance". Also written to <run>/metrics.json.
///
/// For the scheme "gan", accuracy is that of psi on 8-bit protected pictures.
/// @throws Error{NotFound} before the training.
nlohmann::json evaluate_scheme(const experiment::Experiment& experiment,
                               const experiment::Workspace& workspace);

}  // namespace veilnet::eval
