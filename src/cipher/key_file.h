// Key files: a key together with the scheme and the options that it is for, or a client's secret.
#pragma once

#include <filesystem>
#include <string>

#include "cipher/scheme.h"
#include "core/files.h"

namespace veilnet::cipher {

/// JSON, version 1: `format` ("veilnet-key"), `format_version` (1), `scheme`, the scheme's own
/// options (`block_size`; its variant's name, true or false) and `key`, 64 hexadecimal digits.
/// Nothing else is allowed.
struct KeyFile {
  SchemeOptions options;
  Key key;
};

/// Writes the file with mode 0600, whatever the umask. Creates missing parent folders.
/// @throws Error{InvalidArgument} if the scheme has no key or its options are not allowed,
/// Error{AlreadyExists} if the file exists and overwrite is No, Error{Io} if writing fails.
void save_key(const std::filesystem::path& path, const KeyFile& file, Overwrite overwrite);

/// @throws Error{NotFound, Io} as read_file; Error{BadData} if the file is no key file, truncated
/// or holds anything unexpected; Error{Unsupported} for a version that this build does not know.
KeyFile load_key(const std::filesystem::path& path);

/// A client's secret, from which chance is drawn (protection/randomised_response.h). JSON, version
/// 1: `format` ("veilnet-secret"), `format_version` (1), `key`. @throws as save_key and load_key.
void save_secret(const std::filesystem::path& path, const Key& secret, Overwrite overwrite);
Key load_secret(const std::filesystem::path& path);

/// 16 hexadecimal digits that tell keys apart and say nothing about them; the scheme and its
/// options are part of it.
std::string key_id(const KeyFile& file);

}  // namespace veilnet::cipher
