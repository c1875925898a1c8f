// The report a person looks at: one HTML page from the numbers of an evaluation and some of its
// pictures.
//
// The evaluation is a JSON object ("?" marks what may be absent or null; a missing figure is shown
// as a dash). Accuracies are fractions in [0, 1]; {summary} is summary.h's JSON; PSNR in dB; where
// a number is infinite, JSON holds the string "inf".
//
//   title           string
//   dataset         {name, hash?, train?, test?, classes?, height?, width?}
//   phi?            {source: "file ..." or "cut from a VGG trained on ...", layer}
//   paper?          {source: "arXiv 2008.03143, Table I, ResNet-20", plain_accuracy?}   what
//   paper_accuracy below was read from headline?       the label of the model whose figures stand
//   at the top; default: the only model, or none of several models          one or more of
//     label           "alpha = 0.005"; unique
//     alpha?          number
//     architecture?   "unet width 16"
//     recipe?         string
//     accuracy        {plain, protected_float, protected_png8?}   of the same classifier psi on the
//     test pictures paper_accuracy? number                                      the paper's, on
//     protected pictures similarity?     plain against protected 8-bit picture:
//                     {psnr_db: {summary}, ssim: {summary}, ssim_gaussian?: {summary},
//                     psnr_db_values?: [...], ssim_values?:
//                     [...]}
//     attack?         plain against reconstructed 8-bit picture:
//                     {name, psnr_db: {summary}, ssim: {summary}, ssim_gaussian?: {summary},
//                     psnr_db_values?: [...], ssim_values?: [...],
//                      reconstruction_accuracy?, baseline_mean_image_psnr_db?, settings?: {name:
//                      value, ...}}
//                     Values are per picture and feed the box plots; boxes are left out where they
//                     are absent.
//     provenance?     object, any depth
//   The page states that the attacker knows h, has exact 8-bit pairs made from training pictures,
//   and none from test pictures: whoever makes the evaluation keeps that true. notes? [string, ...]
//   remarks on this run commands?       [string,
//   ...]   what to type to get these figures again provenance?     object, any depth: versions,
//   device, commit, seed
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "image/image.h"

namespace veilnet::eval {

/// Some test pictures of one model, in the three states. Pictures at the same index belong
/// together.
struct ModelPictures {
  std::vector<image::Image> plain;
  std::vector<image::Image> protected_pictures;
  std::vector<image::Image> reconstructed;  ///< empty without an attack
  std::vector<std::string> labels;          ///< empty, or one per picture: "cat", "worst case"
};

/// Renders the page. The PSNR under a picture is computed from the pictures shown. The alpha grid
/// has a row for each picture of the first model that all models show. Trade-off curves join models
/// of one architecture and recipe. Deterministic: no time, no host name beyond what the evaluation
/// holds.
/// @param pictures empty, or one entry per model in the same order.
/// @throws Error{BadData} naming the key that is missing, of the wrong type or out of range.
/// @throws Error{InvalidArgument} if the pictures do not fit the models or each other.
std::string render_report(const nlohmann::json& evaluation,
                          std::span<const ModelPictures> pictures);

/// Writes and reads `<folder>/model-<i>/{plain,protected,reconstructed}-<k>.png` and `labels.json`,
/// so that a report can be rendered again without the models. @throws as write_file and read_image.
void write_pictures(const std::filesystem::path& folder, std::span<const ModelPictures> pictures,
                    Overwrite overwrite);
std::vector<ModelPictures> read_pictures(const std::filesystem::path& folder, std::size_t models);

}  // namespace veilnet::eval
