// Records as JSON: one description of each type, read and written by it.
//
// Infinite numbers are the strings "inf" and "-inf", NaN is null. Absolute paths in words lose
// their folders on the way out, as records are meant to be shared. Files say their
// "record_version"; results/ holds older ones without it, which scripts/results.py still tabulates.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/files.h"
#include "record/matrix.h"

namespace veilnet::record {

inline constexpr int kRecordVersion = 2;

// Of Matrix, Result, Cell, Protection, Baseline, Dataset, Summary, and std::vector of Transport,
// Attribute, Curve and std::string.

/// Ends with a newline. @throws Error{BadData} as check.
template <class Record>
std::string to_json(const Record& record);

/// @param name what messages call it: its file.
/// @throws Error{BadData} naming file and key when something is missing, of the wrong type, out of
/// range, nested too deep or of another version, and as check.
template <class Record>
Record from_json(std::string_view text, const std::string& name);

/// @throws as from_json and read_text.
template <class Record>
Record read(const std::filesystem::path& path);

/// @throws as to_json and write_file.
template <class Record>
void write(const std::filesystem::path& path, const Record& record, Overwrite overwrite);

/// Words without the folders of the machine that they come from: an absolute path keeps its last
/// part. `"/home/me/data/cifar"` becomes `"cifar"`; URLs, fractions and relative paths stay.
std::string without_folders(std::string_view words);

}  // namespace veilnet::record
