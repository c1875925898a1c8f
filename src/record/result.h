// Which figures of a matrix are committed by name, for others to read.
#pragma once

#include <string>

#include "record/matrix.h"

namespace veilnet::record {

/// Of the main experiment: the first protection is h, attacked by "look" and, where it was, "itn".
/// Metrics: plain_accuracy, protected_accuracy (float output; protected_accuracy_png8 after 8-bit
/// PNG), accuracy_gap_points, ssim_plain_protected_{mean,p99}, psnr_plain_protected_db_mean; where
/// there is "itn": itn_images, itn_{psnr_db,ssim}_{mean,median,p99}, itn_reconstruction_accuracy,
/// mean_image_psnr_db.
/// @throws Error{BadData} without accuracies or a cell of "look".
Result experiment_result(std::string experiment, Matrix matrix);

/// Of a row of the comparison table: a matrix of one protection. Metrics: accuracy, plain_accuracy,
/// and where they are ssim_mean, psnr_db_mean, key_space_bits.
Result row_result(std::string experiment, Matrix matrix);

/// Of a matrix of attacks. Metrics: cells, flagged_cells, what known and chosen plaintexts recover
/// exactly, canary_broken.
Result attacks_result(std::string experiment, Matrix matrix);

}  // namespace veilnet::record
