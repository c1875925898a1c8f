#include "protection/randomised_response.h"

#include <cmath>
#include <map>

#include "support.h"

namespace veilnet::protection {
namespace {

std::vector<std::uint8_t> picture(std::uint8_t value) {
  return std::vector<std::uint8_t>(48, value);
}

TEST(RandomisedResponse, ProbabilitiesDifferByEpsilonAtMost) {
  for (const std::int64_t bits : {1, 4, 10, 16, 64}) {
    for (const double epsilon : {0.1, 1.0, 8.0, 40.0}) {
      const RandomisedResponse response(bits, epsilon);
      const double codes = std::ldexp(1.0, static_cast<int>(bits));
      EXPECT_NEAR(response.kept() + (codes - 1) * response.each_other(), 1, 1e-12);
      if (epsilon < 30)
        EXPECT_NEAR(std::log(response.kept() / response.each_other()), epsilon, 1e-6)
            << bits << " bits";
    }
  }
}

TEST(RandomisedResponse, AnswersAreAsOftenAsPromised) {
  const RandomisedResponse response(2, 1.5);
  const auto master = cipher::key_from_seed(5);
  std::map<std::uint64_t, double> counts;
  constexpr int kDraws = 20'000;
  for (std::uint64_t i = 0; i < kDraws; ++i)
    counts[response.answer(2, picture(7), cipher::derive_key(master, i), "h")] += 1.0 / kDraws;
  ASSERT_EQ(counts.size(), 4u);
  for (const auto& [code, share] : counts) {
    const double expected = code == 2 ? response.kept() : response.each_other();
    EXPECT_NEAR(share, expected, 5 * std::sqrt(expected / kDraws)) << code;
  }
}

TEST(RandomisedResponse, OnePictureHasOneAnswerUnderOneSecret) {
  const RandomisedResponse response(10, 0.5);
  const auto secret = cipher::key_from_seed(1), other = cipher::key_from_seed(2);
  int by_picture = 0, by_secret = 0, by_epsilon = 0;
  for (std::uint8_t i = 0; i < 100; ++i) {
    const auto answer = response.answer(3, picture(i), secret, "h");
    EXPECT_LT(answer, 1024u);
    EXPECT_EQ(answer, response.answer(3, picture(i), secret, "h"));
    by_picture +=
        answer != response.answer(3, picture(static_cast<std::uint8_t>(i + 1)), secret, "h");
    by_secret += answer != response.answer(3, picture(i), other, "h");
    by_epsilon += answer != RandomisedResponse(10, 0.6).answer(3, picture(i), secret, "h");
  }
  EXPECT_GT(by_picture, 90);
  EXPECT_GT(by_secret, 90);
  EXPECT_GT(by_epsilon, 90);
}

// With one coin for two models, or for two codes of one picture, two different answers would be the
// true codes; so they are drawn apart.
TEST(RandomisedResponse, DrawsApartForEveryModelAndCode) {
  const RandomisedResponse response(4, 4);
  const auto secret = cipher::key_from_seed(3);
  int kept_by_one = 0, kept_by_both = 0, of_both_codes = 0;
  constexpr int kPictures = 2000;
  for (int i = 0; i < kPictures; ++i) {
    const std::vector<std::uint8_t> pixels{static_cast<std::uint8_t>(i),
                                           static_cast<std::uint8_t>(i >> 8)};
    const bool one = response.answer(3, pixels, secret, "one") == 3;
    kept_by_one += one;
    kept_by_both += one && response.answer(3, pixels, secret, "other") == 3;
    of_both_codes += one && response.answer(5, pixels, secret, "one") == 5;
  }
  const double kept = response.kept();
  EXPECT_NEAR(kept_by_one, kPictures * kept, 80);
  EXPECT_NEAR(kept_by_both, kPictures * kept * kept, 80);
  EXPECT_NEAR(of_both_codes, kPictures * kept * kept, 80);
}

TEST(RandomisedResponse, KeepsEveryCodeOfTheLargestEpsilonAndAllBitsOf64) {
  const RandomisedResponse sure(4, 40), wide(64, 1);
  const auto secret = cipher::key_from_seed(1);
  std::uint64_t seen = 0;
  for (std::uint8_t i = 0; i < 100; ++i) {
    EXPECT_EQ(sure.answer(9, picture(i), secret, "h"), 9u);
    seen |= wide.answer(0, picture(i), secret, "h");
  }
  EXPECT_EQ(seen, ~0ull);
}

TEST(RandomisedResponse, BoundsWhatCanBePicked) {
  const RandomisedResponse response(4, 8);
  EXPECT_NEAR(response.reidentified(1, 100), 0.01, 1e-12);  // one code says nothing
  EXPECT_LE(response.reidentified(16, 1000),
            16 * std::exp(8) / ((std::exp(8) + 15) * 1000) + 1e-12);
  EXPECT_GT(response.reidentified(16, 1000), response.reidentified(8, 1000));
}

TEST(RandomisedResponse, RefusesWhatPromisesNothing) {
  test::expect_error(ErrorCode::InvalidArgument, {"epsilon is 0"},
                     [] { RandomisedResponse(4, 0); });
  test::expect_error(ErrorCode::InvalidArgument, {"epsilon is -1"},
                     [] { RandomisedResponse(4, -1); });
  test::expect_error(ErrorCode::InvalidArgument, {"epsilon"},
                     [] { RandomisedResponse(4, std::nan("")); });
  test::expect_error(ErrorCode::InvalidArgument, {"bits are 0"}, [] { RandomisedResponse(0, 1); });
  test::expect_error(ErrorCode::InvalidArgument, {"bits are 65"},
                     [] { RandomisedResponse(65, 1); });
}

}  // namespace
}  // namespace veilnet::protection
