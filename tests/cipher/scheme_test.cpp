#include "cipher/scheme.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "cipher/explicit_key.h"
#include "core/safetensors.h"
#include "pictures.h"
#include "support.h"

namespace veilnet::cipher {
namespace {

using test::Bytes;
using test::decrypt;
using test::encrypt;
using test::expect_error;
using test::noise_picture;
using test::test_key;
using test::vector_file;

Bytes of(const SchemeOptions& options, const Bytes& plain, int height, int width,
         std::uint64_t seed = 1) {
  return encrypt(*make_scheme(options, test_key(seed), height, width), plain);
}

// ---- known answers ----

Bytes bytes_of(const Safetensors& file, const std::string& name) {
  const auto view = file.at(name).bytes;
  return {view.begin(), view.end()};
}

template <class T>
std::vector<T> ints_of(const Safetensors& file, const std::string& name) {
  const auto view = file.at(name).bytes;
  std::vector<T> values;
  for (std::size_t i = 0; i < view.size(); i += 4)
    values.push_back(static_cast<T>(view[i] | view[i + 1] << 8));
  return values;
}

/// Encrypts the file's pictures under this key, by the fast code and the plain one, and decrypts
/// them again.
template <class AnyKey>
void expect_vector(const Safetensors& file, const AnyKey& key, const std::string& expected_name) {
  const auto plain = bytes_of(file, "plain_nhwc"), expected = bytes_of(file, expected_name);
  const auto scheme = make_scheme(key, 32, 32);
  Bytes fast(expected.size()), reference(expected.size()), back(plain.size());
  encrypt_all(*scheme, plain, fast);
  EXPECT_EQ(fast, expected);
  for (std::size_t at = 0; at < plain.size(); at += 3072) {
    ref_encrypt(key, 32, 32, std::span(plain).subspan(at, 3072),
                std::span(reference).subspan(at, 3072));
    scheme->decrypt(std::span(expected).subspan(at, 3072), std::span(back).subspan(at, 3072));
  }
  EXPECT_EQ(reference, expected);
  EXPECT_EQ(back, plain);
}

TEST(CipherVectors, Le) {
  const auto path = vector_file("le.safetensors");
  VEILNET_NEED_VECTOR(path);
  const auto file = Safetensors::load(path);
  expect_vector(file, LeKey{4, ints_of<std::uint16_t>(file, "key")}, "encrypted_nhwc");
}

TEST(CipherVectors, Ele) {
  const auto path = vector_file("ele.safetensors");
  VEILNET_NEED_VECTOR(path);
  const auto file = Safetensors::load(path);
  EleKey key{4, ints_of<std::uint16_t>(file, "block_keys"),
             ints_of<std::uint32_t>(file, "location")};
  expect_vector(file, key, "encrypted_nhwc");
  std::iota(key.location.begin(), key.location.end(), 0u);
  expect_vector(file, key, "scrambled_nhwc");
}

TEST(CipherVectors, Pe) {
  const auto path = vector_file("pe.safetensors");
  VEILNET_NEED_VECTOR(path);
  const auto file = Safetensors::load(path);
  expect_vector(file, PeKey{bytes_of(file, "negate_key"), bytes_of(file, "shuffle_key")},
                "encrypted_nhwc");
  expect_vector(file, PeKey{bytes_of(file, "negate_key"), {}}, "negated_nhwc");
}

// ---- batches ----

TEST(Schemes, PicturesInABatchAreIndependent) {
  const auto scheme = make_scheme({.id = "ele"}, test_key(), 9, 10);
  const auto first = noise_picture(9, 10, 1), second = noise_picture(9, 10, 2);
  Bytes both = first, out(2 * 12 * 12 * 3);
  both.insert(both.end(), second.begin(), second.end());
  encrypt_all(*scheme, both, out);
  auto expected = encrypt(*scheme, first);
  const auto rest = encrypt(*scheme, second);
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(out, expected);
  expect_error(ErrorCode::InvalidArgument, {"541", "270"}, [&] {
    both.push_back(0);
    encrypt_all(*scheme, both, out);
  });
}

// ---- properties ----

TEST(Schemes, PaddingRepeatsTheLastRowAndColumn) {
  const auto plain = noise_picture(5, 6, 4);
  Bytes padded;
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x)
      for (int c = 0; c < 3; ++c)
        padded.push_back(
            plain[static_cast<std::size_t>((std::min(y, 4) * 6 + std::min(x, 5)) * 3 + c)]);
  for (const auto* id : {"le", "ele", "etc", "pixel-shuffle", "bit-flip", "ffx"})
    EXPECT_EQ(of({.id = id}, plain, 5, 6), of({.id = id}, padded, 8, 8)) << id;
  EXPECT_EQ(make_scheme({.id = "pe"}, test_key(), 5, 6)->padded_height(), 5);
}

TEST(Schemes, EqualBlocksStayEqualUnderLeOnly) {
  Bytes plain(32 * 32 * 3);
  const auto block = noise_picture(4, 4, 5);
  for (std::size_t i = 0; i < plain.size(); ++i) plain[i] = block[i / 96 % 4 * 12 + i % 12];
  const auto distinct_blocks = [](const Bytes& picture) {
    std::set<std::string> blocks;
    for (std::size_t b = 0; b < 64; ++b) {
      std::string one;
      for (std::size_t row = 0; row < 4; ++row) {
        const auto at =
            picture.begin() + static_cast<std::ptrdiff_t>((b / 8 * 4 + row) * 96 + b % 8 * 12);
        one.insert(one.end(), at, at + 12);
      }
      blocks.insert(one);
    }
    return blocks.size();
  };
  ASSERT_EQ(distinct_blocks(plain), 1u);
  EXPECT_EQ(distinct_blocks(of({.id = "le"}, plain, 32, 32)), 1u);
  EXPECT_EQ(distinct_blocks(of({.id = "ele"}, plain, 32, 32)), 64u);
}

TEST(Schemes, LeReversesFortySevenNibblesAndKeepsTheirClasses) {
  const auto key = draw_le(test_key(), 4);
  EXPECT_EQ(std::ranges::count_if(key.permutation, [](int k) { return k > 48; }), 47);
  const auto plain = noise_picture(4, 4, 6);
  const auto classes = [](const Bytes& values) {
    std::multiset<int> all;
    for (const int v : values) {
      all.insert(std::min(v & 15, 15 - (v & 15)));
      all.insert(std::min(v >> 4, 15 - (v >> 4)));
    }
    return all;
  };
  EXPECT_EQ(classes(of({.id = "le"}, plain, 4, 4)), classes(plain));
}

TEST(Schemes, PublishedEtcLosesData) {
  const auto scheme = make_scheme({.id = "etc", .variant = true}, test_key(), 32, 32);
  EXPECT_FALSE(scheme->invertible());
  Bytes back(3072);
  const auto encrypted = encrypt(*scheme, noise_picture(32, 32, 8));
  expect_error(ErrorCode::Unsupported, {"loses data"}, [&] { scheme->decrypt(encrypted, back); });
  // Two pictures that differ in one colour become one.
  auto key = draw_etc(test_key(), 4, 1, true);
  key.colour = {1};  // red is overwritten by green
  Bytes first(48, 100), second = first;
  for (std::size_t i = 0; i < 48; i += 3) second[i] = 200;
  EXPECT_EQ(encrypt(*make_scheme(key, 4, 4), first), encrypt(*make_scheme(key, 4, 4), second));
  key.as_published = false;
  EXPECT_NE(encrypt(*make_scheme(key, 4, 4), first), encrypt(*make_scheme(key, 4, 4), second));
}

TEST(Schemes, EtcTurnsAnticlockwise) {
  EtcKey key{2, {0}, {0}, {2}, {0}, {0}};
  const Bytes plain = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4};
  EXPECT_EQ(encrypt(*make_scheme(key, 2, 2), plain), (Bytes{2, 2, 2, 4, 4, 4, 1, 1, 1, 3, 3, 3}));
  key.rotation = {3};
  key.flip = {0};
  EXPECT_EQ(encrypt(*make_scheme(key, 2, 2), plain), (Bytes{3, 3, 3, 4, 4, 4, 1, 1, 1, 2, 2, 2}));
  key.flip = {1};
  EXPECT_EQ(encrypt(*make_scheme(key, 2, 2), plain), (Bytes{2, 2, 2, 1, 1, 1, 4, 4, 4, 3, 3, 3}));
  key.flip = {2};
  key.negative = {1};
  EXPECT_EQ(encrypt(*make_scheme(key, 2, 2), plain)[0], 254);
}

