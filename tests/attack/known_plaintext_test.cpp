#include "attack/known_plaintext.h"

#include <algorithm>
#include <type_traits>

#include "cipher/explicit_key.h"
#include "cipher/pictures.h"
#include "data/sources.h"
#include "support.h"

namespace veilnet::attack {
namespace {

using test::expect_error;

// Pairs and what is public, nothing of the key.
static_assert(
    std::is_same_v<decltype(recover_from_pairs),
                   RecoveredFromPairs(const cipher::SchemeOptions&, std::span<const ExactPair>)>);

struct KnownScheme {
  cipher::SchemeOptions options;

  std::unique_ptr<cipher::Scheme> with_key(std::uint64_t key, int height = 32,
                                           int width = 32) const {
    return cipher::make_scheme(options, test::test_key(key), height, width);
  }
};

KnownScheme known(const std::string& id, int block_size = 4, bool shuffle_components = false) {
  KnownScheme scheme;
  scheme.options.id = id;
  scheme.options.block_size = block_size;
  scheme.options.variant = shuffle_components;
  return scheme;
}

const std::vector<KnownScheme>& known_schemes() {
  static const std::vector all{
      known("le"),  known("ele"),           known("etc"),      known("pe"),  known("pe", 4, true),
      known("ffx"), known("pixel-shuffle"), known("bit-flip"), known("vit"), known("vit", 4, true)};
  return all;
}

ExactPair pair_of(const cipher::Scheme& scheme, std::vector<std::uint8_t> plain) {
  ExactPair pair{{scheme.height(), scheme.width(), std::move(plain)},
                 {scheme.padded_height(), scheme.padded_width(), {}}};
  pair.cipher.rgb.resize(3 * static_cast<std::size_t>(scheme.padded_height()) *
                         static_cast<std::size_t>(scheme.padded_width()));
  scheme.encrypt(pair.plain.rgb, pair.cipher.rgb);
  return pair;
}

std::vector<ExactPair> noise_pairs(const cipher::Scheme& scheme, std::size_t count,
                                   std::uint64_t seed = 1) {
  std::vector<ExactPair> pairs;
  while (pairs.size() < count)
    pairs.push_back(pair_of(
        scheme, test::noise_picture(scheme.height(), scheme.width(), 1000 * seed + pairs.size())));
  return pairs;
}

/// Drawn pictures of things, with flat areas.
std::vector<ExactPair> drawn_pairs(const cipher::Scheme& scheme, std::size_t first,
                                   std::size_t count) {
  static const auto pictures =
      data::make_synthetic({.seed = 1, .train_size = 260, .test_size = 10}).train;
  std::vector<ExactPair> pairs;
  for (std::size_t i = first; i < first + count; ++i) {
    const auto picture = pictures.image(i);
    pairs.push_back(pair_of(scheme, {picture.begin(), picture.end()}));
  }
  return pairs;
}

bool opens(const RecoveredFromPairs& recovered, const ExactPair& pair) {
  const auto plain = recovered.decrypt(pair.cipher);
  return plain.height == pair.plain.height && plain.width == pair.plain.width &&
         plain.rgb == pair.plain.rgb;
}

/// Expects these pairs to leave nothing open, and unseen pictures to come out exactly.
void expect_broken(const KnownScheme& scheme, std::size_t pairs, int height = 32, int width = 32) {
  SCOPED_TRACE(scheme.options.id + " block size " + std::to_string(scheme.options.block_size) +
               " " + std::to_string(height) + "x" + std::to_string(width));
  const auto holder = scheme.with_key(7, height, width);
  const auto recovered = recover_from_pairs(scheme.options, noise_pairs(*holder, pairs));
  EXPECT_EQ(recovered.unique, 1);
  for (const auto& pair : noise_pairs(*holder, 2, 2)) EXPECT_TRUE(opens(recovered, pair));
}

TEST(KnownPlaintext, OpensUnseenPicturesOfEveryScheme) {
  for (const auto& scheme : known_schemes()) expect_broken(scheme, 12);
}

TEST(KnownPlaintext, TakesOnePairWhereUnitsHaveFewPlaces) {
  for (const auto& scheme : {known("le"), known("etc"), known("pe"), known("pixel-shuffle"),
                             known("bit-flip"), known("ffx")})
    expect_broken(scheme, 1);
}

TEST(KnownPlaintext, OpensPicturesOfOtherSizesAndBlockSizes) {
  for (const auto* id : {"le", "ele", "etc", "pe", "pixel-shuffle", "bit-flip", "ffx", "vit"})
    for (const auto& [height, width] :
         {std::pair{30, 33}, {70, 41}, {5, 3}, {3, 9}, {3, 2}, {1, 1}})
      for (const int block_size : {1, 4, 8})
        expect_broken(
            known(id, block_size),
            id == std::string("ffx") ? 3000 / static_cast<std::size_t>(height * width) + 20 : 20,
            height, width);
  expect_broken(known("pe", 4, true), 8, 30, 33);
}

TEST(KnownPlaintext, OpensDrawnPicturesWhereverThePairsDiffer) {
  for (const auto& scheme : known_schemes()) {
    const auto holder = scheme.with_key(3);
    const auto recovered = recover_from_pairs(scheme.options, drawn_pairs(*holder, 0, 200));
    EXPECT_GT(recovered.unique, 0.99) << scheme.options.id;
    const auto unseen = drawn_pairs(*holder, 200, 50);
    EXPECT_GE(
        std::ranges::count_if(unseen, [&](const auto& pair) { return opens(recovered, pair); }), 48)
        << scheme.options.id;
  }
}

TEST(KnownPlaintext, RecoversWhatTooFewPairsSay) {
  for (const auto& scheme : {known("ele"), known("pe", 4, true)}) {
    SCOPED_TRACE(scheme.options.id);
    const auto holder = scheme.with_key(3);
    const auto given = drawn_pairs(*holder, 0, 1), unseen = drawn_pairs(*holder, 200, 20);
    const auto recovered = recover_from_pairs(scheme.options, given);
    EXPECT_LT(recovered.unique, 0.99);
    EXPECT_GT(recovered.unique, 0.0001);
    EXPECT_TRUE(opens(recovered, given[0]));
    EXPECT_FALSE(
        std::ranges::any_of(unseen, [&](const auto& pair) { return opens(recovered, pair); }));
    EXPECT_GT(recover_from_pairs(scheme.options, drawn_pairs(*holder, 0, 20)).unique,
              recovered.unique);
  }
}

TEST(KnownPlaintext, FlatPicturesLeaveEverythingOpenThatMoves) {
  const std::vector<std::uint8_t> flat(3 * 32 * 32, 0x77);
  for (const auto& scheme : known_schemes()) {
    const auto& id = scheme.options.id;
    const auto holder = scheme.with_key(3);
    const std::vector pairs{pair_of(*holder, flat)};
    const auto recovered = recover_from_pairs(scheme.options, pairs);
    EXPECT_TRUE(opens(recovered, pairs[0])) << id;
    if (id == "ffx") {
      EXPECT_DOUBLE_EQ(recovered.unique, 0.5 + 0.5 / 256);  // the positions, and a value of 256
    } else {
      EXPECT_EQ(recovered.unique,
                id == "bit-flip" || (id == "pe" && !scheme.options.variant) ? 1 : 0)
          << id;
    }
  }
}

TEST(KnownPlaintext, BlocksThatLookAlikeAreToldApartByOneThatDoesNot) {
  // Two blocks that are equal in the first pair: the second tells them apart.
  const auto scheme = known("etc");
  const auto holder = scheme.with_key(3, 4, 8);
  auto alike = test::noise_picture(4, 8, 1);
  for (std::size_t y = 0; y < 4; ++y) std::copy_n(&alike[24 * y], 12, &alike[24 * y + 12]);
  std::vector pairs{pair_of(*holder, alike)};
  EXPECT_EQ(recover_from_pairs(scheme.options, pairs).unique, 0);
  pairs.push_back(pair_of(*holder, test::noise_picture(4, 8, 2)));
  EXPECT_EQ(recover_from_pairs(scheme.options, pairs).unique, 1);
}

TEST(KnownPlaintext, FfxLeavesAloneWhatNoPairShows) {
  auto key = cipher::draw_ffx(test::test_key(), 4);
  const auto scheme = cipher::make_scheme(key, 32, 32);
  auto dark = test::noise_picture(32, 32, 1);
  for (auto& value : dark) value = static_cast<std::uint8_t>(value % 100);
  const auto recovered =
      recover_from_pairs(known("ffx").options, std::vector{pair_of(*scheme, dark)});
  EXPECT_NEAR(recovered.unique, 0.5 + 0.5 * 100 / 256, 1e-12);
  auto encrypted = pair_of(*scheme, test::noise_picture(32, 32, 2));
  const auto plain = recovered.decrypt(encrypted.cipher);
  for (std::size_t i = 0; i < plain.rgb.size(); ++i) {
    const auto selected = key.selected[i / 96 % 4 * 12 + i % 12];
    const bool shown = std::find(key.table.begin(), key.table.begin() + 100,
                                 encrypted.cipher.rgb[i]) != key.table.begin() + 100;
    ASSERT_EQ(plain.rgb[i], !selected || shown ? encrypted.plain.rgb[i] : encrypted.cipher.rgb[i])
        << i;
  }
}

TEST(KnownPlaintext, WhatIsRecoveredOpensNothingUnderAnotherKey) {
  for (const auto& scheme : known_schemes()) {
    const auto recovered = recover_from_pairs(scheme.options, noise_pairs(*scheme.with_key(1), 12));
    EXPECT_FALSE(opens(recovered, noise_pairs(*scheme.with_key(2), 1)[0])) << scheme.options.id;
  }
}

TEST(KnownPlaintext, RefusesWhatHasNothingToRecover) {
  const auto pairs = noise_pairs(*known("le").with_key(1), 2);
  const auto code = ErrorCode::InvalidArgument;
  expect_error(code, {"at least one exact pair"},
               [] { recover_from_pairs(known("le").options, {}); });
  expect_error(code, {"\"blur\"", "no key"},
               [&] { recover_from_pairs(known("blur").options, pairs); });
  expect_error(code, {"no scheme \"rot13\""},
               [&] { recover_from_pairs(known("rot13").options, pairs); });
  expect_error(code, {"block size", "65"},
               [&] { recover_from_pairs(known("le", 65).options, pairs); });
  auto lossy = known("etc");
  lossy.options.variant = true;
  expect_error(ErrorCode::Unsupported, {"etc", "as published"},
               [&] { recover_from_pairs(lossy.options, pairs); });
}

TEST(KnownPlaintext, RefusesWrongSizes) {
  const auto options = known("le").options;
  const auto good = noise_pairs(*known("le").with_key(1, 30, 32), 2);
  const auto refuse = [&](std::initializer_list<std::string> parts, auto&& spoil) {
    auto pairs = good;
    spoil(pairs[1]);
    expect_error(ErrorCode::InvalidArgument, parts, [&] { recover_from_pairs(options, pairs); });
  };
  refuse({"pair 1", "32x32 with 3072 bytes", "30x32"},
         [](ExactPair& pair) { pair.plain = pair.cipher; });
  refuse({"pair 1", "30x32 with 2880 bytes", "32x32"},
         [](ExactPair& pair) { pair.cipher = pair.plain; });
  refuse({"pair 1", "30x32 with 2879 bytes"}, [](ExactPair& pair) { pair.plain.rgb.pop_back(); });
  const auto recovered = recover_from_pairs(options, good);
  expect_error(ErrorCode::InvalidArgument, {"30x32", "32x32"},
               [&] { recovered.decrypt(good[0].plain); });
}

TEST(KnownPlaintext, NoticesPairsThatAreNotTheSchemes) {
  for (const auto& scheme : known_schemes()) {
    const auto refuse = [&](const std::vector<ExactPair>& pairs) {
      expect_error(ErrorCode::BadData, {"\"" + scheme.options.id + "\"", "not those"},
                   [&] { recover_from_pairs(scheme.options, pairs); });
    };
    // Another key from the second pair on; one value changed on the way; another scheme.
    auto pairs = noise_pairs(*scheme.with_key(1), 2);
    pairs[1] = noise_pairs(*scheme.with_key(2), 2)[1];
    refuse(pairs);
    pairs = noise_pairs(*scheme.with_key(1), 2);
    pairs[1].cipher.rgb[500] ^= 1;
    refuse(pairs);
    refuse(noise_pairs(*known(scheme.options.id == "ele" ? "pixel-shuffle" : "ele", 8).with_key(1),
                       2));
  }
}

}  // namespace
}  // namespace veilnet::attack
