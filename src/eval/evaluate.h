// Measuring one experiment: accuracies, similarity, what the attack recovers; and the files that
// record it.
#pragma once

#include <filesystem>
#include <vector>

#include <nlohmann/json.hpp>

#include "eval/report.h"
#include "experiment/models.h"

namespace veilnet::eval {

/// Share of pictures (uint8 NHWC, in the order of `labels`) that psi names right, 0 to 1.
double accuracy_on_bytes(const nn::Model& psi, const data::Dataset& like,
                         std::span<const uint8_t> images_nhwc, const train::Compute& compute);

/// PSNR and both SSIM of equally long runs of pictures, one value a picture.
struct Similarity {
  std::vector<double> psnr_db, ssim, ssim_gaussian;
};
Similarity compare(const data::Dataset& plain, std::span<const uint8_t> others_nhwc);

/// Everything that is measured of one transformation network on the test set, in the form report.h
/// documents for an entry of "models".
/// @param inverse the ITN-Attack's network, or null when h was not attacked.
/// @param pictures receives the first test picture of each class and the worst reconstructions.
nlohmann::json evaluate_model(const experiment::Experiment& experiment,
                              const experiment::Workspace& workspace, const nn::Model& psi,
                              const nn::Model& h, const nn::Model* inverse,
                              ModelPictures& pictures);

/// Evaluates every finished transformation network of the experiment (the main one first, then the
/// curve), and writes <experiment>/evaluation.json, <experiment>/pictures and <experiment>/grid.png
/// (rows: plain, protected, reconstructed).
/// @throws Error{NotFound} when there is none.
nlohmann::json evaluate_experiment(const experiment::Experiment& experiment,
                                   const experiment::Workspace& workspace);

/// Renders <experiment>/report.html from evaluation.json and the pictures. @throws Error{NotFound}
/// before an evaluation.
std::filesystem::path write_report(const std::filesystem::path& experiment_folder);

/// Trains what is missing, attacks, evaluates and reports: psi, h, ITN-Attack, then each point of
/// the curve. Finished parts are kept, interrupted ones resumed. Returns the evaluation.
nlohmann::json reproduce(const experiment::Experiment& experiment,
                         experiment::Mode mode = experiment::Mode::Complete);

/// The committed record of an experiment: what was run, on what, and `metrics`. See
/// docs/architecture.md for the names.
nlohmann::json result_record(const experiment::Experiment& experiment,
                             const nlohmann::json& evaluation);

}  // namespace veilnet::eval