TEST(Schemes, DrawnEtcKeysReachEveryOrientationEvenly) {
  const auto key = draw_etc(test_key(), 4, 24'000, false);
  std::map<std::pair<std::uint8_t, std::uint8_t>, int> orientations;
  Bytes numbered(48);
  std::iota(numbered.begin(), numbered.end(), std::uint8_t{0});
  int negative = 0;
  for (std::size_t b = 0; b < 24'000; ++b) {
    negative += key.negative[b];
    ++orientations[{key.rotation[b], key.flip[b]}];
  }
  std::set<std::string> distinct;
  for (const auto& [codes, count] : orientations) {
    EXPECT_NEAR(count, 3000, 300);
    const EtcKey one{4, {codes.first}, {0}, {codes.second}, {0}, {0}};
    const auto turned = encrypt(*make_scheme(one, 4, 4), numbered);
    distinct.emplace(turned.begin(), turned.end());
  }
  EXPECT_EQ(distinct.size(), 8u);
  EXPECT_NEAR(negative, 12'000, 500);
  const auto published = draw_etc(test_key(), 4, 64, true);
  EXPECT_EQ(std::ranges::count(published.negative, 1), 32);
}

TEST(Schemes, FlippingCommutesWithPe) {
  // Flip after encryption = encryption of the flipped picture under the flipped key, so PE is
  // augmented after encryption.
  const auto flip = [](const Bytes& row_major, std::size_t columns, std::size_t components) {
    Bytes out(row_major.size());
    for (std::size_t i = 0; i < out.size() / components; ++i)
      for (std::size_t c = 0; c < components; ++c)
        out[i * components + c] =
            row_major[(i / columns * columns + columns - 1 - i % columns) * components + c];
    return out;
  };
  const auto plain = noise_picture(6, 10, 9);
  const auto key = draw_pe(test_key(), 60, true);
  const PeKey flipped{flip(key.negate, 10, 3), flip(key.shuffle, 10, 1)};
  EXPECT_EQ(flip(encrypt(*make_scheme(key, 6, 10), plain), 10, 3),
            encrypt(*make_scheme(flipped, 6, 10), flip(plain, 10, 3)));
  // No such key exists for LE: what lies in a block is not moved as pixels.
  const auto le = of({.id = "le"}, noise_picture(4, 4, 9), 4, 4);
  EXPECT_NE(flip(le, 4, 3), of({.id = "le"}, flip(noise_picture(4, 4, 9), 4, 3), 4, 4));
}

TEST(Schemes, MinimumOfValueAndNegativeSurvivesPe) {
  // What the FR-Attack reads off without any key.
  const auto plain = noise_picture(8, 8, 10), encrypted = of({.id = "pe"}, plain, 8, 8);
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_EQ(std::min<int>(plain[i], 255 - plain[i]),
              std::min<int>(encrypted[i], 255 - encrypted[i]));
}

TEST(Schemes, BitFlipAndFfxChangeHalfOfTheValues) {
  const auto plain = noise_picture(32, 32, 11);
  const auto flipped = of({.id = "bit-flip"}, plain, 32, 32),
             ffx = of({.id = "ffx"}, plain, 32, 32);
  std::map<int, std::set<int>> images;
  int unflipped = 0, same = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    unflipped += flipped[i] == plain[i];
    if (flipped[i] != plain[i]) EXPECT_EQ(flipped[i], 255 - plain[i]);
    same += ffx[i] == plain[i];
    if (ffx[i] != plain[i]) images[plain[i]].insert(ffx[i]);
  }
  EXPECT_EQ(unflipped, 1536);
  EXPECT_NEAR(same, 1536, 60);  // a permutation has a fixed point or two
  for (const auto& [value, seen] : images) EXPECT_EQ(seen.size(), 1u) << value;
}

TEST(Schemes, VitIsUndoneByAPatchEmbeddingUnderItsKey) {
  // A linear embedding of patches whose weights are permuted (and negated) like the values of a
  // block, its positions like the blocks, makes of the encrypted picture the tokens of the plain
  // one. The key is read off two chosen pictures.
  constexpr int kSide = 12, kAcross = 3;
  constexpr std::size_t kBlocks = 9, kValues = 48;
  const auto patch = [](const Bytes& picture, std::size_t block) {
    std::vector<int> values;
    for (std::size_t j = 0; j < kValues; ++j)
      values.push_back(
          picture[((block / kAcross * 4 + j / 12) * kSide + block % kAcross * 4) * 3 + j % 12]);
    return values;
  };
  const auto picture_of = [&](auto value) {
    Bytes picture;
    for (std::size_t y = 0; y < kSide; ++y)
      for (std::size_t x = 0; x < 3 * kSide; ++x)
        picture.push_back(
            static_cast<std::uint8_t>(value(y / 4 * kAcross + x / 12, y % 4 * 12 + x % 12)));
    return picture;
  };
  for (const bool negative_positive : {false, true}) {
    const auto scheme =
        make_scheme({.id = "vit", .variant = negative_positive}, test_key(3), kSide, kSide);
    const auto places =
        patch(encrypt(*scheme, picture_of([](std::size_t, std::size_t j) { return j; })), 0);
    const auto moved =
        encrypt(*scheme, picture_of([](std::size_t block, std::size_t) { return block; }));
    EXPECT_EQ(std::ranges::any_of(places, [](int v) { return v > 127; }), negative_positive);

    std::vector<int> weights;
    Random random(4);
    for (std::size_t j = 0; j < kValues; ++j)
      weights.push_back(static_cast<int>(random.below(200)) - 100);
    std::vector<int> permuted;
    int bias = 0;
    for (const int place : places) {
      const int weight = weights[static_cast<std::size_t>(std::min(place, 255 - place))];
      permuted.push_back(place > 127 ? -weight : weight);
      if (place > 127) bias += 255 * weight;
    }
    const auto plain = noise_picture(kSide, kSide, 5), cipher = encrypt(*scheme, plain);
    const auto token = [&](const std::vector<int>& by, const Bytes& picture, std::size_t block) {
      const auto values = patch(picture, block);
      return std::inner_product(values.begin(), values.end(), by.begin(), 0);
    };
    std::set<int> seen;
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const auto value = patch(moved, i).front();
      const auto from = static_cast<std::size_t>(std::min(value, 255 - value));
      seen.insert(static_cast<int>(from));
      EXPECT_EQ(token(permuted, cipher, i) + bias, token(weights, plain, from));
    }
    EXPECT_EQ(seen.size(), kBlocks);
    EXPECT_NE(token(weights, cipher, 0), token(weights, plain, 0));
  }
}

