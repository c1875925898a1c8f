#include "cipher/scheme.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "cipher/baselines.h"
#include "cipher/explicit_key.h"
#include "core/error.h"

namespace veilnet::cipher {

namespace {

constexpr std::array kTraits = {
    SchemeTraits{"le", true, true, 0, 0, 0, ""},
    SchemeTraits{"ele", true, true, 0, 0, 0, ""},
    SchemeTraits{"etc", true, true, 0, 0, 0, ""},
    SchemeTraits{"pe", true, false, 0, 0, 0, ""},
    SchemeTraits{"pixel-shuffle", true, true, 0, 0, 0, ""},
    SchemeTraits{"bit-flip", true, true, 0, 0, 0, ""},
    SchemeTraits{"ffx", true, true, 0, 0, 0, ""},
    SchemeTraits{"blur", false, false, 2, 0.1, 100, "standard deviation of the filter in pixels"},
    SchemeTraits{"pixelate", false, false, 4, 1, 1024, "side of a cell in pixels, rounded"},
    SchemeTraits{"noise", false, false, 64, 0.1, 1000,
                 "standard deviation of the noise in 8-bit steps"},
};

/// Shortest form: "0.5", "100".
std::string number(double value) {
  auto text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

double strength_of(const SchemeOptions& options) {
  const auto& traits = scheme_traits(options.id);
  if (options.strength == 0) return traits.default_strength;
  if (!(options.strength >= traits.min_strength && options.strength <= traits.max_strength)) {
    throw Error(ErrorCode::InvalidArgument,
                "the strength of \"" + options.id + "\" (" + std::string(traits.strength) +
                    ") is " + number(options.strength) + "; allowed is " +
                    number(traits.min_strength) + " to " + number(traits.max_strength));
  }
  return options.strength;
}

int round_up(int side, int block_size) { return (side + block_size - 1) / block_size * block_size; }

std::size_t picture_bytes(int height, int width) {
  return 3 * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
}

void check_size(const char* name, std::size_t size, int height, int width) {
  if (size != picture_bytes(height, width)) {
    throw Error(ErrorCode::InvalidArgument,
                std::string("the ") + name + " picture has " + std::to_string(size) +
                    " bytes; the scheme was made for " + std::to_string(height) + "x" +
                    std::to_string(width) + " pixels of 3 bytes");
  }
}

}  // namespace

const SchemeTraits& scheme_traits(const std::string& id) {
  const auto* found = std::ranges::find(kTraits, id, &SchemeTraits::id);
  if (found != kTraits.end()) return *found;
  std::string known;
  for (const auto& traits : kTraits) known += (known.empty() ? "" : ", ") + std::string(traits.id);
  throw Error(ErrorCode::InvalidArgument, "there is no scheme \"" + id + "\"; allowed: " + known);
}

std::vector<std::string> scheme_ids() {
  std::vector<std::string> ids;
  for (const auto& traits : kTraits) ids.emplace_back(traits.id);
  return ids;
}

void check_geometry(int height, int width, int block_size) {
  const auto check = [](const char* name, int value, int max) {
    if (value >= 1 && value <= max) return;
    throw Error(ErrorCode::InvalidArgument, std::string(name) + " is " + std::to_string(value) +
                                                "; allowed is 1 to " + std::to_string(max) +
                                                " pixels");
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
    throw Error(ErrorCode::Unsupported, "this scheme loses data; what it made cannot be decrypted");
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
  const auto& traits = scheme_traits(options.id);
  const int block = options.block_size;
  check_geometry(height, width, traits.blocks ? block : 1);
  const auto blocks = [&] {
    return static_cast<std::size_t>(round_up(height, block) / block) *
           (round_up(width, block) / block);
  };

  if (options.id == "le") return make_scheme(draw_le(key, block), height, width);
  if (options.id == "ele") return make_scheme(draw_ele(key, block, blocks()), height, width);
  if (options.id == "etc")
    return make_scheme(draw_etc(key, block, blocks(), options.as_published), height, width);
  if (options.id == "pe")
    return make_scheme(draw_pe(key, picture_bytes(height, width) / 3, options.shuffle_components),
                       height, width);
  if (options.id == "pixel-shuffle")
    return make_scheme(draw_pixel_shuffle(key, block), height, width);
  if (options.id == "bit-flip") return make_scheme(draw_bit_flip(key, block), height, width);
  if (options.id == "ffx") return make_scheme(draw_ffx(key, block), height, width);
  const double strength = strength_of(options);
  if (options.id == "blur") return make_blur(strength, height, width);
  if (options.id == "pixelate")
    return make_pixelate(static_cast<int>(std::lround(strength)), height, width);
  return make_noise(key, strength, height, width);
}

void encrypt_all(const Scheme& scheme, std::span<const std::uint8_t> plain,
                 std::span<std::uint8_t> cipher) {
  const auto from = picture_bytes(scheme.height(), scheme.width());
  const auto to = picture_bytes(scheme.padded_height(), scheme.padded_width());
  if (plain.size() % from != 0 || cipher.size() % to != 0 ||
      plain.size() / from != cipher.size() / to) {
    throw Error(ErrorCode::InvalidArgument, "the pictures have " + std::to_string(plain.size()) +
                                                " and " + std::to_string(cipher.size()) +
                                                " bytes; the scheme takes " + std::to_string(from) +
                                                " and gives " + std::to_string(to) + " for each");
  }
  for (std::size_t i = 0; i < plain.size() / from; ++i)
    scheme.encrypt(plain.subspan(i * from, from), cipher.subspan(i * to, to));
}

}  // namespace veilnet::cipher
