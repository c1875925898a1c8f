#include "data/batches.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "data/fixtures.h"

namespace veilnet::data {
namespace {

using namespace test;

std::vector<std::uint32_t> all(const Dataset& set) {
  std::vector<std::uint32_t> indices(set.size());
  std::iota(indices.begin(), indices.end(), 0u);
  return indices;
}

std::vector<std::uint8_t> augmented(const Dataset& set, const Augmentation& augmentation,
                                    std::uint64_t seed) {
  std::vector<std::uint8_t> out(set.image_bytes(), 0xcd);
  Random random(seed);
  augment(set.image(0), set.pictures.height(), set.pictures.width(),
          draw(augmentation, set.pictures.height(), set.pictures.width(), random), out.data());
  return out;
}

TEST(StratifiedSplit, TakesTheFractionOfEveryClass) {
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 100; ++i)
    labels.push_back(i % 4 == 0 ? 0 : i % 4 == 1 ? 1 : 2);  // 25, 25, 50
  const auto split = stratified_split(labels, 0.1, 7);
  std::map<int, int> counts;
  for (auto i : split.validation) ++counts[labels[i]];
  EXPECT_EQ(counts, (std::map<int, int>{{0, 3}, {1, 3}, {2, 5}}));

  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  EXPECT_TRUE(std::is_sorted(split.validation.begin(), split.validation.end()));
  std::vector<std::uint32_t> both, expected(100);
  std::merge(split.train.begin(), split.train.end(), split.validation.begin(),
             split.validation.end(), std::back_inserter(both));
  std::iota(expected.begin(), expected.end(), 0u);
  EXPECT_EQ(both, expected);
}

TEST(StratifiedSplit, DependsOnTheSeedAlone) {
  std::vector<std::int32_t> labels(200);
  for (int i = 0; i < 200; ++i) labels[static_cast<std::size_t>(i)] = i % 10;
  const auto a = stratified_split(labels, 0.1, 1), b = stratified_split(labels, 0.1, 1),
             c = stratified_split(labels, 0.1, 2);
  EXPECT_EQ(a.validation, b.validation);
  EXPECT_EQ(a.train, b.train);
  EXPECT_NE(a.validation, c.validation);
}

TEST(StratifiedSplit, LeavesEverySmallClassInBothParts) {
  const std::vector<std::int32_t> labels = {0, 0, 1, 1, 2};
  for (double fraction : {0.01, 0.99}) {
    const auto split = stratified_split(labels, fraction, 3);
    std::multiset<int> classes;
    for (auto i : split.validation) classes.insert(labels[i]);
    EXPECT_EQ(classes, (std::multiset<int>{0, 1}))
        << fraction;  // one of each pair; the single picture stays in train
  }
}

TEST(StratifiedSplit, RefusesBadFractionsAndEmptyParts) {
  const std::vector<std::int32_t> labels = {0, 0, 1, 1};
  for (double fraction : {0.0, 1.0, -0.5, std::nan("")}) {
    expect_error(ErrorCode::InvalidArgument,
                 {"validation fraction", "greater than 0", "less than 1"},
                 [&] { stratified_split(labels, fraction, 1); });
  }
  const std::vector<std::int32_t> single = {0, 1, 2};
  expect_error(ErrorCode::InvalidArgument, {"3 pictures", "no class has two"},
               [&] { stratified_split(single, 0.1, 1); });
  expect_error(ErrorCode::InvalidArgument, {"0 pictures"}, [&] { stratified_split({}, 0.1, 1); });
}

TEST(Augment, WithNothingToDoCopies) {
  const auto set = numbered(1, 5, 7, 1);
  EXPECT_EQ(augmented(set, {.horizontal_flip = false, .crop_padding = 0}, 1),
            bytes(set.pictures.pixels()));
}

TEST(Augment, FlipsAboutHalf) {
  const auto set = numbered(1, 5, 7, 1);
  std::vector<std::uint8_t> mirrored(set.image_bytes());
  for (std::size_t y = 0; y < 5; ++y) {
    for (std::size_t x = 0; x < 7; ++x)
      std::copy_n(&set.pictures.pixels()[(y * 7 + x) * 3], 3, &mirrored[(y * 7 + 6 - x) * 3]);
  }
  int flips = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto out = augmented(set, {.horizontal_flip = true, .crop_padding = 0}, seed);
    ASSERT_TRUE(std::ranges::equal(out, set.pictures.pixels()) || out == mirrored) << seed;
    flips += out == mirrored;
  }
  EXPECT_GT(flips, 150);
  EXPECT_LT(flips, 250);
}

