// Keys, and the keyed stream that permutations and masks are drawn from.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace veilnet::cipher {

/// 256 bits. What a scheme does with them depends on its options, so a key file holds those as well
/// (cipher/key_file.h).
struct Key {
  std::array<std::uint8_t, 32> bytes{};
};

/// From the operating system, through libsodium. @throws Error{Unsupported} if libsodium cannot
/// start.
Key random_key();

/// Independent keys from one, for instance one for each picture (libsodium's crypto_kdf, BLAKE2b).
Key derive_key(const Key& master, std::uint64_t index);

/// The same key for the same seed, so that experiments can be repeated. Whoever guesses the seed
/// has the key: never for pictures that need protection.
Key key_from_seed(std::uint64_t seed);

/// What a keyed stream is for. Streams of one key and different purposes are independent. The
/// numbers are part of what a key means and never change.
enum class Purpose : std::uint64_t {
  BlockKeys = 1,  ///< what happens inside blocks
  Location = 2,   ///< how blocks move
  Negate = 3,
  Shuffle = 4,
  Noise = 5,
  Mixing = 6,
  Response = 7,
};

/// ChaCha20 (libsodium) as a source of unbiased draws. The same on every machine, except normal(),
/// which goes through the mathematics library.
class KeyStream {
 public:
  /// @throws Error{Unsupported} if libsodium cannot start.
  KeyStream(const Key& key, Purpose purpose);

  std::uint32_t next();
  /// Uniform in [0, bound), without modulo bias. bound must be positive.
  std::uint32_t below(std::uint32_t bound);
  /// Standard normal (Box-Muller).
  double normal();
  /// Independent bits, each as a byte 0 or 1. Starts at the stream's next 64-byte block and ends at
  /// the end of one.
  void fill_bits(std::span<std::uint8_t> bits);

  /// Fisher-Yates, drawing as below() does.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1;) {
      if (used_ == buffer_.size()) refill();
      // In a local variable: through the member each draw would wait for the one before it.
      auto used = used_;
      for (; i > 1 && used < buffer_.size(); --i) {
        const auto bound = static_cast<std::uint32_t>(i);
        auto product = std::uint64_t{word(used)} * bound;
        used += 4;
        if (static_cast<std::uint32_t>(product) < bound) [[unlikely]] {
          used_ = used;
          product = redraw(product, bound);
          used = used_;
        }
        std::swap(values[i - 1], values[product >> 32]);
      }
      used_ = used;
    }
  }
  /// A uniform permutation of 0 .. size-1.
  template <class T>
  std::vector<T> permutation(std::size_t size) {
    std::vector<T> values(size);
    std::iota(values.begin(), values.end(), T{0});
    shuffle(std::span(values));
    return values;
  }

 private:
  /// Of the buffer, little-endian.
  std::uint32_t word(std::size_t at) const {
    std::uint32_t value;
    std::memcpy(&value, &buffer_[at], sizeof value);
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap32(value);
    return value;
  }
  /// What follows a product whose low half is below the bound: itself, or a later draw's.
  std::uint64_t redraw(std::uint64_t product, std::uint32_t bound);
  void refill();
  /// The next whole blocks of 64 bytes.
  void generate(std::span<std::uint8_t> bytes);

  Key key_;
  std::array<std::uint8_t, 8> nonce_{};
  std::uint64_t block_ = 0;
  std::array<std::uint8_t, 1024> buffer_;
  std::size_t used_ = sizeof buffer_;
};

}  // namespace veilnet::cipher
