// The whole matrix at tiny scale: the canary must be broken, the honest reference must not, and
// figures that mean nothing must be flagged.
#include "eval/attacks.h"

#include <algorithm>

#include "attack/suite.h"
#include "data/sources.h"
#include "eval/attack_report.h"
#include "eval/leak.h"
#include "eval/summary.h"
#include "image/codecs.h"
#include "support.h"

namespace veilnet::eval {
namespace {

using nlohmann::json;

experiment::Experiment experiment_with(const test::TemporaryFolder& folder,
                                       const std::string& schemes) {
  auto config = Config::parse(
      "name = 't'\nruns = '" + folder.path().string() +
          "'\n[compute]\nthreads = 1\n[data]\ntrain_size = 80\ntest_size = 20\n"
          "[attack]\nwidth = 2\nbatch_size = 16\n[attacks]\nknown = 40\nattacked = 20\nepochs = 2\n"
          "transports = ['jpeg:50']\nschemes = " +
          schemes + "\n",
      "test.toml");
  return experiment::read_experiment(config);
}

const json& cell(const json& matrix, const std::string& scheme, const std::string& attack) {
  const auto& cells = matrix.at("cells");
  const auto found = std::ranges::find_if(
      cells, [&](const json& c) { return c.at("scheme") == scheme && c.at("attack") == attack; });
  if (found == cells.end()) throw std::runtime_error("no cell " + scheme + " " + attack);
  return *found;
}

TEST(Attacks, CanaryIsBrokenAndNoiseIsNot) {
  const test::TemporaryFolder folder;
  const auto e = experiment_with(folder, "['pe-same', 'random']");
  const auto matrix = run_attacks(e);

  for (const std::string attack : {"chosen-plaintext", "known-plaintext"}) {
    EXPECT_EQ(cell(matrix, "pe-same", attack).at("exact"), 1.0) << attack;
    EXPECT_TRUE(cell(matrix, "random", attack).contains("refused")) << attack;
  }
  EXPECT_EQ(verdict(matrix, "pe-same").level, "broken");
  EXPECT_EQ(cell(matrix, "pe-same", "retrieval").at("exact"), 1.0);
  const auto record = attacks_record(e, matrix);
  EXPECT_EQ(record.at("metrics").at("canary_broken"), 1);
  EXPECT_EQ(record.at("metrics").at("chosen_plaintext_pe_exact"), 1.0);

  // Whatever is recovered from pictures that hold nothing is no better than the mean picture.
  for (const auto& c : matrix.at("cells")) {
    if (c.at("scheme") != "random" || c.contains("refused")) continue;
    const auto name = c.at("attack").get<std::string>();
    EXPECT_LT(number_from_json(c.at("ssim").at("median"), "median"), 0.5) << name;
    EXPECT_EQ(c.at("exact").get<double>() > 0.25, false) << name;
    if (name == "itn" || name == "sia-gan") {
      EXPECT_FALSE(c.at("flags").empty()) << name;
    }
  }
  EXPECT_NE(verdict(matrix, "random").level, "broken");

  // Threat models go with the figures, and every figure can be read back.
  for (const auto& c : matrix.at("cells")) {
    if (!c.contains("refused")) {
      EXPECT_EQ(c.at("threat_model").size(), 4u);
    }
  }
  EXPECT_EQ(run_attacks(e).at("cells"), matrix.at("cells")) << "finished cells are kept";
  EXPECT_NE(
      cell(matrix, "random", "itn-unrelated").at("refused").get<std::string>().find("synthetic"),
      std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(e.folder() / "attacks" / "small" / "report.html"));
  EXPECT_EQ(matrix.at("attributes").size(), 8u);
  ASSERT_EQ(matrix.at("transport").size(), 2u);
  EXPECT_LT(number_from_json(matrix["transport"][0].at("ssim").at("median"), "ssim"), 1)
      << "jpeg does not leave bytes alone";

  auto few = experiment_with(folder, "['random']");
  few.name = "few";
  few.attacks.known = 19;
  test::expect_error(ErrorCode::InvalidArgument, {"19 pictures", "20 or more"},
                     [&] { run_attacks(few); });
  const auto path = e.folder() / "attacks" / "small" / "pe-same" / "fr" / "cell.json";
  write_file(path, std::string_view("{}\n"), Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {path.string(), "run.json"}, [&] { run_attacks(e); });
}

// A kept figure knows what it was made from.
TEST(Attacks, CellsAreMeasuredAgainWhenTheirModelOrBudgetChanges) {
  const test::TemporaryFolder folder;
  auto e = experiment_with(folder, "['transform', 'le']");
  e.attacks.only = {"look", "itn", "fr"};
  e.attacks.attributes = e.attacks.curve = false;
  e.attacks.transports = {};
  e.classifier.depth = 8;
  e.classifier.recipe.epochs = e.phi.epochs = e.transform.recipe.epochs = 1;
  e.phi.layer = "relu1_1";
  e.transform.width = 2;
  e.transform.options.encoder_epochs = 0;
  const auto w = experiment::open_workspace(e);
  const auto train = [&] {
    const auto psi = experiment::train_classifier(e, w, experiment::Mode::Complete);
    experiment::train_transform(e, w, psi, experiment::Mode::Complete);
  };
  train();
  const auto h = "transform-a" + experiment::alpha_text(e.transform.options.alpha);
  const auto inverse = e.folder() / "attacks" / "small" / h / "itn" / "training";
  const auto before = run_attacks(e);
  const auto attacker = read_file(inverse / "model.safetensors", 1 << 30);
  e.transform.recipe.seed = 7;
  train();
  const auto after = run_attacks(e);
  EXPECT_NE(cell(after, h, "look").at("ssim"), cell(before, h, "look").at("ssim"))
      << "the leak of the old h";
  EXPECT_NE(read_file(inverse / "model.safetensors", 1 << 30), attacker)
      << "learned from the old h";
  EXPECT_EQ(cell(after, "le", "fr"), cell(before, "le", "fr")) << "le does not depend on h";
  e.attacks.attacked = 10;
  EXPECT_EQ(cell(run_attacks(e), "le", "fr").at("n"), 10);
}

TEST(Attacks, AnAttackerWithPicturesOfAnotherKindTrainsOnThoseOnly) {
  const test::TemporaryFolder folder;
  const auto pictures = data::make_synthetic({1, 60, 10}).train;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const auto bytes = pictures.image(i);
    const auto class_folder =
        folder / "data" / "train" / pictures.class_names[static_cast<size_t>(pictures.labels[i])];
    std::filesystem::create_directories(class_folder);
    image::write_png(class_folder / (std::to_string(i) + ".png"),
                     {32, 32, {bytes.begin(), bytes.end()}}, Overwrite::No);
  }
  auto e = experiment_with(folder, "['pixelate']");
  e.data.source = "folder";
  e.data.path = folder / "data";
  e.attacks.known = 20;
  e.attacks.only = {"itn-unrelated"};
  e.attacks.attributes = e.attacks.curve = false;
  const auto matrix = run_attacks(e);
  const auto& c = cell(matrix, "pixelate", "itn-unrelated");
  EXPECT_EQ(c.at("threat_model").at("auxiliary"), "unrelated");
  EXPECT_EQ(c.at("budget").at("training pairs"), 20);
}

json fake_cell(const std::string& attack, const std::string& access, double psnr, double ssim,
               const std::string& auxiliary = "none") {
  const auto summary = [](double v) { return to_json(summarise(std::vector<double>{v, v})); };
  return {{"scheme", "s"},
          {"attack", attack},
          {"threat_model",
           {{"method", "public"}, {"access", access}, {"keys", "same"}, {"auxiliary", auxiliary}}},
          {"psnr_db", summary(psnr)},
          {"ssim", summary(ssim)},
          {"diversity", 1.0}};
}

std::vector<std::string> ids(const json& flags) {
  std::vector<std::string> out;
  for (const auto& flag : flags) out.push_back(flag.at("id"));
  return out;
}

TEST(Flags, NameWhatMakesAFigureWorthless) {
  auto mean = fake_cell("mean", "ciphertext_only", 12, 0.1);
  mean["name"] = "mean picture";
  auto cells = json::array(
      {fake_cell("look", "ciphertext_only", 8, 0.3), fake_cell("gan", "ciphertext_only", 15, 0.6),
       fake_cell("itn", "exact_pairs", 14, 0.5), fake_cell("weak", "exact_pairs", 11, 0.05),
       fake_cell("good", "chosen_plaintext", 30, 0.9)});
  cells[4]["diversity"] = 0.01;
  set_flags(cells, json::array({mean}));
  using V = std::vector<std::string>;
  EXPECT_EQ(ids(cells[0]["flags"]), V{}) << "trivial guesses are what others are measured by";
  EXPECT_EQ(ids(cells[1]["flags"]), V{});
  EXPECT_EQ(ids(cells[2]["flags"]), V{"beaten_by_less"});
  EXPECT_EQ(ids(cells[3]["flags"]), (V{"weaker_than_trivial", "beaten_by_less"}));
  EXPECT_EQ(ids(cells[4]["flags"]), V{"constant_output"});
}

TEST(Flags, PlainPicturesAreSomethingToHave) {
  auto cells = json::array({fake_cell("fr", "ciphertext_only", 15, 0.3),
                            fake_cell("gan", "ciphertext_only", 14, 0.1, "same_distribution"),
                            fake_cell("itn-unrelated", "public_transform", 14, 0.1, "unrelated"),
                            fake_cell("itn", "public_transform", 14, 0.05, "same_distribution"),
                            fake_cell("itn-position", "exact_pairs", 14, 0.2),
                            fake_cell("retrieval", "ciphertext_only", 99, 1, "candidates")});
  set_flags(cells, json::array());
  EXPECT_TRUE(cells[0]["flags"].empty()) << "candidates are another kind of knowledge";
  for (size_t i = 1; i <= 4; ++i) EXPECT_EQ(ids(cells[i]["flags"])[0], "beaten_by_less") << i;
  EXPECT_EQ(cells[3]["flags"].size(), 3u) << "by fr, gan and itn-unrelated";
  EXPECT_TRUE(cells[5]["flags"].empty());
}

TEST(Flags, TrainingsThatHadNotEnded) {
  EXPECT_TRUE(training_flags({{false, 0.01}}).empty());
  EXPECT_EQ(ids(training_flags({{false, 0.2}})), std::vector<std::string>{"under_trained"});
  EXPECT_EQ(ids(training_flags({{true, 0}})), std::vector<std::string>{"under_trained"});
  const test::TemporaryFolder folder;
  write_file(folder / "log.jsonl",
             "{\"event\":\"validation\",\"epoch\":1,\"figures\":{\"loss\":0.5}}\n{\"step\":3}\n"
             "{\"event\":\"validation\",\"epoch\":2,\"figures\":{\"loss\":0.4}}\n",
             Overwrite::No);
  EXPECT_NEAR(read_training(folder.path()).last_improvement, 0.2, 1e-12);
  write_file(folder / "log.jsonl", "{}\n", Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"log.jsonl", "no validation"},
                     [&] { read_training(folder.path()); });
}

