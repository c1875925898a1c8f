#include "attack/table.h"
#include "support.h"

namespace veilnet::attack {
namespace {

image::Batch greys(const std::vector<int>& values) {
  image::Batch out(2, 2);
  for (const int v : values) out.append({2, 2, std::vector<uint8_t>(12, static_cast<uint8_t>(v))});
  return out;
}

// A protection that rounds down to tens.
image::Batch tens(const image::Batch& plain) {
  auto out = plain;
  for (auto& value : out.pixels()) value = static_cast<uint8_t>(value / 10 * 10);
  return out;
}

Materials materials(const std::vector<int>& own, const std::vector<int>& attacked) {
  Materials m;
  m.attacked = tens(greys(attacked));
  m.auxiliary = data::Dataset{"own", {"a", "b"}, greys(own), std::vector<int32_t>(own.size())};
  m.run = [](const data::Dataset& d) { return tens(d.pictures); };
  return m;
}

std::vector<int> guesses(const Attack& attack, Materials m) {
  const train::Compute compute;
  const Budget budget;
  const auto outcome = attack.run(m, Setting{{}, compute, budget, {}, nullptr});
  std::vector<int> out;
  for (size_t i = 0; i < outcome.recovered.count(); ++i)
    out.push_back(outcome.recovered.picture(i)[0]);
  return out;
}

TEST(Dictionary, AnswersWithTheNearest) {
  EXPECT_EQ(guesses(attack_named("dictionary"), materials({13, 58, 91}, {17, 99, 52, 30})),
            (std::vector<int>{13, 91, 58, 13}));
}

TEST(CodeMeans, AnswerWithTheMeanOfTheSame) {
  EXPECT_EQ(guesses(attack_named("code-means"), materials({10, 14, 18, 55, 57}, {11, 50, 59})),
            (std::vector<int>{14, 56, 56}));
  EXPECT_EQ(guesses(attack_named("code-means"), materials({10, 14, 55, 57}, {70})),
            (std::vector<int>{56}))
      << "the nearest code where none is the same";
}

TEST(CodeMeans, OfFewPicturesAreDrawnTowardsTheMeanOfAll) {
  // Within a code the variance is 40.5, between codes 19.8: as two pictures more, of 19.5 each.
  EXPECT_EQ(guesses(attack_named("code-means"), materials({10, 19, 20, 29}, {11, 22})),
            (std::vector<int>{17, 22}));
  EXPECT_EQ(guesses(attack_named("code-means"), materials({10, 20, 30}, {11, 22})),
            (std::vector<int>{10, 20}))
      << "of one picture each nobody knows the variance within a code";
}

TEST(CodeMeans, IsForCodes) {
  Target target;
  target.network = true;
  EXPECT_TRUE(std::holds_alternative<std::string>(attack_named("code-means").against(target)));
  target.code_bits = 4;
  EXPECT_TRUE(std::holds_alternative<ThreatModel>(attack_named("code-means").against(target)));
  EXPECT_TRUE(std::holds_alternative<std::string>(attack_named("dictionary").against(Target())));
}

}  // namespace
}  // namespace veilnet::attack