TEST(Augment, CutsOneGreySquareThatMayReachOverTheBorder) {
  const auto set = numbered(1, 6, 7, 1);
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Augmentation how{.horizontal_flip = false, .crop_padding = 0, .cutout = 4};
    const auto out = augmented(set, how, seed);
    Random random(seed);
    const auto drawn = draw(how, 6, 7, random);
    std::size_t grey = 0;
    for (int y = 0; y < 6; ++y) {
      for (int x = 0; x < 7; ++x) {
        const bool inside = y >= drawn.cut_top && y < drawn.cut_top + 4 && x >= drawn.cut_left &&
                            x < drawn.cut_left + 4;
        grey += inside;
        const auto at = static_cast<std::size_t>(3 * (y * 7 + x));
        for (std::size_t c = 0; c < 3; ++c)
          ASSERT_EQ(out[at + c], inside ? kCutGrey : set.pictures.pixels()[at + c]) << seed;
      }
    }
    sizes.insert(grey);
  }
  EXPECT_EQ(*sizes.begin(), 4u) << "a corner: its centre is always in the picture";
  EXPECT_EQ(*sizes.rbegin(), 16u);
}

TEST(Augment, CropsFromTheZeroPaddedPicture) {
  const auto set = numbered(1, 4, 5, 1);  // no zero byte, so zeros are padding
  const int padding = 2;
  std::map<std::vector<std::uint8_t>, int> allowed;
  for (int top = -padding; top <= padding; ++top) {
    for (int left = -padding; left <= padding; ++left) {
      std::vector<std::uint8_t> crop;
      for (int y = top; y < top + 4; ++y) {
        for (int x = left; x < left + 5; ++x) {
          for (int c = 0; c < 3; ++c) {
            const bool inside = y >= 0 && y < 4 && x >= 0 && x < 5;
            crop.push_back(
                inside ? set.pictures.pixels()[static_cast<std::size_t>((y * 5 + x) * 3 + c)] : 0);
          }
        }
      }
      allowed[crop] = 0;
    }
  }
  ASSERT_EQ(allowed.size(), 25u);
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const auto found =
        allowed.find(augmented(set, {.horizontal_flip = false, .crop_padding = padding}, seed));
    ASSERT_NE(found, allowed.end()) << seed;
    ++found->second;
  }
  for (const auto& [crop, count] : allowed) EXPECT_GT(count, 15);  // expected 40 each
}

TEST(Augment, MovesAFlippedPictureTheSameWay) {
  // The crop is drawn after the flip: mirroring the picture beforehand and never flipping gives the
  // same set of results.
  auto set = numbered(1, 4, 5, 1);
  std::set<std::vector<std::uint8_t>> with_flip, without;
  for (std::uint64_t seed = 0; seed < 1000; ++seed)
    with_flip.insert(augmented(set, {.horizontal_flip = true, .crop_padding = 1}, seed));
  for (int side = 0; side < 2; ++side) {
    for (std::uint64_t seed = 0; seed < 500; ++seed)
      without.insert(augmented(set, {.horizontal_flip = false, .crop_padding = 1}, seed));
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 2; ++x) {
        for (int c = 0; c < 3; ++c)
          std::swap(set.pictures.pixels()[static_cast<std::size_t>((y * 5 + x) * 3 + c)],
                    set.pictures.pixels()[static_cast<std::size_t>((y * 5 + 4 - x) * 3 + c)]);
      }
    }
  }
  EXPECT_EQ(with_flip.size(), 18u);
  EXPECT_EQ(with_flip, without);
}

TEST(BatchLoader, AnEpochHoldsEveryPictureOnce) {
  const auto set = numbered(23, 3, 3, 5);
  BatchLoader loader(set, all(set), {.batch_size = 5, .augmentation = {}, .seed = 4});
  ASSERT_EQ(loader.steps_per_epoch(), 5u);
  std::vector<std::uint32_t> first_order;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::uint32_t> order;
    for (std::size_t step = 0; step < 5; ++step) {
      const auto batch = loader.next();
      ASSERT_EQ(batch.indices.size(), step < 4 ? 5u : 3u);
      ASSERT_EQ(batch.labels.size(), batch.indices.size());
      ASSERT_EQ(batch.pictures.count(), batch.indices.size());
      for (std::size_t i = 0; i < batch.indices.size(); ++i) {
        EXPECT_EQ(batch.labels[i], set.labels[batch.indices[i]]);
        EXPECT_TRUE(std::ranges::equal(set.image(batch.indices[i]), batch.pictures.picture(i)));
      }
      order.insert(order.end(), batch.indices.begin(), batch.indices.end());
    }
    if (epoch == 0) {
      first_order = order;
    } else {
      EXPECT_NE(order, first_order);
    }
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, all(set));
  }
}

