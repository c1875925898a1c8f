#include <algorithm>
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

image::Batch recovered(image::Batch (*protect)(const image::Batch&), const image::Batch& attacked) {
  Materials m;
  m.attacked = protect(attacked);
  m.auxiliary = data::Dataset{"own", {"a"}, drawn(300, 1), std::vector<int32_t>(300)};
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
