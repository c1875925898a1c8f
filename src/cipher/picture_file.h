// Encrypted pictures as files: PNG with a note that says what made them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cipher/key_file.h"
#include "image/image.h"

namespace veilnet::cipher {

/// Encrypts and encodes as 8-bit RGB PNG of the padded size. A text chunk "veilnet" holds as JSON
/// the scheme with its options, the plain picture's `height` and `width`, and `key_id` where a key
/// is given. It links the pictures of one key; whoever must not see that strips it, and decrypted
/// pictures then keep their padding.
/// @param with_key_id false where the key is thrown away.
/// @throws as make_scheme.
std::vector<std::uint8_t> encrypt_to_png(const image::Image& plain, const KeyFile& key,
                                         bool with_key_id);

/// What encrypt_to_png may write of any picture within the usual limits.
image::DecodeLimits encrypted_limits();

/// The plain picture. Without a note, the key's options and the padded size are taken.
/// @param name stands for the file in messages.
/// @throws Error{BadData} if the bytes are no PNG, a corrupt one or beyond encrypted_limits, do not
/// consist of whole blocks, or hold a note that is malformed or does not fit the picture;
/// Error{InvalidArgument} if the note names another scheme, other options or another key;
/// Error{Unsupported} if the scheme has no inverse.
image::Image decrypt_png(std::span<const std::uint8_t> bytes, const std::string& name,
                         const KeyFile& key);

}  // namespace veilnet::cipher
