#include "cipher/picture_file.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "cipher/option_fields.h"
#include "core/error.h"
#include "core/json_file.h"
#include "core/text.h"

namespace veilnet::cipher {

using json = nlohmann::ordered_json;

namespace {

constexpr std::array<std::uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::size_t kAfterHeader =
    8 + 12 + 13;  // signature, then the IHDR chunk, which is always first
constexpr std::string_view kKeyword{"tEXtveilnet\0", 12};
constexpr std::size_t kMaxNote = 4096;

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

void insert_note(std::vector<std::uint8_t>& png, const std::string& note) {
  const auto body = std::string(kKeyword) + note;
  const auto chunk =
      big_endian(static_cast<std::uint32_t>(body.size() - 4)) + body + big_endian(crc32(body));
  png.insert(png.begin() + kAfterHeader, chunk.begin(), chunk.end());
}

/// Of a PNG that decodes.
std::optional<std::string> find_note(std::span<const std::uint8_t> bytes) {
  const std::string_view png(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (std::size_t at = 8; png.size() - at >= 12;) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | bytes[at + i];
    if (length > png.size() - at - 12) return std::nullopt;
    const auto body = png.substr(at + 4, length + 4);
    if (body.starts_with(kKeyword) && length <= kMaxNote)
      return std::string(body.substr(kKeyword.size()));
    at += length + 12;
  }
  return std::nullopt;
}

json describe_as_json(const SchemeOptions& options) {
  json note = option_fields(options);
  if (const double usual = scheme_spec(options.id).strength.usual; usual > 0)
    note["strength"] = options.strength == 0 ? usual : options.strength;
  return note;
}

/// The plain size that the note gives. Checks everything else in it.
std::pair<int, int> read_note(const std::string& text, const std::string& name,
                              const KeyFile& key) {
  const json note = parse_json(text, name + ": its note", {.max_bytes = kMaxNote, .max_depth = 4});
  const auto field = [&](const std::string& option) {
    return note.is_object() ? note.value(option, json()) : json();
  };
  const auto height = field("height"), width = field("width"), scheme = field("scheme"),
             id = field("key_id");
  if (!height.is_number_integer() || !width.is_number_integer() || !scheme.is_string() ||
      !(id.is_string() || id.is_null()))
    fail(ErrorCode::BadData,
         "{}: its note is malformed; allowed are scheme, height, width and key_id", name);
  const auto expected = describe_as_json(key.options);
  for (const auto& [option, value] : expected.items())
    if (field(option) != value)
      fail(ErrorCode::InvalidArgument, "{}: was encrypted with {} {}; the key is for {} {}", name,
           option, printable(field(option).dump(-1, ' ', true)), option, value.dump());
  if (id.is_null())
    fail(ErrorCode::InvalidArgument,
         "{}: was encrypted under a key of its own that was thrown away", name);
  if (id != key_id(key))
    fail(ErrorCode::InvalidArgument, "{}: was encrypted under key {}; this key is {}", name,
         printable(id.get<std::string>()), key_id(key));
  const auto side = [&](const json& value) {
    const auto pixels = value.get<std::int64_t>();
    if (pixels < 1 || pixels > kMaxSide)
      fail(ErrorCode::BadData, "{}: its note gives a side of {} pixels; allowed is 1 to {}", name,
           pixels, kMaxSide);
    return static_cast<int>(pixels);
  };
  return {side(height), side(width)};
}

}  // namespace

std::vector<std::uint8_t> encrypt_to_png(const image::Image& plain, const KeyFile& key,
                                         bool with_key_id) {
  const auto scheme = make_scheme(key.options, key.key, plain.height, plain.width);
  image::Image cipher{scheme->padded_height(), scheme->padded_width(), {}};
  cipher.rgb.resize(3 * static_cast<std::size_t>(cipher.height) *
                    static_cast<std::size_t>(cipher.width));
  scheme->encrypt(plain.rgb, cipher.rgb);
  auto note = describe_as_json(key.options);
  note["height"] = plain.height;
  note["width"] = plain.width;
  if (with_key_id) note["key_id"] = key_id(key);
  auto png = image::encode_png(cipher);
  insert_note(png, note.dump());
  return png;
}

image::DecodeLimits encrypted_limits() {
  image::DecodeLimits limits;
  // A block more on each side, and next to nothing that PNG could compress.
  limits.max_pixels +=
      kMaxBlockSize * (static_cast<std::uint64_t>(limits.max_side) +
                       limits.max_pixels / static_cast<unsigned>(limits.max_side) + kMaxBlockSize);
  limits.max_side += kMaxBlockSize;
  limits.max_file_bytes = 3 * limits.max_pixels + limits.max_pixels / 16;
  return limits;
}

image::Image decrypt_png(std::span<const std::uint8_t> bytes, const std::string& name,
                         const KeyFile& key) {
  if (bytes.size() < kAfterHeader ||
      !std::ranges::equal(bytes.first(kPngSignature.size()), kPngSignature))
    fail(ErrorCode::BadData,
         "{}: is no PNG, which encrypted pictures are; JPEG and other lossy formats change values, "
         "and what they change cannot be decrypted",
         name);
  const auto cipher = image::decode(bytes, name, encrypted_limits());
  image::Image plain{cipher.height, cipher.width, {}};
  if (const auto note = find_note(bytes))
    std::tie(plain.height, plain.width) = read_note(*note, name, key);
  // Before anything is drawn for a size that the note made up.
  const auto padding = [](int padded, int side) {
    return side <= padded && padded - side < kMaxBlockSize;
  };
  if (!padding(cipher.height, plain.height) || !padding(cipher.width, plain.width))
    fail(ErrorCode::BadData, "{}: has {}x{} pixels; its note says that it was made of {}x{}", name,
         cipher.width, cipher.height, plain.width, plain.height);
  const auto scheme = make_scheme(key.options, key.key, plain.height, plain.width);
  if (scheme->padded_height() != cipher.height || scheme->padded_width() != cipher.width)
    fail(ErrorCode::BadData, "{}: has {}x{} pixels; {} makes {}x{} of a picture of this size", name,
         cipher.width, cipher.height, describe(key.options), scheme->padded_width(),
         scheme->padded_height());
  plain.rgb.resize(3 * static_cast<std::size_t>(plain.height) *
                   static_cast<std::size_t>(plain.width));
  scheme->decrypt(cipher.rgb, plain.rgb);
  return plain;
}

}  // namespace veilnet::cipher
