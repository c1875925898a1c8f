#include "attack/brute_force.h"

#include <cmath>
#include <csignal>
#include <numeric>

#include "cipher/pictures.h"
#include "core/signals.h"
#include "support.h"

namespace veilnet::attack {
namespace {

using test::expect_error;

template <class Key>
ExactPair pair_under(const Key& key, int height, int width, std::uint64_t seed) {
  ExactPair pair{{height, width, test::noise_picture(height, width, seed)}, {}};
  const auto scheme = cipher::make_scheme(key, height, width);
  pair.cipher = {scheme->padded_height(), scheme->padded_width(), {}};
  pair.cipher.rgb.resize(3 * static_cast<std::size_t>(pair.cipher.height) *
                         static_cast<std::size_t>(pair.cipher.width));
  scheme->encrypt(pair.plain.rgb, pair.cipher.rgb);
  return pair;
}

std::vector<std::size_t> first_positions(std::size_t count) {
  std::vector<std::size_t> positions(count);
  std::iota(positions.begin(), positions.end(), std::size_t{0});
  return positions;
}

TEST(KeySpaceInYears, CountsAtTheGivenRate) {
  EXPECT_NEAR(log10_years(0, 1), -std::log10(31'557'600.0), 1e-12);
  EXPECT_NEAR(log10_years(64, 1e12), std::log10(std::pow(2, 64) / 1e12 / 31'557'600), 1e-9);
  EXPECT_NEAR(log10_years(32'185.7, 1e12), 32'185.7 * 0.30102999566 - 12 - 7.4991,
              1e-3);  // far beyond a double's range
}

TEST(KeySpaceInYears, RefusesWhatIsNoRateOrSpace) {
  expect_error(ErrorCode::InvalidArgument, {"2^-1", "negative"}, [] { log10_years(-1, 1); });
  expect_error(ErrorCode::InvalidArgument, {"0.0", "positive"}, [] { log10_years(1, 0); });
  expect_error(ErrorCode::InvalidArgument, {"positive"}, [] { log10_years(1, std::nan("")); });
}

TEST(SearchPe, FindsTheKeyAndCountsTheTries) {
  auto key = cipher::draw_pe(test::test_key(), 16, false);
  for (const std::size_t k : {0, 1, 5, 10}) {
    const auto unknown = first_positions(k);
    auto given = key;
    // The last of 2^k to be tried, from a given key that says nothing about the unknown values.
    for (const auto position : unknown)
      key.negate[position] = 1, given.negate[position] = position % 2;
    const ExactPair pair = pair_under(key, 4, 4, 1);
    const auto found = search(given, unknown, {&pair, 1});
    ASSERT_TRUE(found.key);
    EXPECT_EQ(found.key->negate, key.negate);
    EXPECT_EQ(found.tried, std::uint64_t{1} << k);
    EXPECT_GT(found.seconds, 0);
  }
}

TEST(SearchPe, WorksWithShuffledComponentsGiven) {
  const auto key = cipher::draw_pe(test::test_key(3), 16, true);
  const ExactPair pair = pair_under(key, 4, 4, 1);
  const std::vector<std::size_t> unknown{47, 0, 20, 21};
  const auto found = search(key, unknown, {&pair, 1});
  ASSERT_TRUE(found.key);
  EXPECT_EQ(found.key->negate, key.negate);
  EXPECT_EQ(found.key->shuffle, key.shuffle);
}

TEST(SearchPe, SaysWhenNoKeyFits) {
  auto key = cipher::draw_pe(test::test_key(), 16, false);
  const ExactPair pair = pair_under(key, 4, 4, 1);
  key.negate[40] ^= 1;  // given wrongly
  const auto found = search(key, first_positions(6), {&pair, 1});
  EXPECT_FALSE(found.key);
  EXPECT_EQ(found.tried, 64u);
}

TEST(SearchLe, SearchesTheWholeKeySpaceOfBlockSizeOne) {
  const std::vector<std::uint16_t> last{5, 4, 3, 2, 1, 0};
  for (const auto& permutation : {last, cipher::draw_le(test::test_key(), 1).permutation}) {
    const cipher::LeKey key{1, permutation};
    const ExactPair pair = pair_under(key, 8, 8, 1);
    const cipher::LeKey given{1, {3, 5, 0, 1, 4, 2}};  // nothing known
    const auto found = search(given, first_positions(6), {&pair, 1});
    ASSERT_TRUE(found.key);
    EXPECT_EQ(found.key->permutation, key.permutation);
    EXPECT_LE(found.tried, 720u);
    EXPECT_TRUE(permutation != last || found.tried == 720u) << found.tried;
  }
}

TEST(SearchLe, FindsUnknownEntriesAnywhere) {
  const auto key = cipher::draw_le(test::test_key(), 4);
  const std::vector<ExactPair> pairs{pair_under(key, 4, 4, 1), pair_under(key, 16, 16, 2)};
  const std::vector<std::size_t> unknown{95, 3, 50, 49, 7};
  auto given = key;
  std::swap(given.permutation[3], given.permutation[50]);
  std::swap(given.permutation[95], given.permutation[7]);
  const auto found = search(given, unknown, pairs);
  ASSERT_TRUE(found.key);
  EXPECT_EQ(found.key->permutation, key.permutation);
  EXPECT_LE(found.tried, 120u);
}

TEST(SearchLe, KeepsEveryPairExplained) {
  // A flat pair is explained by many keys, so the second one decides.
  const auto key = cipher::draw_le(test::test_key(), 1);
  ExactPair flat = pair_under(key, 1, 1, 1);
  flat.plain.rgb = {0, 0, 0};
  cipher::make_scheme(key, 1, 1)->encrypt(flat.plain.rgb, flat.cipher.rgb);
  const cipher::LeKey given{1, {0, 1, 2, 3, 4, 5}};
  const auto equivalent = search(given, first_positions(6), {&flat, 1});
  ASSERT_TRUE(equivalent.key);
  EXPECT_NE(equivalent.key->permutation, key.permutation);
  const std::vector<ExactPair> pairs{flat, pair_under(key, 8, 8, 1)};
  EXPECT_EQ(search(given, first_positions(6), pairs).key->permutation, key.permutation);
}

TEST(Search, StopsAfterASignal) {
  const auto key = cipher::draw_pe(test::test_key(), 16, false);
  const ExactPair pair = pair_under(key, 4, 4, 1);
  install_interrupt_handler();
  const InterruptGuard guard;
  std::raise(SIGINT);
  expect_error(ErrorCode::Interrupted, {"interrupted after 0 keys"}, [&] {
    search(key, first_positions(10), {&pair, 1});
  });
  install_interrupt_handler();
}

TEST(Search, RefusesWhatCannotBeSearched) {
  const auto pe = cipher::draw_pe(test::test_key(), 16, false);
  const auto le = cipher::draw_le(test::test_key(), 4);
  const ExactPair pair = pair_under(pe, 4, 4, 1);
  const auto refuse = [](std::initializer_list<std::string> parts, auto&& action) {
    expect_error(ErrorCode::InvalidArgument, parts, action);
  };
  refuse({"at least one exact pair"}, [&] { search(pe, first_positions(1), {}); });
  refuse({"41", "0 to 40"}, [&] { search(pe, first_positions(41), {&pair, 1}); });
  refuse({"15", "0 to 14"}, [&] { search(le, first_positions(15), {&pair, 1}); });
  const std::vector<std::size_t> outside{48}, twice{1, 1};
  refuse({"entry 48", "0 to 47"}, [&] { search(pe, outside, {&pair, 1}); });
  refuse({"entry 1", "each once"}, [&] { search(le, twice, {&pair, 1}); });
  auto other_size = pair;
  other_size.plain = {4, 5, test::noise_picture(4, 5, 1)};
  refuse({"48", "60"}, [&] { search(pe, first_positions(1), {&other_size, 1}); });
  other_size.plain = pair.plain;
  other_size.cipher = other_size.plain;
  other_size.cipher.rgb.resize(45);
  refuse({"45 bytes", "48"}, [&] { search(pe, first_positions(1), {&other_size, 1}); });
  auto none = le;
  none.permutation[0] = none.permutation[1];
  refuse({"no permutation"}, [&] { search(none, first_positions(1), {&pair, 1}); });
}

}  // namespace
}  // namespace veilnet::attack