TEST(Schemes, KeySpaces) {
  const auto bits = [](const SchemeOptions& options) {
    return make_scheme(options, test_key(), 32, 32)->key_space_bits();
  };
  const double block_places = 295.9951;             // log2(64!)
  EXPECT_NEAR(bits({.id = "le"}), 498.277, 0.001);  // 96!, not 96! * 2^96
  EXPECT_NEAR(bits({.id = "ele"}), 64 * 498.27716 + block_places, 0.001);
  EXPECT_NEAR(bits({.id = "etc"}), 717.433, 0.001);
  EXPECT_NEAR(bits({.id = "etc", .variant = true}), 717.433 - 64 + 60.669,
              0.001);  // 32 of 64 negated
  EXPECT_EQ(bits({.id = "pe"}), 3072);
  EXPECT_NEAR(bits({.id = "pe", .variant = true}), 3072 + 2647, 0.1);
  EXPECT_NEAR(bits({.id = "pixel-shuffle"}), 202.9496, 0.001);  // 48!
  EXPECT_NEAR(bits({.id = "bit-flip"}), 44.87, 0.01);           // 48 over 24
  EXPECT_NEAR(bits({.id = "ffx"}), 44.87 + 1683.996, 0.01);     // and 256!
  EXPECT_NEAR(bits({.id = "vit"}), 202.9496 + block_places, 0.001);
  EXPECT_NEAR(bits({.id = "vit", .variant = true}), 48 + 202.9496 + block_places, 0.001);
  for (const auto* id : {"blur", "pixelate", "noise"}) EXPECT_EQ(bits({.id = id}), 0) << id;
}

