#include "cipher/scheme.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"

// The table: one line a scheme, in the order of every list. The scheme's file defines it.
#define VEILNET_SCHEMES(line)                                                                  \
  line(le) line(ele) line(etc) line(pe) line(pixel_shuffle) line(bit_flip) line(ffx) line(vit) \
      line(blur) line(pixelate) line(noise)

namespace veilnet::cipher {

namespace spec {
#define VEILNET_DECLARE(scheme) SchemeSpec scheme();
VEILNET_SCHEMES(VEILNET_DECLARE)
}  // namespace spec

namespace {

int round_up(int side, int block_size) { return (side + block_size - 1) / block_size * block_size; }

std::size_t picture_bytes(int height, int width) {
  return 3 * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
}

void check_size(const char* name, std::size_t size, int height, int width) {
  if (size != picture_bytes(height, width))
    fail(ErrorCode::InvalidArgument,
         "the {} picture has {} bytes; the scheme was made for {}x{} pixels of 3 bytes", name, size,
         width, height);
}

bool has_variant(const SchemeOptions& options) {
  return options.variant && !scheme_spec(options.id).variant.name.empty();
}

}  // namespace

std::span<const SchemeSpec> schemes() {
#define VEILNET_LINE(scheme) spec::scheme(),
  static const std::array table = {VEILNET_SCHEMES(VEILNET_LINE)};
  return table;
}

const SchemeSpec& scheme_spec(std::string_view id) {
  const auto found = std::ranges::find(schemes(), id, &SchemeSpec::id);
  if (found != schemes().end()) return *found;
  std::string known;
  for (const auto& spec : schemes()) known += (known.empty() ? "" : ", ") + std::string(spec.id);
  fail(ErrorCode::InvalidArgument, "there is no scheme \"{}\"; allowed: {}", id, known);
}

std::vector<std::string> scheme_ids() {
  std::vector<std::string> ids;
  for (const auto& spec : schemes()) ids.emplace_back(spec.id);
  return ids;
}

std::vector<SchemeOptions> scheme_forms() {
  std::vector<SchemeOptions> forms;
  for (const auto& spec : schemes()) {
    forms.push_back({.id = std::string(spec.id)});
    if (!spec.variant.name.empty()) forms.push_back({.id = std::string(spec.id), .variant = true});
  }
  return forms;
}

const Structure& structure_of(const SchemeOptions& options) {
  const auto& spec = scheme_spec(options.id);
  return has_variant(options) ? spec.variant.structure : spec.structure;
}

std::string describe(const SchemeOptions& options) {
  const auto& spec = scheme_spec(options.id);
  std::string text = options.id;
  if (spec.blocks) text += fmt::format(", block size {}", options.block_size);
  if (has_variant(options)) text += fmt::format(", {}", spec.variant.text);
  return text;
}

std::string SchemeSpec::Variant::flag() const {
  std::string flag = "--" + std::string(name);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

void check_geometry(int height, int width, int block_size) {
  const auto check = [](const char* name, int value, int max) {
    if (value < 1 || value > max)
      fail(ErrorCode::InvalidArgument, "{} is {}; allowed is 1 to {} pixels", name, value, max);
  };
  check("the picture's height", height, kMaxSide);
  check("the picture's width", width, kMaxSide);
  check("the block size", block_size, kMaxBlockSize);
}

Scheme::Scheme(const Properties& properties)
    : height_(properties.height),
      width_(properties.width),
      padded_height_(round_up(height_, properties.block_size)),
      padded_width_(round_up(width_, properties.block_size)),
      invertible_(properties.invertible),
      key_space_bits_(properties.key_space_bits) {
  check_geometry(height_, width_, properties.block_size);
}

void Scheme::encrypt(std::span<const std::uint8_t> plain, std::span<std::uint8_t> cipher) const {
  check_size("plain", plain.size(), height_, width_);
  check_size("encrypted", cipher.size(), padded_height_, padded_width_);
  if (plain.size() == cipher.size()) return forward(plain.data(), cipher.data());

  const auto row = picture_bytes(1, width_), padded_row = picture_bytes(1, padded_width_);
  std::vector<std::uint8_t> padded(cipher.size());
  for (int y = 0; y < padded_height_; ++y) {
    auto* target = &padded[static_cast<std::size_t>(y) * padded_row];
    std::memcpy(target, &plain[static_cast<std::size_t>(std::min(y, height_ - 1)) * row], row);
    for (auto x = row; x < padded_row; ++x) target[x] = target[x - 3];
  }
  forward(padded.data(), cipher.data());
}

void Scheme::decrypt(std::span<const std::uint8_t> cipher, std::span<std::uint8_t> plain) const {
  check_size("encrypted", cipher.size(), padded_height_, padded_width_);
  check_size("plain", plain.size(), height_, width_);
  if (!invertible_)
    fail(ErrorCode::Unsupported, "this scheme loses data; what it made cannot be decrypted");
  if (plain.size() == cipher.size()) return backward(cipher.data(), plain.data());

  const auto row = picture_bytes(1, width_), padded_row = picture_bytes(1, padded_width_);
  std::vector<std::uint8_t> padded(cipher.size());
  backward(cipher.data(), padded.data());
  for (std::size_t y = 0; y < static_cast<std::size_t>(height_); ++y)
    std::memcpy(&plain[y * row], &padded[y * padded_row], row);
}

void Scheme::backward(const std::uint8_t*, std::uint8_t*) const {}

std::unique_ptr<Scheme> make_scheme(const SchemeOptions& options, const Key& key, int height,
                                    int width) {
  const auto& spec = scheme_spec(options.id);
  check_geometry(height, width, spec.blocks ? options.block_size : 1);
  auto checked = options;
  if (auto& strength = checked.strength; spec.strength.usual != 0) {
    const auto& [usual, min, max, text] = spec.strength;
    if (strength == 0) strength = usual;
    if (!(strength >= min && strength <= max))
      fail(ErrorCode::InvalidArgument, "the strength of \"{}\" ({}) is {}; allowed is {} to {}",
           options.id, text, strength, min, max);
  }
  return spec.make(checked, key, height, width);
}

void encrypt_all(const Scheme& scheme, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  const auto from = picture_bytes(scheme.height(), scheme.width());
  const auto to = picture_bytes(scheme.padded_height(), scheme.padded_width());
  if (plain.size() % from != 0 || cipher.size() % to != 0 ||
      plain.size() / from != cipher.size() / to)
    fail(ErrorCode::InvalidArgument,
         "the pictures have {} and {} bytes; the scheme takes {} and gives {} for each",
         plain.size(), cipher.size(), from, to);
  for (std::size_t i = 0; i < plain.size() / from; ++i)
    scheme.encrypt(plain.subspan(i * from, from), cipher.subspan(i * to, to));
}

}  // namespace veilnet::cipher
