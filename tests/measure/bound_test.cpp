#include "measure/bound.h"

#include <cmath>

#include "cipher/key.h"
#include "support.h"

namespace veilnet::measure {
namespace {

// Pictures of one grey value each.
image::Batch greys(const std::vector<int>& values) {
  image::Batch out(2, 2);
  for (const int v : values) out.append({2, 2, std::vector<uint8_t>(12, static_cast<uint8_t>(v))});
  return out;
}

data::Dataset dataset(const std::vector<int>& values, std::vector<int32_t> labels) {
  return {"greys", {"a", "b"}, greys(values), std::move(labels)};
}

double psnr(double mean_squared_levels) {
  return -10 * std::log10(mean_squared_levels / 255 / 255);
}

TEST(Bound, IsTheMeanVarianceWithinTheCells) {
  const auto plain = dataset({10, 30, 100, 140, 200}, {0, 0, 0, 1, 1});
  const auto b = bound(plain, greys({1, 1, 2, 2, 3}), 2);
  EXPECT_EQ(b.bits, 2u);
  EXPECT_EQ(b.pictures, 5u);
  EXPECT_EQ(b.distinct, 3u);
  EXPECT_EQ(b.alone, 1u);
  EXPECT_EQ(b.anonymity, 2);
  // Deviations 10 and 20 from the means of two pairs, doubled to be without bias; 0 for the one.
  EXPECT_NEAR(b.psnr_db, psnr((4 * 100.0 + 4 * 400.0) / 5), 1e-9);
  EXPECT_LT(b.psnr_low_db, b.psnr_db);
  EXPECT_GT(b.psnr_high_db, b.psnr_db);
  const auto of_classes =
      (std::pow(36.666, 2) + std::pow(16.666, 2) + std::pow(53.333, 2)) * 1.5 + 2 * 2 * 900.0;
  EXPECT_NEAR(b.class_mean_psnr_db, psnr(of_classes / 5), 1e-3);
  EXPECT_LT(b.mean_psnr_db, b.class_mean_psnr_db);
  ASSERT_EQ(b.reidentified.size(), 1u) << "of all, as they are fewer than a hundred";
  EXPECT_NEAR(b.reidentified.at("5"), 3 / 5.0, 1e-9);
}

TEST(Bound, CountsCellsAmongCandidates) {
  std::vector<int> values, codes;
  std::vector<int32_t> labels;
  for (int i = 0; i < 200; ++i) {
    values.push_back(i);
    codes.push_back(i % 4);
    labels.push_back(0);
  }
  const auto b = bound(dataset(values, labels), greys(codes), 2);
  ASSERT_EQ(b.reidentified.size(), 2u);
  EXPECT_NEAR(b.reidentified.at("100"), 4 / 100.0, 1e-9);
  EXPECT_NEAR(b.reidentified.at("200"), 4 / 200.0, 1e-9);
  const auto all_apart = bound(dataset(values, labels), greys(values), 8);
  EXPECT_NEAR(all_apart.reidentified.at("100"), 1, 1e-9);
  EXPECT_EQ(all_apart.alone, 200u);
  EXPECT_EQ(b.anonymity, 50);
}

TEST(Bound, CountsTheCodesOfAllPicturesAtHand) {
  auto b = bound(dataset({10, 30, 100}, {0, 0, 0}), greys({1, 1, 2}), 3);
  EXPECT_FALSE(b.at_hand || b.dead);
  const std::vector<uint64_t> codes{1, 1, 2, 5, 5, 1, 2, 7};
  add_pictures_at_hand(b, codes);
  EXPECT_EQ(b.at_hand, 8u);
  EXPECT_EQ(b.distinct_at_hand, 4u);
  EXPECT_EQ(b.dead, 4u);
  EXPECT_NEAR(b.reidentified.at("8"), 4 / 8.0, 1e-12);
  EXPECT_NEAR(b.reidentified.at("3"), 2 / 3.0, 1e-9) << "of the test pictures";
  const protection::RandomisedResponse response(3, 2);
  add_pictures_at_hand(b, codes, &response);
  EXPECT_NEAR(b.reidentified.at("8"), response.reidentified(4, 8), 1e-12);
  b.bits = 32;
  b.dead.reset();
  add_pictures_at_hand(b, codes);
  EXPECT_FALSE(b.dead) << "too many to list";
  test::expect_error(ErrorCode::InvalidArgument, {"no codes"},
                     [&] { add_pictures_at_hand(b, {}); });
}

TEST(Bound, NoGuessFromTheCodeBeatsIt) {
  // Half of the pictures show the cells' means, from which the others are guessed.
  std::vector<int> values, codes;
  std::vector<int32_t> labels;
  for (int i = 0; i < 2000; ++i) {
    codes.push_back(i * 7919 % 13);
    values.push_back(codes.back() * 15 + i * 104729 % 41);
    labels.push_back(i % 2);
  }
  const auto b = bound(dataset(values, labels), greys(codes), 4);
  std::vector<double> sums(13), counts(13), by_means, too_good;
  for (size_t i = 0; i < 1000; ++i) {
    sums[static_cast<size_t>(codes[i])] += values[i];
    ++counts[static_cast<size_t>(codes[i])];
  }
  for (size_t i = 1000; i < 2000; ++i) {
    const auto code = static_cast<size_t>(codes[i]);
    by_means.push_back(psnr(std::pow(values[i] - sums[code] / counts[code], 2)));
    too_good.push_back(psnr(std::pow(values[i] - sums[code] / counts[code], 2) / 2));
  }
  EXPECT_FALSE(bound_flag(b, by_means));
  ASSERT_TRUE(bound_flag(b, too_good));
  EXPECT_EQ(bound_flag(b, too_good)->id, "beats_bound");
}

TEST(Bound, RefusesWhatDoesNotBelongTogether) {
  test::expect_error(ErrorCode::InvalidArgument, {"2 plain", "1 protected"}, [] {
    bound(dataset({1, 2}, {0, 1}), greys({1}), 1);
  });
}

TEST(Bound, ChanceHidesMoreAndSaysHowMuch) {
  std::vector<int> values, drawn;
  std::vector<uint64_t> codes;
  std::vector<int32_t> labels;
  const protection::RandomisedResponse response(2, 1);
  const auto master = cipher::key_from_seed(9);
  for (int i = 0; i < 400; ++i) {
    codes.push_back(static_cast<uint64_t>(i % 4));
    values.push_back(60 * (i % 4) + i * 104729 % 20);
    const auto pixel = static_cast<uint8_t>(values.back());
    drawn.push_back(static_cast<int>(response.answer(
        codes.back(), {&pixel, 1}, cipher::derive_key(master, static_cast<uint64_t>(i)), "h")));
    labels.push_back(0);
  }
  const auto plain = dataset(values, labels);
  std::vector<int> certain(codes.begin(), codes.end());
  const auto without = bound(plain, greys(certain), 2);
  const auto with = bound(plain, greys(drawn), codes, response);
  EXPECT_LT(with.psnr_high_db, without.psnr_low_db);
  EXPECT_LT(with.reidentified.at("100"), without.reidentified.at("100"));
  EXPECT_NEAR(with.reidentified.at("100"), response.reidentified(4, 100), 1e-9);
  EXPECT_EQ(with.epsilon, 1);
  EXPECT_NEAR(*with.kept, response.kept(), 1e-12);
  EXPECT_LE(*with.epsilon_seen, 1);
  EXPECT_GT(*with.epsilon_seen, 0.95);
  EXPECT_FALSE(without.epsilon);
  test::expect_error(ErrorCode::InvalidArgument, {"3 codes", "400 pictures"},
                     [&] { bound(plain, greys(drawn), std::span(codes).first(3), response); });
}

TEST(Bound, TryingItNeverFindsMoreThanEpsilon) {
  for (const double epsilon : {0.5, 2.0, 4.0}) {
    for (const std::int64_t bits : {1, 4, 10}) {
      const auto seen = audited_epsilon({bits, epsilon}, 20'000, 2);
      EXPECT_LE(seen, epsilon) << bits << " bits";
      EXPECT_GE(seen, 0);
    }
  }
}

}  // namespace
}  // namespace veilnet::measure
