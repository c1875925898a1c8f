#include "attack/chosen_plaintext.h"

#include <type_traits>

#include "cipher/explicit_key.h"
#include "cipher/pictures.h"
#include "support.h"

namespace veilnet::attack {
namespace {

using image::Image;
using test::expect_error;

// All that the attack is handed: what is public, and someone who encrypts. No key goes in, and a
// scheme with its key is no oracle.
static_assert(std::is_same_v<decltype(recover),
                             Recovered(const cipher::SchemeOptions&, EncryptionOracle&, int, int)>);
static_assert(!std::is_constructible_v<EncryptionOracle, const cipher::Scheme&>);
static_assert(!std::is_constructible_v<EncryptionOracle, const cipher::Key&>);

cipher::SchemeOptions options_of(const std::string& id, int block_size = 4,
                                 bool shuffle_components = false) {
  cipher::SchemeOptions options;
  options.id = id;
  options.block_size = block_size;
  options.variant = shuffle_components;
  return options;
}

Image noise(int height, int width, std::uint64_t seed) {
  return {height, width, test::noise_picture(height, width, seed)};
}

Image encrypted(const cipher::Scheme& scheme, const Image& plain) {
  Image cipher{scheme.padded_height(), scheme.padded_width(), {}};
  cipher.rgb.resize(3 * static_cast<std::size_t>(cipher.height) *
                    static_cast<std::size_t>(cipher.width));
  scheme.encrypt(plain.rgb, cipher.rgb);
  return cipher;
}

EncryptionOracle oracle_of(const cipher::Scheme& scheme) {
  return EncryptionOracle([&scheme](const Image& plain) { return encrypted(scheme, plain); });
}

/// Breaks the scheme, expects pictures to come out exactly, and returns how many were asked for.
int broken_with(const cipher::SchemeOptions& options, const cipher::Scheme& scheme) {
  auto oracle = oracle_of(scheme);
  const auto recovered = recover(options, oracle, scheme.height(), scheme.width());
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    const auto plain = noise(scheme.height(), scheme.width(), seed);
    const auto opened = recovered.decrypt(encrypted(scheme, plain));
    EXPECT_EQ(opened.height, plain.height);
    EXPECT_EQ(opened.width, plain.width);
    EXPECT_EQ(opened.rgb, plain.rgb) << options.id << " block size " << options.block_size << " "
                                     << scheme.height() << "x" << scheme.width();
  }
  return oracle.queries();
}

/// As above, expecting the same number of pictures for several keys.
void expect_queries(int queries, const cipher::SchemeOptions& options, int height = 32,
                    int width = 32) {
  for (std::uint64_t key = 1; key <= 3; ++key) {
    const auto scheme = cipher::make_scheme(options, test::test_key(key), height, width);
    EXPECT_EQ(broken_with(options, *scheme), queries)
        << options.id << " block size " << options.block_size << " " << height << "x" << width
        << " key " << key;
  }
}

TEST(ChosenPlaintext, BreaksLeWithOnePictureOfTheUsualSize) {
  expect_queries(1, options_of("le"));
  expect_queries(1, options_of("le"), 224, 160);
}

TEST(ChosenPlaintext, SpreadsTheDigitsOfLeOverBlocksAndPictures) {
  expect_queries(1, options_of("le", 1), 1, 1);     // 6 nibbles, one digit
  expect_queries(1, options_of("le", 2), 2, 4);     // 24 nibbles, two digits, two blocks
  expect_queries(2, options_of("le", 2), 2, 2);     // one block
  expect_queries(1, options_of("le", 8), 32, 32);   // 384 nibbles, three digits, 16 blocks
  expect_queries(2, options_of("le", 8), 8, 16);    // two blocks
  expect_queries(3, options_of("le", 16), 16, 16);  // 1536 nibbles, three digits, one block
}

TEST(ChosenPlaintext, BreaksEleWithFourPictures) {
  expect_queries(4, options_of("ele"));
  expect_queries(2, options_of("ele"), 4, 4);
  expect_queries(4, options_of("ele", 8));
  expect_queries(5, options_of("ele"), 80, 70);  // 33,600 nibbles
}

TEST(ChosenPlaintext, BreaksEtcWithTwoPictures) {
  expect_queries(2, options_of("etc"));
  expect_queries(2, options_of("etc", 8));
  expect_queries(1, options_of("etc"), 4, 8);      // 96 values
  expect_queries(3, options_of("etc"), 104, 108);  // 33,696 values
}

TEST(ChosenPlaintext, BreaksWhatStaysInItsPixelWithOnePicture) {
  expect_queries(1, options_of("pe"));
  expect_queries(1, options_of("pe", 4, true));
  expect_queries(1, options_of("pe"), 7, 5);
  expect_queries(1, options_of("pe", 4, true), 7, 5);
  expect_queries(1, options_of("bit-flip"));
  expect_queries(1, options_of("bit-flip", 8), 30, 13);
}

TEST(ChosenPlaintext, BreaksPixelShufflingWithOnePicture) {
  expect_queries(1, options_of("pixel-shuffle"));
  expect_queries(1, options_of("pixel-shuffle", 8));  // 192 values, two digits
  expect_queries(2, options_of("pixel-shuffle", 8), 8, 8);
}

TEST(ChosenPlaintext, BreaksVitWithTwoPictures) {
  expect_queries(2, options_of("vit"));
  expect_queries(2, options_of("vit", 4, true));
  expect_queries(2, options_of("vit", 8), 30, 45);
}

TEST(ChosenPlaintext, BreaksFfxWithTwoPictures) {
  expect_queries(2, options_of("ffx"));
  expect_queries(1, options_of("ffx"), 64, 64);  // 256 blocks
  expect_queries(12, options_of("ffx"), 4, 4);   // one value, then 255 at 24 places
}

TEST(ChosenPlaintext, BreaksPicturesThatHaveToBePadded) {
  for (const auto* id : {"le", "ele", "etc", "pixel-shuffle", "bit-flip", "ffx", "vit"}) {
    for (const auto& [height, width] : {std::pair{30, 33}, {5, 3}, {3, 9}, {3, 2}, {1, 1}}) {
      const auto options = options_of(id);
      const auto scheme = cipher::make_scheme(options, test::test_key(5), height, width);
      broken_with(options, *scheme);
    }
  }
}

TEST(ChosenPlaintext, NeedsNoKeyThatComesFromTheKeyedStream) {
  // LE whose permutation reverses the nibbles; ELE that only moves blocks; FFX that changes
  // nothing, or a single pair.
  cipher::LeKey le{4, {}};
  for (std::uint16_t i = 96; i > 0; --i) le.permutation.push_back(i - 1);
  EXPECT_EQ(broken_with(options_of("le"), *cipher::make_scheme(le, 32, 32)), 1);

  cipher::EleKey ele{4, {}, {3, 0, 1, 2}};
  for (int b = 0; b < 4; ++b)
    for (std::uint16_t i = 0; i < 96; ++i) ele.permutations.push_back(i);
  EXPECT_EQ(broken_with(options_of("ele"), *cipher::make_scheme(ele, 8, 8)), 3);

  cipher::FfxKey ffx = cipher::draw_ffx(test::test_key(), 4);
  for (unsigned v = 0; v < 256; ++v) ffx.table[v] = static_cast<std::uint8_t>(v);
  EXPECT_EQ(broken_with(options_of("ffx"), *cipher::make_scheme(ffx, 32, 32)),
            4);  // 64 values each, and nothing shows
  std::swap(ffx.table[100], ffx.table[101]);
  EXPECT_EQ(broken_with(options_of("ffx"), *cipher::make_scheme(ffx, 32, 32)),
            3);  // shows in the second, the third does the rest
}

TEST(ChosenPlaintext, WhatIsRecoveredOpensNothingUnderAnotherKey) {
  for (const auto& id : {"le", "ele", "etc", "pe", "pixel-shuffle", "bit-flip", "ffx"}) {
    const auto options = options_of(id);
    const auto scheme = cipher::make_scheme(options, test::test_key(1), 32, 32);
    const auto other = cipher::make_scheme(options, test::test_key(2), 32, 32);
    auto oracle = oracle_of(*scheme);
    const auto plain = noise(32, 32, 1);
    EXPECT_NE(recover(options, oracle, 32, 32).decrypt(encrypted(*other, plain)).rgb, plain.rgb)
        << id;
  }
}

TEST(ChosenPlaintext, RefusesWhatHasNothingToRecover) {
  EncryptionOracle never([](const Image&) -> Image {
    ADD_FAILURE() << "asked";
    return {};
  });
  expect_error(ErrorCode::InvalidArgument, {"\"blur\"", "no key"},
               [&] { recover(options_of("blur"), never, 32, 32); });
  expect_error(ErrorCode::InvalidArgument, {"no scheme \"rot13\""},
               [&] { recover(options_of("rot13"), never, 32, 32); });
  auto lossy = options_of("etc");
  lossy.variant = true;
  expect_error(ErrorCode::Unsupported, {"etc", "as published", "loses data"},
               [&] { recover(lossy, never, 32, 32); });
  expect_error(ErrorCode::InvalidArgument, {"height", "0"},
               [&] { recover(options_of("le"), never, 0, 32); });
  expect_error(ErrorCode::InvalidArgument, {"block size", "65"},
               [&] { recover(options_of("le", 65), never, 32, 32); });
  expect_error(ErrorCode::InvalidArgument, {"32768x32768", "2^32"},
               [&] { recover(options_of("ele"), never, 32768, 32768); });
}

TEST(ChosenPlaintext, NoticesAnswersThatAreNotTheSchemes) {
  const auto refuse = [](const std::string& id, EncryptionOracle::Encrypt encrypt) {
    EncryptionOracle oracle(std::move(encrypt));
    expect_error(ErrorCode::BadData, {"\"" + id + "\"", "not those"},
                 [&] { recover(options_of(id), oracle, 32, 32); });
  };
  const auto zero = [](const Image& plain) {
    return Image{plain.height, plain.width, std::vector<std::uint8_t>(plain.rgb.size())};
  };
  for (const auto* id : {"le", "ele", "etc", "pixel-shuffle", "ffx"}) refuse(id, zero);
  for (const auto* id : {"le", "ele", "pe", "ffx"})
    refuse(id, [](const Image&) { return noise(31, 32, 1); });
  // A key of its own for each picture: nothing to recover.
  refuse("ele", [key = std::uint64_t{0}](const Image& plain) mutable {
    return encrypted(*cipher::make_scheme(options_of("ele"), test::test_key(++key), 32, 32), plain);
  });
  refuse("pe", [](const Image& plain) { return noise(plain.height, plain.width, 1); });
  // A second table at the first values of each row of a block.
  refuse("ffx", [](Image picture) {
    for (std::size_t i = 0; i < picture.rgb.size(); ++i)
      picture.rgb[i] ^= i % 12 == 0 && picture.rgb[i] < 64 ? 2 : 1;
    return picture;
  });
}

TEST(ChosenPlaintext, OpensPicturesOfItsSizeOnly) {
  for (const auto* id : {"le", "ffx"}) {
    const auto scheme = cipher::make_scheme(options_of(id), test::test_key(), 30, 32);
    auto oracle = oracle_of(*scheme);
    const auto recovered = recover(options_of(id), oracle, 30, 32);
    expect_error(ErrorCode::InvalidArgument, {"30x32", "32x32"},
                 [&] { recovered.decrypt(noise(30, 32, 1)); });
  }
}

}  // namespace
}  // namespace veilnet::attack
