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

/// Of defences side by side, labels as experiment/protections.h has them. Metrics, where the rows
/// are there: paper_h_accuracy, coded<B>_accuracy, minmax_accuracy; local_classifier_accuracy;
/// paper_h_, coded<B>_, minmax_best_attack_{psnr_db,ssim}, the maximum over attacks that rebuild
/// and are trusted, of the PSNR of the mean squared error and of the median SSIM;
/// coded<B>_mmse_psnr_db; coded<B>_reid_1000; for eps = E coded_eps<E>_accuracy, of the code that
/// it serves best, and coded_eps<E>_bits and eps<E>_audit_lower_bound of that one.
Result defences_result(std::string experiment, Matrix matrix);

}  // namespace veilnet::record
