// The page that a person looks at: everything that a matrix holds and its pictures, as one
// self-contained HTML file. No scripts, nothing fetched from outside (its content security policy
// says so too), readable on a phone and on paper; well-formed XML as well.
//
// What it says stands in page.mustache; sections appear where the matrix has something for them.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "record/matrix.h"
#include "report/pictures.h"

namespace veilnet::report {

/// Deterministic: no time, no host name beyond what the matrix holds; no folder of the machine.
/// @param pictures of any of the cells; those of refused ones are left out.
/// @throws Error{BadData} as record::check and attacker; Error{InvalidArgument} if pictures do not
/// fit each other or belong to no cell.
std::string render_page(const record::Matrix& matrix, std::span<const CellPictures> pictures);

/// Renders `<folder>/report.html` from `<folder>/matrix.json` and `<folder>/pictures`, where there
/// are any; replaces it. @return its path. @throws as render_page, record::read, read_pictures and
/// write_file.
std::filesystem::path write_page(const std::filesystem::path& folder);

/// Standard base64 with padding.
std::string base64(std::string_view bytes);

}  // namespace veilnet::report
