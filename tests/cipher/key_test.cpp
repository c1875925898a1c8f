#include "cipher/key.h"

#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sodium.h>

#include "pictures.h"

namespace veilnet::cipher {
namespace {

using test::Bytes;
using test::noise_picture;
using test::test_key;

TEST(Keys, AreDistinct) {
  std::set<std::array<std::uint8_t, 32>> keys = {random_key().bytes, random_key().bytes};
  for (std::uint64_t i = 0; i < 100; ++i) {
    keys.insert(key_from_seed(i).bytes);
    keys.insert(derive_key(key_from_seed(0), i).bytes);
  }
  EXPECT_EQ(keys.size(), 202u);
  EXPECT_EQ(derive_key(test_key(), 5).bytes, derive_key(test_key(), 5).bytes);
}

/// What libsodium gives for this key and purpose from the start.
Bytes stream_of(const Key& key, std::uint8_t purpose, std::size_t size) {
  Bytes bytes(size);
  const std::uint8_t nonce[8] = {purpose};
  crypto_stream_chacha20(bytes.data(), bytes.size(), nonce, key.bytes.data());
  return bytes;
}

TEST(KeyStream, IsChaCha20WithThePurposeAsNonce) {
  const auto expected = stream_of(test_key(), 3, 4096);
  KeyStream stream(test_key(), Purpose::Negate);
  for (std::size_t at = 0; at < expected.size(); at += 4) {
    const std::uint32_t word = expected[at] | expected[at + 1] << 8 | expected[at + 2] << 16 |
                               static_cast<std::uint32_t>(expected[at + 3]) << 24;
    ASSERT_EQ(stream.next(), word) << at;
  }
  EXPECT_NE(KeyStream(test_key(), Purpose::Location).next(),
            KeyStream(test_key(), Purpose::Negate).next());
}

TEST(KeyStream, FillsBitsLowestFirst) {
  for (const std::size_t size : {1u, 7u, 8u, 3072u, 8191u, 8192u, 20'001u}) {
    const auto expected = stream_of(test_key(), 3, (size + 7) / 8);
    Bytes bits(size + 1, 9);
    KeyStream(test_key(), Purpose::Negate).fill_bits(std::span(bits).first(size));
    for (std::size_t i = 0; i < size; ++i)
      ASSERT_EQ(bits[i], expected[i / 8] >> i % 8 & 1) << size << " " << i;
    EXPECT_EQ(bits[size], 9);
  }
}

TEST(KeyStream, SuccessiveBitsAndWordsNeverRepeatTheStream) {
  KeyStream stream(test_key(), Purpose::Negate);
  Bytes first(512), second(512);
  stream.fill_bits(first);
  stream.fill_bits(second);
  EXPECT_NE(first, second);
  const auto bytes = stream_of(test_key(), 3, 256);
  EXPECT_EQ(stream.next() & 255, bytes[128]);
}

TEST(KeyStream, BelowStaysBelowAndIsEven) {
  KeyStream stream(test_key(), Purpose::BlockKeys);
  EXPECT_EQ(stream.below(1), 0u);
  std::map<std::uint32_t, int> counts;
  for (int i = 0; i < 60'000; ++i) ++counts[stream.below(6)];
  ASSERT_EQ(counts.size(), 6u);
  EXPECT_LT(counts.rbegin()->first, 6u);
  for (const auto& [value, count] : counts) EXPECT_NEAR(count, 10'000, 500);
}

TEST(KeyStream, BelowHasNoModuloBias) {
  // With plain modulo, the lower third of this range would come up twice as often as each of the
  // others.
  KeyStream stream(test_key(), Purpose::BlockKeys);
  const std::uint32_t bound = 3u << 30;
  int low = 0;
  for (int i = 0; i < 40'000; ++i) {
    const auto value = stream.below(bound);
    ASSERT_LT(value, bound);
    low += value < bound / 3;
  }
  EXPECT_NEAR(low, 40'000 / 3.0, 500);
}

TEST(KeyStream, PermutationsAreEven) {
  KeyStream stream(test_key(), Purpose::BlockKeys);
  std::map<std::vector<std::uint16_t>, int> counts;
  for (int i = 0; i < 24'000; ++i) ++counts[stream.permutation<std::uint16_t>(4)];
  ASSERT_EQ(counts.size(), 24u);
  for (const auto& [permutation, count] : counts) EXPECT_NEAR(count, 1000, 160);
}

TEST(KeyStream, ShuffleDrawsAsBelowDoes) {
  // So long that about a hundred draws are made again.
  constexpr std::size_t kSize = 1 << 20;
  KeyStream fast(test_key(), Purpose::Shuffle), plain(test_key(), Purpose::Shuffle);
  std::vector<std::uint32_t> expected(kSize);
  std::iota(expected.begin(), expected.end(), 0u);
  fast.next();
  plain.next();
  for (std::size_t i = kSize; i > 1; --i)
    std::swap(expected[i - 1], expected[plain.below(static_cast<std::uint32_t>(i))]);
  EXPECT_EQ(fast.permutation<std::uint32_t>(kSize), expected);
  EXPECT_EQ(fast.next(), plain.next());
}

TEST(KeyStream, NormalHasItsMoments) {
  KeyStream stream(test_key(), Purpose::Noise);
  double sum = 0, squares = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double z = stream.normal();
    ASSERT_TRUE(std::isfinite(z));
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / 100'000, 0, 0.02);
  EXPECT_NEAR(squares / 100'000, 1, 0.03);
}

}  // namespace
}  // namespace veilnet::cipher
