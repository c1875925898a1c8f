// Some pictures of each cell, kept beside the matrix.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/files.h"
#include "image/image.h"

namespace veilnet::report {

/// Pictures at the same index belong together. First come examples, the same for all cells (the
/// first picture of each class), then the worst cases of this one: those that leaked most; then
/// those that SSIM and phi's features place most differently.
struct CellPictures {
  std::string protection, attack;
  std::vector<image::Image> plain;
  std::vector<image::Image> protected_pictures;
  std::vector<image::Image> recovered;
  std::vector<std::string> labels;  ///< one per picture: "cat", "worst case 1: dog"
};

/// @throws Error{InvalidArgument} unless there are as many of each kind, and all of a picture's
/// three have one size.
void check(const CellPictures& pictures);

/// Writes and reads `<folder>/<protection>/<attack>/{plain,protected,recovered}-<k>.png` and
/// `labels.json`.
/// @throws Error{InvalidArgument} as check and for names that are no file names, Error{BadData} for
/// a labels.json of another form, and as write_file and read_image.
void write_pictures(const std::filesystem::path& folder, const CellPictures& pictures,
                    Overwrite overwrite);
CellPictures read_pictures(const std::filesystem::path& folder, const std::string& protection,
                           const std::string& attack);

}  // namespace veilnet::report