TEST(BatchLoader, UsesTheGivenIndicesOnly) {
  const auto set = numbered(20, 2, 2, 2);
  BatchLoader loader(set, {3, 7, 11}, {.batch_size = 8, .augmentation = {}});
  auto indices = loader.next().indices;
  std::sort(indices.begin(), indices.end());
  EXPECT_EQ(indices, (std::vector<std::uint32_t>{3, 7, 11}));
}

TEST(BatchLoader, DropsTheLastSmallBatch) {
  const auto set = numbered(23, 2, 2, 2);
  BatchLoader loader(set, all(set), {.batch_size = 5, .augmentation = {}, .drop_last = true});
  EXPECT_EQ(loader.steps_per_epoch(), 4u);
  for (int step = 0; step < 9; ++step) EXPECT_EQ(loader.next().indices.size(), 5u);
}

TEST(BatchLoader, StartedAnywhereYieldsWhatOneStartedAtZeroYields) {
  const auto set = numbered(23, 6, 6, 5);
  for (bool drop_last : {false, true}) {
    BatchLoader::Options options{
        .batch_size = 4, .augmentation = Augmentation{}, .seed = 9, .drop_last = drop_last};
    std::vector<Minibatch> expected;
    {
      BatchLoader loader(set, all(set), options);
      for (int step = 0; step < 20; ++step) expected.push_back(loader.next());
    }
    for (std::uint64_t start : {0, 1, 4, 5, 6, 7, 12, 13}) {
      options.start_step = start;
      options.prefetch = 1 + start % 3;
      BatchLoader loader(set, all(set), options);
      for (auto step = start; step < expected.size(); ++step) {
        const auto batch = loader.next();
        ASSERT_EQ(batch.indices, expected[step].indices) << start << ' ' << step;
        ASSERT_EQ(batch.labels, expected[step].labels) << start << ' ' << step;
        ASSERT_EQ(batch.pictures, expected[step].pictures) << start << ' ' << step;
      }
    }
  }
}

TEST(BatchLoader, SeedChangesOrderAndEpochChangesAugmentation) {
  const auto set = numbered(16, 8, 8, 2);
  BatchLoader a(set, all(set), {.batch_size = 16, .augmentation = {}, .seed = 1}),
      b(set, all(set), {.batch_size = 16, .augmentation = {}, .seed = 2});
  EXPECT_NE(a.next().indices, b.next().indices);

  BatchLoader one(set, {0}, {.batch_size = 1, .augmentation = Augmentation{}, .seed = 1});
  std::set<std::vector<std::uint8_t>> seen;
  for (int epoch = 0; epoch < 50; ++epoch) seen.insert(bytes(one.next().pictures.pixels()));
  EXPECT_GT(seen.size(), 30u);  // of 162 possible pictures
}

TEST(BatchLoader, ErrorsOfTheThreadAppearInNext) {
  const auto set = numbered(4, 2, 2, 2);
  BatchLoader loader(set, {0, 1, 2, 4}, {.batch_size = 4, .augmentation = {}});
  for (int again = 0; again < 2; ++again) {
    expect_error(ErrorCode::InvalidArgument, {"picture index 4", "'numbered'", "4 pictures"},
                 [&] { loader.next(); });
  }
}

TEST(BatchLoader, BatchesBeforeAnErrorStillArrive) {
  const auto small = numbered(4, 2, 2, 2), enough = numbered(5, 2, 2, 2);
  const BatchLoader::Options options{.batch_size = 1, .augmentation = {}, .seed = 1, .prefetch = 8};
  BatchLoader sound(enough, all(enough), options), broken(small, all(enough), options);
  int batches = 0;
  for (auto batch = sound.next(); batch.indices[0] != 4; batch = sound.next(), ++batches) {
    EXPECT_EQ(broken.next().pictures, batch.pictures);
  }
  EXPECT_GT(batches, 0);
  expect_error(ErrorCode::InvalidArgument, {"picture index 4"}, [&] { broken.next(); });
}

