// Hashes of files.
#pragma once

#include <filesystem>
#include <string>

namespace veilnet {

/// Lower-case hexadecimal SHA-256 of a file's bytes, which are never in memory as a whole.
/// @throws Error{NotFound, BadData, Io} as read_file.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace veilnet
