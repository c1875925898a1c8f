// Reading whole files within limits, and writing them so that nobody ever sees half a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace veilnet {

enum class Overwrite { No, Yes };

/// Who may read a new file: what the umask says, or its owner alone (mode 0600).
enum class Access { Default, OwnerOnly };

/// Reads a whole regular file.
/// @throws Error{NotFound} if there is no such file, Error{BadData} if it is larger than max_bytes,
/// Error{Io} if reading fails.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// As read_file, as text.
std::string read_text(const std::filesystem::path& path, std::uint64_t max_bytes = 64u << 20);

/// Writes to a temporary name in the same folder, flushes, and renames. Creates missing parent
/// folders. A file that is written again keeps its mode unless that gave others access and
/// OwnerOnly is asked for; the temporary file is never more open. A link in the file's place is
/// replaced, not followed. What killed processes left of temporary files in the folder is removed.
/// @throws Error{AlreadyExists} if the file exists and overwrite is No, Error{Io} if writing fails
/// (the temporary is removed).
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes,
                Overwrite overwrite, Access access = Access::Default);
void write_file(const std::filesystem::path& path, std::string_view text, Overwrite overwrite,
                Access access = Access::Default);

/// Lower-case hexadecimal SHA-256 of the concatenated parts.
std::string sha256_hex(std::span<const std::span<const std::uint8_t>> parts);
std::string sha256_hex(std::span<const std::uint8_t> bytes);

}  // namespace veilnet