TEST(BatchLoader, EndsWhileTheQueueIsFullAndWithoutAnyCallOfNext) {
  const auto set = numbered(4, 2, 2, 2);
  // A thread that is not woken would hang here until the test's time limit.
  for (std::size_t prefetch : {0, 1, 3}) {
    BatchLoader loader(set, all(set), {.batch_size = 2, .augmentation = {}, .prefetch = prefetch});
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// Pairs were once pictures of twice the height; a training on either form must see the same.
TEST(BatchLoader, TurnsPairsAsOneStackedPicture) {
  const auto above = numbered(23, 5, 6, 5);
  auto below = above;
  for (auto& value : below.pictures.pixels()) value = static_cast<std::uint8_t>(255 - value);
  auto stacked = above;
  stacked.pictures = image::Batch(10, 6, 23);
  for (std::size_t i = 0; i < 23; ++i) {
    const auto out = stacked.pictures.picture(i);
    std::ranges::copy(above.image(i), out.begin());
    std::ranges::copy(below.image(i), out.begin() + 90);
  }
  const Pairs pairs(above.pictures, below.pictures);
  int flipped = 0;
  for (const bool flip : {true, false}) {
    const BatchLoader::Options options{
        .batch_size = 4, .augmentation = Augmentation{flip, 0}, .seed = 9, .drop_last = true};
    BatchLoader one(pairs, all(above), options), other(stacked, all(above), options);
    for (int step = 0; step < 15; ++step) {
      const auto pair = one.next(), picture = other.next();
      ASSERT_EQ(pair.indices, picture.indices);
      ASSERT_EQ(pair.plain.count(), 4u);
      EXPECT_TRUE(pair.labels.empty());
      for (std::size_t i = 0; i < 4; ++i) {
        ASSERT_TRUE(
            std::ranges::equal(pair.pictures.picture(i), picture.pictures.picture(i).first(90)));
        ASSERT_TRUE(
            std::ranges::equal(pair.plain.picture(i), picture.pictures.picture(i).subspan(90)));
        flipped += !std::ranges::equal(pair.plain.picture(i), below.image(pair.indices[i]));
      }
    }
  }
  EXPECT_GT(flipped, 15);
  EXPECT_LT(flipped, 45);  // of the 60 that may be
}

TEST(BatchLoader, PartsOfABatchAreTogetherTheBatch) {
  const auto set = numbered(23, 6, 6, 5);
  BatchLoader::Options options{.batch_size = 7, .augmentation = Augmentation{}, .start_step = 2};
  BatchLoader whole(set, all(set), options);
  std::vector<std::unique_ptr<BatchLoader>> parts;
  for (options.part = {0, 3}; options.part.first < 3; ++options.part.first)
    parts.push_back(std::make_unique<BatchLoader>(set, all(set), options));
  for (int step = 0; step < 9; ++step) {
    const auto expected = whole.next();
    const auto count = expected.indices.size();  // also that of the last, smaller one
    for (std::size_t part = 0; part < 3; ++part) {
      const auto batch = parts[part]->next();
      ASSERT_EQ(batch.indices.size(),
                static_cast<std::size_t>(
                    Part{static_cast<std::int64_t>(part), 3}.of(static_cast<std::int64_t>(count))));
      for (std::size_t i = 0; i < batch.indices.size(); ++i) {
        const auto at = part + 3 * i;
        ASSERT_EQ(batch.indices[i], expected.indices.at(at)) << step << ' ' << at;
        ASSERT_EQ(batch.labels[i], expected.labels[at]);
        ASSERT_TRUE(std::ranges::equal(batch.pictures.picture(i), expected.pictures.picture(at)));
      }
    }
  }
}

TEST(BatchLoader, CropsBothPicturesOfAPairAtOnePlace) {
  const auto set = numbered(9, 4, 5, 3);
  const Pairs same(set.pictures, set.pictures);
  std::vector<std::uint32_t> indices(9);
  std::iota(indices.begin(), indices.end(), 0u);
  BatchLoader loader(same, indices, {.batch_size = 9, .augmentation = Augmentation{true, 2}});
  const auto batch = loader.next();
  EXPECT_EQ(batch.pictures, batch.plain);
  EXPECT_NE(batch.pictures, set.pictures.subset(batch.indices));
}

TEST(BatchLoader, RefusesWhatCannotGiveBatches) {
  const auto set = numbered(4, 2, 2, 2);
  const auto refused = [&](std::vector<std::uint32_t> indices, const BatchLoader::Options& options,
                           std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::InvalidArgument, parts,
                 [&] { BatchLoader(set, std::move(indices), options); });
  };
  refused({}, {}, {"no pictures", "'numbered'"});
  refused({0}, {.batch_size = 0, .augmentation = {}}, {"batch size 0", "at least 1"});
  refused({0}, {.augmentation = {}, .part = {2, 2}}, {"part 2 of 2"});
  refused({0, 1}, {.batch_size = 3, .augmentation = {}, .drop_last = true},
          {"batch size 3", "2 pictures"});
  refused({0}, {.augmentation = Augmentation{.crop_padding = -1}}, {"crop padding -1", "0 to 2"});
  refused({0}, {.augmentation = Augmentation{.crop_padding = 3}}, {"crop padding 3", "0 to 2"});
  const Pairs pairs(set.pictures, set.pictures);
  expect_error(ErrorCode::InvalidArgument, {"pairs", "encrypted"}, [&] {
    BatchLoader(pairs, {0}, {.augmentation = {}, .encrypt = [](std::span<std::uint8_t>) {}});
  });
  expect_error(ErrorCode::InvalidArgument, {"no pictures", "pairs"},
               [&] { BatchLoader(pairs, {}, {}); });
}

}  // namespace
}  // namespace veilnet::data