TEST(Leak, MeasuresExactAndReidentified) {
  const auto plain = data::make_synthetic({7, 40, 10}).test;
  auto guess = test::bytes(plain.pictures.pixels());
  const train::Compute compute;
  const auto perfect = measure_leak(plain, guess, {}, compute);
  EXPECT_EQ(perfect.at("exact"), 1.0);
  EXPECT_EQ(perfect.at("reidentified"), 1.0);
  EXPECT_NEAR(perfect.at("diversity").get<double>(), 1, 1e-6);
  EXPECT_EQ(perfect.at("psnr_db").at("median"), "inf");
  guess[0] ^= 1;
  EXPECT_NEAR(measure_leak(plain, guess, {}, compute).at("exact").get<double>(), 0.9, 1e-12);
  const auto constant = measure_leak(plain, mean_picture(plain, 5), {}, compute);
  EXPECT_EQ(constant.at("n"), 5);
  EXPECT_EQ(constant.at("diversity"), 0.0);
  EXPECT_LE(constant.at("reidentified").get<double>(), 0.2);
  test::expect_error(ErrorCode::InvalidArgument, {"3071", "3072"},
                     [&] { measure_leak(plain, std::span(guess).first(3071), {}, compute); });
}

TEST(Suite, EveryAttackSaysUnderWhatItWorksOrWhyNot) {
  const test::TemporaryFolder folder;
  const auto e = experiment_with(folder, "[]");
  const auto w = experiment::open_workspace(e);
  for (const std::string label : {"le", "ele", "etc", "pe-same", "pe-independent", "pixel-shuffle",
                                  "bit-flip", "ffx", "blur", "pixelate", "noise", "random"}) {
    const auto victim = experiment::make_victim(e, w, label);
    for (const auto& attack : attack::attacks()) {
      const auto against = attack.against(victim);
      if (const auto* model = std::get_if<attack::ThreatModel>(&against)) {
        EXPECT_NO_THROW(check(*model)) << label << " " << attack.id;
        EXPECT_EQ(model->keys, victim.keys) << label << " " << attack.id;
      } else {
        EXPECT_FALSE(std::get<std::string>(against).empty());
      }
    }
  }
}

}  // namespace
}  // namespace veilnet::eval
