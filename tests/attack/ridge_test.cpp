#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "attack/table.h"
#include "support.h"

namespace veilnet::attack {
namespace {

constexpr int kSide = 4, kValues = 3 * kSide * kSide;

image::Batch drawn(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> values(static_cast<size_t>(count) * kValues);
  for (auto& value : values) value = static_cast<uint8_t>(random() % 256);
  return {kSide, kSide, std::move(values)};
}

// Values in other places, every second one inverted: what a fixed key of PE does.
image::Batch moved(const image::Batch& plain) {
  auto out = plain;
  for (size_t i = 0; i < plain.count(); ++i)
    for (size_t j = 0; j < kValues; ++j) {
      const auto value = plain.picture(i)[j * 5 % kValues];
      out.picture(i)[j] = static_cast<uint8_t>(j % 2 == 0 ? value : 255 - value);
    }
  return out;
}

// Mixtures of few pictures, so that as few tell how all are moved.
image::Batch mixed(int count, unsigned seed) {
  constexpr int kParts = 8;
  const auto parts = drawn(kParts, 7);
  std::mt19937 random(seed);
  image::Batch out(kSide, kSide, static_cast<size_t>(count));
  for (size_t i = 0; i < out.count(); ++i) {
    std::array<double, kParts> share{};
    for (auto& one : share) one = static_cast<double>(random() % 1000);
    const double sum = std::accumulate(share.begin(), share.end(), 1.0);
    for (size_t j = 0; j < kValues; ++j) {
      double value = 0;
      for (int k = 0; k < kParts; ++k)
        value += share[static_cast<size_t>(k)] / sum * parts.picture(static_cast<size_t>(k))[j];
      out.picture(i)[j] = static_cast<uint8_t>(std::lround(value));
    }
  }
  return out;
}

image::Batch recovered(image::Batch (*protect)(const image::Batch&), const image::Batch& attacked,
                       const image::Batch& own = drawn(300, 1)) {
  Materials m;
  m.attacked = protect(attacked);
  m.auxiliary = data::Dataset{"own", {"a"}, own, std::vector<int32_t>(own.count())};
  m.run = [protect](const data::Dataset& d) { return protect(d.pictures); };
  const train::Compute compute;
  const Budget budget;
  return attack_named("ridge").run(m, Setting{{}, compute, budget, {}, nullptr}).recovered;
}

int farthest(const image::Batch& a, const image::Batch& b) {
  int most = 0;
  for (size_t i = 0; i < a.pixels().size(); ++i)
    most = std::max(most, std::abs(int{a.pixels()[i]} - int{b.pixels()[i]}));
  return most;
}

TEST(Ridge, UndoesWhatIsLinear) {
  const auto attacked = drawn(20, 2);
  EXPECT_GT(farthest(moved(attacked), attacked), 200);
  EXPECT_LE(farthest(recovered(moved, attacked), attacked), 1);
}

TEST(Ridge, UndoesWhatIsLinearFromFewerPicturesThanValues) {
  const auto attacked = mixed(20, 2);
  const auto few = recovered(moved, attacked, mixed(kValues - 8, 3));
  EXPECT_LE(farthest(few, attacked), 4);
  EXPECT_LE(farthest(few, recovered(moved, attacked, mixed(10 * kValues, 3))), 4);
}

TEST(Ridge, AnswersWithTheMeanWhereNothingIsSeen) {
  const auto answer = recovered(
      [](const image::Batch& p) { return image::Batch(kSide, kSide, p.count()); }, drawn(2, 3));
  EXPECT_TRUE(std::ranges::equal(answer.picture(0), answer.picture(1)));
  EXPECT_NEAR(answer.picture(0)[0], 127, 20);
}

TEST(Ridge, IsForMapsThatAllPicturesShare) {
  const auto& ridge = attack_named("ridge");
  Target target;
  target.network = true;
  EXPECT_TRUE(std::holds_alternative<ThreatModel>(ridge.against(target)));
  target.values = 3 * 224 * 224;
  EXPECT_TRUE(std::holds_alternative<std::string>(ridge.against(target)));
  target.values = 0;
  target.keys = Keys::Same;
  EXPECT_TRUE(std::holds_alternative<std::string>(ridge.against(target)));
}

}  // namespace
}  // namespace veilnet::attack
