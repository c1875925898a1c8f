// The page for a data-protection officer: what was protected, who attacks, what leaked, what is not
// covered. One scheme (an audit) or a matrix of schemes and attacks.
//
// The matrix is a JSON object ("?" marks what may be absent or null; {summary} is summary.h's JSON;
// shares are 0 to 1; infinite numbers are "inf"; further keys are left alone):
//
//   title          string
//   dataset        {name, hash?, train?, test?, classes?, height?, width?, plain_accuracy?: of the
//   classifier that names
//                  reconstructions, on plain pictures}
//   budget         {name: "small", "standard" or "large", further numbers or strings}
//   schemes        one or more of {label, text: a sentence for people, keys: "none", "same" or
//   "independent",
//                  key_space_bits?, accuracy?: of the service's classifier on protected pictures};
//                  labels are unique
//   baselines      [{name: "mean picture", text, psnr_db: {summary}, ssim: {summary},
//   feature_distance?: {summary}}]  what an
//                  attacker guesses without looking at the protected picture
//   cells          one or more of the following, one for a scheme and an attack
//     scheme, attack  string
//     text            what the attack does, a sentence
//     refused?        string: why the attack makes no sense on this scheme; then nothing below is
//     there threat_model    {method, access, keys, auxiliary}: the names of attack/threat_model.h
//     budget          {name: value, ...}: what was spent
//     n               pictures, at least 1
//     psnr_db, ssim   {summary}
//     ssim_gaussian?, ms_ssim?, feature_distance?   {summary}; a distance of 0 is equality, lower
//     leaks more exact           share of pictures recovered bit for bit reidentified?   share of
//     protected pictures whose plain picture was picked out of `candidates` candidates?     at
//     least 1; needed with reidentified reconstruction_accuracy?   share of reconstructions that a
//     classifier trained on plain pictures names correctly ssim_values?, psnr_db_values?   per
//     picture; the box plots draw the SSIM flags           [{id, text}]  why the figure is not to
//     be trusted; empty where it is
//   transport?     [{scheme, transport: "jpeg:50", accuracy?, psnr_db?: {summary}, ssim?:
//   {summary}, text?}] attributes?    [{scheme, attribute, accuracy, chance}]   what a classifier
//   reads that the service does not need curve?         [{scheme, attack, budget_name, points:
//   [{budget: above 0, ssim, psnr_db}]}] not_covered    one or more strings commands       [string]
//   provenance     object, any depth
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "image/image.h"

namespace veilnet::eval {

/// Some pictures of one cell, the worst cases first. Pictures at the same index belong together.
struct CellPictures {
  std::string scheme, attack;
  std::vector<image::Image> plain;
  std::vector<image::Image> protected_pictures;
  std::vector<image::Image> recovered;
  std::vector<std::string> labels;  ///< one per picture: "cat"
};

struct Verdict {
  std::string level;  ///< one of those below
  std::string text;   ///< the level, what decides it and who that attacker is: sentences for people
  std::string attack;  ///< that decides; empty where none can
};

/// What the attacks mean for one scheme: the worst level that some attack reaches whose figure is
/// not flagged, or flagged as under-trained only: what it leaks is then a lower bound.
///
///   "broken"                at least half of the pictures recovered exactly, or a median SSIM of
///   at least 0.9 "leaks content"         a median SSIM of at least 0.5; or at least half of the
///   pictures re-identified among 10 or more
///                           candidates; or reconstructions named correctly more often than half of
///                           the way from chance (1 / classes) to plain_accuracy (1 where that is
///                           absent)
///   "leaks outlines"        a median SSIM of at least 0.2, or 0.5 for the worst hundredth of the
///   pictures "nothing recognisable"  none of these. It is not said that a scheme is safe: stronger
///   attacks may recover more "not judged"            all attacks are refused or flagged
///
/// SSIM counts by its distance from 0, as an inverted picture shows as much. An attacker who picks
/// among candidates (auxiliary) had the plain pictures before: what he picks counts as
/// re-identified, not as recovered. Named reconstructions do not count where classes is absent, nor
/// where a scheme without keys has an accuracy above that bound itself: its pictures are made to be
/// named. Where a flagged figure would be worse than the verdict, the text says so.
/// @param matrix needs cells and schemes only. @throws Error{InvalidArgument} for a scheme that is
/// not there, Error{BadData} as render_attack_report.
Verdict verdict(const nlohmann::json& matrix, const std::string& scheme);

/// Renders the page. Deterministic: no time, no host name beyond what the matrix holds.
/// @param pictures of any of the cells; those of refused ones are left out.
/// @throws Error{BadData} naming the key that is missing, of the wrong type or out of range.
/// @throws Error{InvalidArgument} if pictures do not fit each other or belong to no cell.
std::string render_attack_report(const nlohmann::json& matrix,
                                 std::span<const CellPictures> pictures);

/// The table of schemes and attacks with the median SSIM, for a terminal or docs; below it why
/// figures are flagged. Needs cells and schemes only. @throws as verdict.
std::string attack_matrix_markdown(const nlohmann::json& matrix);

/// By scheme, an SVG with a box of SSIM values for each attack that recovers pictures, baselines as
/// lines: the form of Fig. 5 of arXiv 2008.03143. Schemes without values are left out. @throws as
/// verdict.
std::vector<std::pair<std::string, std::string>> attack_box_plots(const nlohmann::json& matrix);

/// Writes and reads `<folder>/<scheme>/<attack>/{plain,protected,recovered}-<k>.png` and
/// `labels.json`.
/// @throws Error{InvalidArgument} for pictures that do not fit each other or names that are no file
/// names, Error{BadData} for a labels.json of another form, and as write_file and read_image.
void write_cell_pictures(const std::filesystem::path& folder, const CellPictures& pictures,
                         Overwrite overwrite);
CellPictures read_cell_pictures(const std::filesystem::path& folder, const std::string& scheme,
                                const std::string& attack);

}  // namespace veilnet::eval
