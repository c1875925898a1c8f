#include "measure/flags.h"

#include "core/files.h"
#include "support.h"

namespace veilnet::measure {
namespace {

using record::Cell;

record::Figures figures(double psnr, double ssim) {
  const auto summary = [](double v) { return record::summarise(std::vector<double>{v, v}); };
  return {{"psnr_db", summary(psnr)}, {"ssim", summary(ssim)}};
}

Cell fake_cell(const std::string& attack, const std::string& access, double psnr, double ssim,
               const std::string& auxiliary = "none") {
  Cell cell;
  cell.protection = "s";
  cell.attack = attack;
  cell.threat_model = {"public", access, "same", auxiliary};
  cell.measures = figures(psnr, ssim);
  return cell;
}

std::vector<std::string> ids(const Cell& cell) {
  std::vector<std::string> out;
  for (const auto& flag : cell.flags) out.push_back(flag.id);
  return out;
}

TEST(Flags, NameWhatMakesAFigureWorthless) {
  std::vector<Cell> cells{
      fake_cell("look", "ciphertext_only", 8, 0.3), fake_cell("gan", "ciphertext_only", 15, 0.6),
      fake_cell("itn", "exact_pairs", 14, 0.5), fake_cell("weak", "exact_pairs", 11, 0.05),
      fake_cell("good", "chosen_plaintext", 30, 0.9)};
  cells[4].diversity = 0.01;
  set_flags(cells, std::vector<record::Baseline>{{"mean picture", "", figures(12, 0.1)}});
  using V = std::vector<std::string>;
  EXPECT_EQ(ids(cells[0]), V{}) << "trivial guesses are what others are measured by";
  EXPECT_EQ(ids(cells[1]), V{});
  EXPECT_EQ(ids(cells[2]), V{"beaten_by_less"});
  EXPECT_EQ(ids(cells[3]), (V{"weaker_than_trivial", "beaten_by_less"}));
  EXPECT_EQ(ids(cells[4]), V{"constant_output"});
}

TEST(Flags, PlainPicturesAreSomethingToHave) {
  std::vector<Cell> cells{fake_cell("fr", "ciphertext_only", 15, 0.3),
                          fake_cell("gan", "ciphertext_only", 14, 0.1, "same_distribution"),
                          fake_cell("itn-unrelated", "public_transform", 14, 0.1, "unrelated"),
                          fake_cell("itn", "public_transform", 14, 0.05, "same_distribution"),
                          fake_cell("itn-position", "exact_pairs", 14, 0.2),
                          fake_cell("retrieval", "ciphertext_only", 99, 1, "candidates")};
  set_flags(cells, {});
  EXPECT_TRUE(cells[0].flags.empty()) << "candidates are another kind of knowledge";
  for (size_t i = 1; i <= 4; ++i) EXPECT_EQ(ids(cells[i])[0], "beaten_by_less") << i;
  EXPECT_EQ(cells[3].flags.size(), 3u) << "by fr, gan and itn-unrelated";
  EXPECT_TRUE(cells[5].flags.empty());
}

TEST(Flags, TrainingsThatHadNotEnded) {
  EXPECT_FALSE(training_flag({false, 0.01}));
  EXPECT_EQ(training_flag({false, 0.2})->id, record::kUnderTrained);
  EXPECT_EQ(training_flag({true, 0})->id, record::kUnderTrained);
  const test::TemporaryFolder folder;
  write_file(folder / "log.jsonl",
             "{\"event\":\"validation\",\"epoch\":1,\"figures\":{\"loss\":0.5}}\n{\"step\":3}\n"
             "{\"event\":\"validation\",\"epoch\":2,\"figures\":{\"loss\":0.4}}\n",
             Overwrite::No);
  EXPECT_NEAR(last_epoch(folder.path()).improvement, 0.2, 1e-12);
  write_file(folder / "log.jsonl", "{}\n", Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"log.jsonl", "no validation"},
                     [&] { last_epoch(folder.path()); });
  write_file(folder / "log.jsonl", std::string(100'000, '['), Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"log.jsonl", "deeper than"},
                     [&] { last_epoch(folder.path()); });
}

TEST(Flags, AQuarterOfThePublishedEpochsIsEnough) {
  EXPECT_EQ(epochs_flag(2, 25)->id, record::kUnderTrained);
  EXPECT_EQ(epochs_flag(6, 25)->text,
            "trained for 6 of the published 25 epochs, less than a quarter");
  EXPECT_FALSE(epochs_flag(7, 25));
  EXPECT_TRUE(epochs_flag(24, 100));
  EXPECT_FALSE(epochs_flag(25, 100));
  EXPECT_FALSE(epochs_flag(1, 0)) << "of no adversarial training";
}

}  // namespace
}  // namespace veilnet::measure
