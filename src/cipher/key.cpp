#include "cipher/key.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <numbers>
#include <sodium.h>

#include "core/error.h"

namespace veilnet::cipher {

namespace {

void start_sodium() {
  static const bool started = sodium_init() >= 0;
  if (!started) throw Error(ErrorCode::Unsupported, "libsodium cannot start on this machine");
}

/// Little-endian, so that a key means the same on every machine.
std::array<std::uint8_t, 8> to_bytes(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes;
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(value);
    value >>= 8;
  }
  return bytes;
}

/// Eight bits, lowest first, as eight bytes.
constexpr auto kBits = [] {
  std::array<std::array<std::uint8_t, 8>, 256> table{};
  for (unsigned value = 0; value < 256; ++value)
    for (unsigned bit = 0; bit < 8; ++bit) table[value][bit] = value >> bit & 1;
  return table;
}();

}  // namespace

Key random_key() {
  start_sodium();
  Key key;
  randombytes_buf(key.bytes.data(), key.bytes.size());
  return key;
}

Key derive_key(const Key& master, std::uint64_t index) {
  static_assert(crypto_kdf_KEYBYTES == sizeof master.bytes);
  Key key;
  crypto_kdf_derive_from_key(key.bytes.data(), key.bytes.size(), index, "veilpict",
                             master.bytes.data());
  return key;
}

Key key_from_seed(std::uint64_t seed) {
  Key domain;
  constexpr std::string_view kText = "veilnet experiment seed";
  std::ranges::copy(kText, domain.bytes.begin());
  return derive_key(domain, seed);
}

KeyStream::KeyStream(const Key& key, Purpose purpose)
    : key_(key), nonce_(to_bytes(static_cast<std::uint64_t>(purpose))) {
  start_sodium();
}

void KeyStream::generate(std::span<std::uint8_t> bytes) {
  static_assert(crypto_stream_chacha20_NONCEBYTES == sizeof nonce_ &&
                crypto_stream_chacha20_KEYBYTES == sizeof key_.bytes);
  assert(bytes.size() % 64 == 0);
  std::ranges::fill(bytes, 0);
  crypto_stream_chacha20_xor_ic(bytes.data(), bytes.data(), bytes.size(), nonce_.data(), block_,
                                key_.bytes.data());
  block_ += bytes.size() / 64;
}

void KeyStream::refill() {
  generate(buffer_);
  used_ = 0;
}

std::uint32_t KeyStream::next() {
  if (used_ == buffer_.size()) refill();
  const auto value = word(used_);
  used_ += 4;
  return value;
}

std::uint64_t KeyStream::redraw(std::uint64_t product, std::uint32_t bound) {
  const std::uint32_t threshold = -bound % bound;
  while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{next()} * bound;
  return product;
}

std::uint32_t KeyStream::below(std::uint32_t bound) {
  assert(bound > 0);
  // Lemire 2019: the high half of a 64-bit product, redrawn in the few cases that would favour some
  // values.
  auto product = std::uint64_t{next()} * bound;
  if (static_cast<std::uint32_t>(product) < bound) product = redraw(product, bound);
  return static_cast<std::uint32_t>(product >> 32);
}

double KeyStream::normal() {
  const double first = (next() + 0.5) * 0x1.0p-32, second = next() * 0x1.0p-32;  // first is never 0
  return std::sqrt(-2.0 * std::log(first)) * std::cos(2.0 * std::numbers::pi * second);
}

void KeyStream::fill_bits(std::span<std::uint8_t> bits) {
  while (!bits.empty()) {
    const auto wanted = std::min((bits.size() + 7) / 8, buffer_.size());
    generate(std::span(buffer_).first((wanted + 63) / 64 * 64));
    for (std::size_t i = 0; i < wanted; ++i) {
      const auto count = std::min<std::size_t>(8, bits.size());
      // A copy of fixed size is one instruction, and all but the last are.
      std::memcpy(bits.data(), kBits[buffer_[i]].data(), count == 8 ? 8 : count);
      bits = bits.subspan(count);
    }
  }
  used_ = buffer_.size();
}

}  // namespace veilnet::cipher
