#include "report/verdict.h"

#include "record/matrices.h"
#include "support.h"

namespace veilnet::report {
namespace {

using record::Cell;
using record::Matrix;
using test::cell;

/// One protection "s" with these cells.
Matrix with_cells(std::vector<Cell> cells) {
  Matrix m;
  m.title = "t";
  m.data = {"d", "", 0, 0, 10, 0, 0, 0.9};
  m.protections.resize(1);
  m.protections[0].label = "s";
  m.protections[0].text = "t";
  m.protections[0].keys = "none";
  m.cells = std::move(cells);
  return m;
}

std::string rebuilt(const Cell& c) { return verdict(with_cells({c}), "s").rebuilt.level; }
std::string seen(const Cell& c) { return verdict(with_cells({c}), "s").seen.level; }
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Verdict, LevelsBeginWhereTheRulesSay) {
  const auto ssim = [](const char* attack, double v) { return cell("s", attack, {v, v}); };
  EXPECT_EQ(rebuilt(ssim("a", 0.9)), "Yes");
  EXPECT_EQ(rebuilt(ssim("a", 0.89)), "Content");
  EXPECT_EQ(rebuilt(ssim("a", 0.5)), "Content");
  EXPECT_EQ(rebuilt(ssim("a", 0.49)), "Outlines");
  EXPECT_EQ(rebuilt(ssim("a", 0.2)), "Outlines");
  EXPECT_EQ(rebuilt(ssim("a", 0.19)), "Not by these attacks");
  EXPECT_EQ(rebuilt(cell("s", "a", {0.1, 0.1}, 0.5)), "Yes");
  EXPECT_EQ(rebuilt(cell("s", "a", {0.1, 0.1}, 0.49)), "Not by these attacks");
  EXPECT_EQ(rebuilt(ssim("a", -0.95)), "Yes") << "an inverted picture shows as much";
  EXPECT_EQ(seen(ssim("look", 0.5)), "Yes");
  EXPECT_EQ(seen(ssim("look-blurred", 0.49)), "Outlines");
  EXPECT_EQ(seen(ssim("look", 0.19)), "No");
  EXPECT_EQ(seen(ssim("a", 0.5)), "Not measured");
  EXPECT_EQ(rebuilt(ssim("look", 0.5)), "Not judged") << "looking rebuilds nothing";
}

TEST(Verdict, TheWorstHundredthCounts) {
  std::vector<double> values(98, 0.05);
  values.insert(values.end(), {0.6, 0.6});
  EXPECT_EQ(rebuilt(cell("s", "a", values)), "Outlines");
  values.insert(values.end(), 400, 0.05);
  EXPECT_EQ(rebuilt(cell("s", "a", values)), "Not by these attacks");
}

TEST(Verdict, NamedReconstructionsAreContent) {
  auto c = cell("s", "a", {0.1, 0.1});
  c.measures["named"] = 0.51;  // (0.1 + 0.9) / 2 is the bound
  EXPECT_EQ(rebuilt(c), "Content");
  c.measures["named"] = 0.49;
  EXPECT_EQ(rebuilt(c), "Not by these attacks");
  auto m = with_cells({c});
  const auto level = [&] { return verdict(m, "s").rebuilt.level; };
  m.data.plain_accuracy.reset();
  m.cells[0].measures["named"] = 0.54;
  EXPECT_EQ(level(), "Not by these attacks");
  m.cells[0].measures["named"] = 0.56;
  EXPECT_EQ(level(), "Content");
  m.protections[0].accuracy = 0.8;
  m.protections[0].architecture = "unet";
  EXPECT_EQ(level(), "Not by these attacks") << "such pictures are made to be named";
  m.protections[0].keys = "same";
  EXPECT_EQ(level(), "Content");
  m.data.classes = 0;
  EXPECT_EQ(level(), "Not by these attacks") << "chance is unknown";
}

TEST(Verdict, RecognisedIsNotRebuilt) {
  auto c = cell("s", "retrieval", {1, 1}, 1);
  c.threat_model.auxiliary = "candidates";
  c.measures["reidentified"] = 0.5;
  c.candidates = 1000;
  const auto level = [&] { return verdict(with_cells({c}), "s").recognised.level; };
  EXPECT_EQ(level(), "Yes");
  EXPECT_EQ(rebuilt(c), "Not judged") << "he had the pictures before";
  const auto answer = verdict(with_cells({c}), "s").recognised;
  EXPECT_EQ(answer.attack, "retrieval");
  EXPECT_TRUE(contains(answer.text, "50.0 % of them among 1,000 candidates (guessing: 0.10 %)"))
      << answer.text;
  c.measures["reidentified"] = 0.01;
  EXPECT_EQ(level(), "Sometimes");
  c.measures["reidentified"] = 0.009;
  EXPECT_EQ(level(), "Hardly");
  c.candidates = 10;
  c.measures["reidentified"] = 0.4;
  EXPECT_EQ(level(), "Hardly") << "four times guessing";
  c.candidates = 9;
  c.measures["reidentified"] = 1.0;
  EXPECT_EQ(level(), "Not measured");
  // What is picked is picked, whatever flags say of the pictures' similarity.
  c.candidates = 1000;
  c.flags = {{"weaker_than_trivial", "no better"}};
  EXPECT_EQ(level(), "Yes");
}

TEST(Verdict, RecognisedIsJudgedByWhatChanceWouldPick) {
  auto few = cell("s", "itn", {0.1, 0.1}), many = cell("s", "dictionary", {0.1, 0.1});
  few.measures["reidentified"] = 0.14;
  few.candidates = 64;
  many.measures["reidentified"] = 0.12;
  many.candidates = 10'000;
  const auto answer = verdict(with_cells({few, many}), "s").recognised;
  EXPECT_EQ(answer.level, "Sometimes");
  EXPECT_EQ(answer.attack, "dictionary") << "14 % of 64 is little, 12 % of 10,000 is not";
}

TEST(Verdict, ABoundOfFewerCandidatesHoldsForMore) {
  record::Bound bound;
  bound.reidentified = {{"100", 0.1}, {"1000", 0.02}};
  EXPECT_EQ(record::reidentified_at_most(bound, 99), std::nullopt);
  EXPECT_EQ(record::reidentified_at_most(bound, 118), 0.1);
  EXPECT_EQ(record::reidentified_at_most(bound, 1000), 0.02);
  EXPECT_EQ(record::reidentified_at_most(bound, 10'000), 0.02);
}

TEST(Verdict, APublicNetworkIsRecognisedWhetherOrNotAnybodyTried) {
  auto m = with_cells({cell("s", "itn", {0.1, 0.1})});
  m.protections[0].keys = "none";
  EXPECT_EQ(verdict(m, "s").recognised.level, "Not measured") << "no network";
  m.protections[0].architecture = "unet";
  EXPECT_EQ(verdict(m, "s").recognised.level, "Yes");
  auto picks = cell("s", "retrieval", {1, 1}, 1);
  picks.threat_model.auxiliary = "candidates";
  picks.measures["reidentified"] = 0.004;
  picks.candidates = 1000;
  m.cells.push_back(picks);
  EXPECT_EQ(verdict(m, "s").recognised.level, "Hardly") << "two pictures may become the same";
}

TEST(Verdict, ABoundSpeaksOfAttacksThatNobodyTried) {
  auto picks = cell("s", "retrieval", {1, 1}, 1);
  picks.threat_model.auxiliary = "candidates";
  picks.measures["reidentified"] = 0.004;
  picks.candidates = 1000;
  auto m = with_cells({cell("s", "a", {0.1, 0.1}), picks});
  auto& bound = m.protections[0].bound.emplace();
  bound.psnr_db = 12.6;
  bound.psnr_low_db = 12.5;
  bound.psnr_high_db = 12.7;
  bound.class_mean_psnr_db = 12.4;
  bound.mean_psnr_db = 12.1;
  bound.reidentified = {{"1000", 0.016}};
  auto v = verdict(m, "s");
  EXPECT_EQ(v.rebuilt.level, "Bounded");
  EXPECT_EQ(v.rebuilt.attack, "a") << "the strongest, which shows what can be had";
  EXPECT_TRUE(contains(v.rebuilt.text, "not below that of 12.60 dB (95 % interval 12.50 to 12.70"))
      << v.rebuilt.text;
  EXPECT_EQ(v.recognised.level, "Sometimes") << "by the best that there can be";
  EXPECT_TRUE(contains(v.recognised.text, "0.4 %")) << v.recognised.text;
  EXPECT_TRUE(contains(v.recognised.text, "no attack picks more than 1.6 %")) << v.recognised.text;
  m.cells[1].measures["reidentified"] = 0.6;
  EXPECT_EQ(verdict(m, "s").recognised.level, "Yes") << "of this set of candidates";
  m.cells[1].flags = {{record::kBeatsBound, "an error of the bound or of this figure"}};
  EXPECT_EQ(verdict(m, "s").rebuilt.level, "Not by these attacks") << "nobody knows which is wrong";
  m.cells[1].flags.clear();
  m.protections[0].bound->psnr_high_db = 13;
  EXPECT_EQ(verdict(m, "s").rebuilt.level, "Not by these attacks") << "the bound allows more";
  m.protections[0].bound->psnr_high_db = 12.7;
  m.cells[0].flags = {{"weaker_than_trivial", "no better than guessing the mean picture"}};
  v = verdict(m, "s");
  EXPECT_EQ(v.rebuilt.level, "Bounded") << "no attack beats guessing, where the bound says so";
  EXPECT_TRUE(contains(v.rebuilt.text, "not below that of 12.60 dB")) << v.rebuilt.text;
  m.cells[0] = cell("s", "a", {0.5, 0.5});
  EXPECT_EQ(verdict(m, "s").rebuilt.level, "Content") << "what a class looks like can be content";
}

TEST(Verdict, AttributesAreInferred) {
  auto m = with_cells({cell("s", "a", {0.1, 0.1})});
  EXPECT_EQ(verdict(m, "s").inferred.level, "Not measured");
  const record::ThreatModel model{"public", "public_transform", "none", "same_distribution"};
  m.attributes = {{"s", "warmth", 0.54, 0.5, model}, {"s", "detail", 0.52, 0.5, model}};
  EXPECT_EQ(verdict(m, "s").inferred.level, "Nothing measured");
  m.attributes[0].accuracy = 0.56;
  const auto some = verdict(m, "s").inferred;
  EXPECT_EQ(some.level, "Some");
  EXPECT_EQ(some.attack, "reading warmth");
  EXPECT_TRUE(contains(some.text, "warmth 56.0 % (guessing: 50.0 %), detail 52.0 %")) << some.text;
  m.attributes[1].accuracy = 0.76;
  EXPECT_EQ(verdict(m, "s").inferred.level, "Much");
  EXPECT_EQ(verdict(m, "s").inferred.attack, "reading detail");
}

TEST(Verdict, NamesTheFirstOfTheStrongestAndItsAttacker) {
  auto strong = cell("s", "strong", {1, 1}, 1), also = cell("s", "also", {1, 1}, 1);
  strong.threat_model.access = "chosen_plaintext";
  const auto v = verdict(with_cells({cell("s", "weak", {0.3, 0.3}), strong, also}), "s").rebuilt;
  EXPECT_EQ(v.attack, "strong");
  EXPECT_EQ(v.text,
            "strong recovers 100.0 % of the pictures exactly. The attacker knows how pictures are "
            "protected, can have pictures of his choice protected, and has no other plain "
            "pictures. One key protects all pictures.");
}

TEST(Verdict, FlaggedFiguresDoNotDecideButAreNotHidden) {
  auto c = cell("s", "itn", {0.7, 0.7});
  c.flags = {{"beaten_by_less", "beaten by less"}};
  const auto alone = verdict(with_cells({c, test::refused("s", "kpa", "no key")}), "s").rebuilt;
  EXPECT_EQ(alone.level, "Not judged");
  EXPECT_EQ(alone.attack, "");
  const auto v = verdict(with_cells({cell("s", "fr", {0.1, 0.1}), c}), "s").rebuilt;
  EXPECT_EQ(v.level, "Not by these attacks");
  EXPECT_EQ(v.attack, "fr");
  for (const auto& text : {alone.text, v.text})
    EXPECT_TRUE(
        contains(text, "would say \"Content\": itn reaches a median SSIM of 0.70 (beaten by less)"))
        << text;
  EXPECT_FALSE(contains(verdict(with_cells({cell("s", "fr", {0.6, 0.6}), c}), "s").rebuilt.text,
                        "would say"));
}

TEST(Verdict, AnAttackThatWouldRecoverMoreWithTrainingStillCounts) {
  auto c = cell("s", "itn", {0.7, 0.7});
  c.flags = {{record::kUnderTrained, "still improving"}};
  const auto v = verdict(with_cells({cell("s", "fr", {0.1, 0.1}), c}), "s").rebuilt;
  EXPECT_EQ(v.level, "Content");
  EXPECT_EQ(v.attack, "itn");
  EXPECT_TRUE(contains(v.text, "More training would recover more.")) << v.text;
}

TEST(Verdict, RefusesWhatItDoesNotKnow) {
  test::expect_error(ErrorCode::InvalidArgument, {"'x'", "le, h"},
                     [] { verdict(test::matrix(), "x"); });
  test::expect_error(ErrorCode::BadData, {"access", "guess", "exact_pairs"}, [] {
    attacker({"public", "guess", "same", "none"});
  });
}

TEST(Verdict, AsTextHasALineForEachQuestion) {
  const auto text = to_text(verdict(test::matrix(), "le"));
  for (const char* part :
       {"Can a person see it? Not measured.", "Can it be rebuilt? Yes. known-plaintext recovers",
        "Can it be recognised among candidates? Sometimes. gan picks",
        "What can be inferred? Much. A classifier reads bright 91.2 % (guessing: 50.0 %)"})
    EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
}

}  // namespace
}  // namespace veilnet::report
