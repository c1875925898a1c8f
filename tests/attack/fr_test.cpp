#include "attack/fr.h"

#include <algorithm>
#include <type_traits>

#include "cipher/explicit_key.h"
#include "cipher/pictures.h"
#include "core/random.h"
#include "image/metrics.h"
#include "support.h"

namespace veilnet::attack {
namespace {

using image::Image;

// Ciphertext only: nothing but the picture goes in, and the attacker's own guess.
static_assert(std::is_same_v<decltype(fr_basic), Image(const Image&)>);
static_assert(std::is_same_v<decltype(fr_advanced),
                             Image(const Image&, const std::array<std::uint8_t, 3>&, bool)>);

/// Smooth and coloured: neighbours differ by 1 at most, and within a pixel neither components nor
/// their complements come near.
Image gradient() {
  Image picture{32, 32, {}};
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x)
      for (const int v : {10 + (x + y) / 2, 195 - (x + y) / 2, 96 + (x + y) / 4})
        picture.rgb.push_back(static_cast<std::uint8_t>(v));
  return picture;
}

Image under_pe(const Image& plain, std::uint64_t key, bool shuffle_components) {
  Image cipher = plain;
  const auto pixels = plain.rgb.size() / 3;
  cipher::make_scheme(cipher::draw_pe(test::test_key(key), pixels, shuffle_components),
                      plain.height, plain.width)
      ->encrypt(plain.rgb, cipher.rgb);
  return cipher;
}

std::array<std::uint8_t, 3> first_pixel_of(const Image& picture) {
  return {picture.rgb[0], picture.rgb[1], picture.rgb[2]};
}

TEST(FrBasic, UndoesPeUpToComplementsWhateverTheKey) {
  const Image plain{9, 7, test::noise_picture(9, 7, 1)};
  std::vector<std::uint8_t> expected;
  for (const int v : plain.rgb) expected.push_back(static_cast<std::uint8_t>(std::min(v, 255 - v)));
  for (std::uint64_t key = 1; key <= 3; ++key)
    EXPECT_EQ(fr_basic(under_pe(plain, key, false)).rgb, expected);
}

TEST(FrBasic, LeavesTheOrderOfComponents) {
  const Image plain{9, 7, test::noise_picture(9, 7, 1)};
  auto opened = fr_basic(under_pe(plain, 1, true)).rgb, expected = fr_basic(plain).rgb;
  EXPECT_NE(opened, expected);
  for (auto* rgb : {&opened, &expected})
    for (std::size_t p = 0; p < rgb->size(); p += 3)
      std::sort(rgb->begin() + static_cast<long>(p), rgb->begin() + static_cast<long>(p) + 3);
  EXPECT_EQ(opened, expected);
}

TEST(FrAdvanced, RecoversASmoothPictureExactlyWhereBasicDoesNot) {
  const auto plain = gradient();
  for (const bool shuffled : {false, true}) {
    for (std::uint64_t key = 1; key <= 3; ++key) {
      const auto cipher = under_pe(plain, key, shuffled);
      EXPECT_EQ(fr_advanced(cipher, first_pixel_of(plain), shuffled).rgb, plain.rgb)
          << shuffled << " key " << key;
      EXPECT_LT(image::psnr_db(fr_basic(cipher).rgb, plain.rgb), 15);
    }
  }
}

TEST(FrAdvanced, RecoversNoNoise) {
  const Image plain{32, 32, test::noise_picture(32, 32, 1)};
  EXPECT_LT(image::psnr_db(fr_advanced(under_pe(plain, 1, true), first_pixel_of(plain), true).rgb,
                           plain.rgb),
            15);
}

TEST(FrAdvanced, KeepsEachComponentOnTheGuessesSideOfTheMiddle) {
  // Without permuted components the guess decides between min(v, 255 - v) and its mirror, and
  // nothing else matters.
  const Image plain{9, 7, test::noise_picture(9, 7, 1)};
  const auto cipher = under_pe(plain, 1, false);
  const std::array<std::uint8_t, 3> guess{127, 128, 255};
  auto expected = fr_basic(cipher).rgb;
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (guess[i % 3] > 127) expected[i] = 255 - expected[i];
  std::ranges::copy(guess, expected.begin());
  EXPECT_EQ(fr_advanced(cipher, guess, false).rgb, expected);
}

// By hand: neighbour (10, 20, 30), encrypted (20, 245, 30). Orders in turn, each component as it is
// or complemented: RGB (20, 10, 30): 10 + 10 + 0 = 20.  RBG (20, 30, 10): 40.  GRB (10, 20, 30): 0.
// GBR (10, 30, 20): 20.  BRG (30, 20, 10): 40. BGR (30, 10, 20): 40.
TEST(FrAdvanced, TakesTheNearestOfThe48) {
  const Image cipher{1, 2, {1, 2, 3, 20, 245, 30}};
  EXPECT_EQ(fr_advanced(cipher, {10, 20, 30}, true).rgb,
            (std::vector<std::uint8_t>{10, 20, 30, 10, 20, 30}));
  EXPECT_EQ(fr_advanced(cipher, {10, 20, 30}, false).rgb,
            (std::vector<std::uint8_t>{10, 20, 30, 20, 10, 30}));
}

// By hand: neighbour (0, 0, 0), encrypted (1, 2, 3): every order is at distance 6, so the last,
// BGR, is taken.
TEST(FrAdvanced, TakesTheLastOfTheOrdersThatTie) {
  const Image cipher{2, 1, {9, 9, 9, 1, 2, 3}};
  EXPECT_EQ(fr_advanced(cipher, {0, 0, 0}, true).rgb,
            (std::vector<std::uint8_t>{0, 0, 0, 3, 2, 1}));
}

// What the authors' code does, written down: all 48, the last order with the minimum, in it the
// first pattern, bit 2 for R.
TEST(FrAdvanced, AgreesWithTryingAll48) {
  // Values from few levels, so that ties abound; 127 and 128 lie as near as each other's
  // complement.
  Image cipher{6, 7, {}};
  Random random(3);
  constexpr int kLevels[] = {0, 1, 63, 126, 127, 128, 129, 192, 255};
  for (int i = 0; i < 6 * 7 * 3; ++i)
    cipher.rgb.push_back(static_cast<std::uint8_t>(kLevels[random.below(9)]));
  const std::array<std::uint8_t, 3> guess{127, 63, 128};

  std::vector<std::uint8_t> expected(cipher.rgb.size());
  std::copy(guess.begin(), guess.end(), expected.begin());
  for (std::size_t p = 1; p < 42; ++p) {
    const auto* neighbour = &expected[3 * (p < 7 ? p - 1 : p - 7)];
    std::array<std::uint8_t, 3> chosen{};
    int minimum = 1000;
    for (const auto& order : cipher::kComponentOrders) {
      int minimum_of_order = 1000;
      std::array<std::uint8_t, 3> first{};
      for (int pattern = 0; pattern < 8; ++pattern) {
        std::array<std::uint8_t, 3> candidate{};
        int distance = 0;
        for (int c = 0; c < 3; ++c) {
          const int v = cipher.rgb[3 * p + order[c]],
                    flipped = pattern >> (2 - c) & 1 ? 255 - v : v;
          candidate[static_cast<std::size_t>(c)] = static_cast<std::uint8_t>(flipped);
          distance += std::abs(flipped - neighbour[c]);
        }
        if (distance < minimum_of_order) {
          minimum_of_order = distance;
          first = candidate;
        }
      }
      if (minimum_of_order <= minimum) {
        minimum = minimum_of_order;
        chosen = first;
      }
    }
    std::copy(chosen.begin(), chosen.end(), &expected[3 * p]);
  }
  EXPECT_EQ(fr_advanced(cipher, guess, true).rgb, expected);
}

}  // namespace
}  // namespace veilnet::attack