// ---- baselines ----

TEST(Baselines, HaveNoInverse) {
  for (const auto* id : {"blur", "pixelate", "noise"}) {
    const auto scheme = make_scheme({.id = id}, test_key(), 6, 7);
    EXPECT_FALSE(scheme->invertible());
    Bytes plain(126), encrypted(126);
    expect_error(ErrorCode::Unsupported, {"cannot be decrypted"},
                 [&] { scheme->decrypt(encrypted, plain); });
  }
}

TEST(Baselines, BlurKeepsFlatPicturesAndSpreadsAPoint) {
  EXPECT_EQ(of({.id = "blur"}, Bytes(9 * 5 * 3, 77), 9, 5), Bytes(9 * 5 * 3, 77));
  Bytes point(21 * 21 * 3);
  const std::size_t centre = (10 * 21 + 10) * 3;
  point[centre] = 255;  // red
  const auto out = of({.id = "blur", .strength = 1}, point, 21, 21);
  EXPECT_NEAR(out[centre], 255 * 0.1592, 1);      // 1 / (2 pi) at sigma 1
  EXPECT_NEAR(out[centre + 3], 255 * 0.0965, 1);  // exp(-1/2) of it, one pixel to the right
  EXPECT_EQ(out[centre + 3], out[centre + 63]);   // and down
  EXPECT_EQ(out[centre + 1], 0);                  // green is another picture
  EXPECT_GT(of({.id = "blur", .strength = 0.5}, point, 21, 21)[centre], out[centre]);
}

