// Which picture files a command line means, and what each is called below the output folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "core/error.h"

namespace veilnet::cli {

/// A picture to read.
struct Input {
  std::filesystem::path path;  ///< "-" for standard input
  std::filesystem::path name;  ///< below the folder that was given, or the file's own name
};

/// What cannot be used, with the reason.
struct Failure {
  std::filesystem::path path;
  ErrorCode code;
  std::string message;
};

struct Inputs {
  std::vector<Input> pictures;
  std::vector<Failure> failures;
  /// Files in folders that are pictures of kinds that are not read, by kind ("GIF").
  std::map<std::string, std::size_t> left_out;
};

/// Files as they are; folders with all that image::find_pictures finds below them. What is missing,
/// holds no picture or cannot be read is among the failures and stops nothing.
/// @param aside a folder whose pictures are none of them where it lies inside; empty for none.
Inputs find_inputs(const std::vector<std::string>& paths, const std::filesystem::path& aside = {});

/// Whether that is why nothing is found: no such file, or a file where a folder would be.
bool is_absence(const std::error_code& cause);

/// Whether both are there and one folder, over whatever links.
bool is_same_folder(const std::filesystem::path& a, const std::filesystem::path& b);

/// Names below an output folder with the extension .png, no two the same: beside each other
/// IMG_1.jpg becomes IMG_1.jpg.png and IMG_1.png IMG_1.png.png.
std::vector<std::filesystem::path> png_names(const std::vector<Input>& inputs);

}  // namespace veilnet::cli