TEST(Baselines, PixelateTakesTheMeanOfEachCell) {
  const auto plain = noise_picture(5, 6, 12),
             out = of({.id = "pixelate", .strength = 4}, plain, 5, 6);
  const auto at = [](int y, int x, int c) { return static_cast<std::size_t>((y * 6 + x) * 3 + c); };
  double first = 0, corner = 0;
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 4; ++x) first += plain[at(y, x, 1)] / 16.0;
  for (int x = 4; x < 6; ++x) corner += plain[at(4, x, 2)] / 2.0;
  EXPECT_NEAR(out[at(0, 0, 1)], first, 0.5);
  EXPECT_EQ(out[at(3, 3, 1)], out[at(0, 0, 1)]);
  EXPECT_NEAR(out[at(4, 5, 2)], corner, 0.5);
  EXPECT_EQ(of({.id = "pixelate", .strength = 1}, plain, 5, 6), plain);
}

TEST(Baselines, NoiseHasItsDeviation) {
  const Bytes grey(100 * 100 * 3, 128);
  const auto out = of({.id = "noise", .strength = 10}, grey, 100, 100);
  double sum = 0, squares = 0;
  for (const int v : out) {
    sum += v - 128;
    squares += (v - 128) * (v - 128);
  }
  EXPECT_NEAR(sum / 30'000, 0, 0.3);
  EXPECT_NEAR(std::sqrt(squares / 30'000), 10, 0.3);
  EXPECT_NE(of({.id = "noise", .strength = 10}, grey, 100, 100, 2), out);
}

// ---- what is refused ----

TEST(Refused, Options) {
  const auto refuse = [](const SchemeOptions& options, int height, int width,
                         std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::InvalidArgument, parts,
                 [&] { make_scheme(options, test_key(), height, width); });
  };
  refuse(
      {.id = "rot13"}, 4, 4,
      {"\"rot13\"", "le, ele, etc, pe, pixel-shuffle, bit-flip, ffx, vit, blur, pixelate, noise"});
  refuse({.id = "le", .block_size = 0}, 4, 4, {"block size", "0", "1 to 64"});
  refuse({.id = "ele", .block_size = 65}, 4, 4, {"block size", "65", "1 to 64"});
  refuse({.id = "pe"}, 0, 4, {"height", "0", "1 to 32768"});
  refuse({.id = "le"}, 4, 40'000, {"width", "40000"});
  refuse({.id = "blur", .strength = -1}, 4, 4, {"strength", "blur", "-1", "0.1 to 100"});
  refuse({.id = "noise", .strength = 1e9}, 4, 4, {"noise", "1000"});
  refuse({.id = "pixelate", .strength = std::nan("")}, 4, 4, {"pixelate"});
  EXPECT_NO_THROW(make_scheme({.id = "pe", .block_size = 0, .strength = -1}, test_key(), 4,
                              4));  // pe reads neither
}

TEST(Refused, PicturesOfAnotherSize) {
  const auto scheme = make_scheme({.id = "le"}, test_key(), 5, 5);
  Bytes plain(75), encrypted(192);
  EXPECT_NO_THROW(scheme->encrypt(plain, encrypted));
  expect_error(ErrorCode::InvalidArgument, {"plain", "76", "5x5"},
               [&] { scheme->encrypt(Bytes(76), encrypted); });
  expect_error(ErrorCode::InvalidArgument, {"encrypted", "75", "8x8"},
               [&] { scheme->encrypt(plain, plain); });
  expect_error(ErrorCode::InvalidArgument, {"encrypted", "75", "8x8"},
               [&] { scheme->decrypt(plain, plain); });
  expect_error(ErrorCode::InvalidArgument, {"plain", "192", "5x5"},
               [&] { scheme->decrypt(encrypted, encrypted); });
}

TEST(Refused, ExplicitKeys) {
  const auto refuse = [](const auto& key, std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::InvalidArgument, parts, [&] { make_scheme(key, 4, 4); });
  };
  auto le = draw_le(test_key(), 4);
  expect_error(ErrorCode::InvalidArgument, {"96", "384"}, [&] {
    make_scheme(LeKey{8, le.permutation}, 8, 8);
  });
  le.permutation[5] = le.permutation[6];
  refuse(le, {"LE key", "no permutation", "95"});
  le.permutation[5] = 96;
  refuse(le, {"LE key", "no permutation"});
  auto ele = draw_ele(test_key(), 4, 1);
  ele.permutations[0] = ele.permutations[1];
  refuse(ele, {"ELE block key"});
  refuse(draw_ele(test_key(), 4, 2), {"ELE", "192", "96"});
  ele = draw_ele(test_key(), 4, 1);
  ele.location = {1};
  refuse(ele, {"location"});
  auto etc = draw_etc(test_key(), 4, 1, false);
  etc.rotation = {4};
  refuse(etc, {"rotation", "0 to 3"});
  etc = draw_etc(test_key(), 4, 1, false);
  etc.colour = {6};
  refuse(etc, {"colour", "0 to 5"});
  etc = draw_etc(test_key(), 4, 1, false);
  etc.negative = {2};
  refuse(etc, {"negative", "0 to 1"});
  etc = draw_etc(test_key(), 4, 1, false);
  etc.flip = {3};
  refuse(etc, {"flip", "0 to 2"});
  refuse(PeKey{Bytes(47), {}}, {"negate", "47", "48"});
  refuse(PeKey{Bytes(48, 2), {}}, {"negate", "0 to 1"});
  refuse(PeKey{Bytes(48), Bytes(15)}, {"shuffle", "15", "16"});
  refuse(PixelShuffleKey{4, std::vector<std::uint16_t>(48)}, {"pixel shuffling key"});
  refuse(BitFlipKey{4, Bytes(48, 3)}, {"bit flipping key"});
  refuse(FfxKey{4, Bytes(48), Bytes(256)}, {"FFX", "table"});
  refuse(FfxKey{4, Bytes(48, 2), Bytes(256)}, {"FFX", "selection"});
  refuse(LeKey{65, {}}, {"block size", "65"});
}

}  // namespace
}  // namespace veilnet::cipher
