// The whole matrix at tiny scale: the canary must be broken, the honest reference must not, and
// figures that mean nothing must be flagged.
#include "experiment/matrix.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/files.h"
#include "data/sources.h"
#include "experiment/phi.h"
#include "image/codecs.h"
#include "nn/model.h"
#include "record/io.h"
#include "record/result.h"
#include "report/verdict.h"
#include "support.h"

namespace veilnet::experiment {
namespace {

Experiment experiment_of(const test::TemporaryFolder& folder, const std::string& schemes) {
  auto config = Config::parse(
      "name = 't'\nruns = '" + folder.path().string() +
          "'\n[compute]\nthreads = 1\n[data]\ntrain_size = 80\ntest_size = 20\n"
          "[classifier]\ndepth = 8\nepochs = 1\n[transform]\nepochs = 1\n"
          "[attack]\nwidth = 2\nbatch_size = 16\n[attacks]\nknown = 40\nattacked = 20\nepochs = 1\n"
          "transports = ['jpeg:50']\nschemes = " +
          schemes + "\n",
      "test.toml");
  auto e = read_experiment(config);
  e.phi.file = drawn_phi(folder.path());
  e.phi.layer = "relu1_1";
  return e;
}

const record::Cell& cell(const record::Matrix& matrix, const std::string& protection,
                         const std::string& attack) {
  const auto* found = matrix.cell(protection, attack);
  if (!found) throw std::runtime_error("no cell " + protection + " " + attack);
  return *found;
}

double exact(const record::Cell& cell) { return *record::share(cell.measures, "exact"); }
double median_ssim(const record::Cell& cell) {
  return record::distribution(cell.measures, "ssim")->median;
}
std::string text(const record::Matrix& matrix) {
  std::string out;
  for (const auto& cell : matrix.cells) out += record::to_json(cell);
  return out;
}

TEST(Attacks, CanaryIsBrokenAndNoiseIsNot) {
  const test::TemporaryFolder folder;
  const auto e = experiment_of(folder, "['pe-same', 'random']");
  const auto matrix = run_attacks(e);

  for (const std::string attack : {"chosen-plaintext", "known-plaintext"}) {
    EXPECT_EQ(exact(cell(matrix, "pe-same", attack)), 1.0) << attack;
    EXPECT_FALSE(cell(matrix, "random", attack).refused.empty()) << attack;
  }
  EXPECT_NE(cell(matrix, "pe-same", "brute-force").refused.find("2^64 keys"), std::string::npos);
  const auto verdict = report::verdict(matrix, "pe-same");
  EXPECT_EQ(verdict.rebuilt.severity, report::Severity::All);
  EXPECT_EQ(exact(cell(matrix, "pe-same", "retrieval")), 1.0);
  const auto result = record::attacks_result("attacks", matrix);
  EXPECT_EQ(result.metrics.at("canary_broken").value, 1);
  EXPECT_EQ(result.metrics.at("chosen_plaintext_pe_exact").value, 1.0);

  // Whatever is recovered from pictures that hold nothing is no better than the mean picture.
  for (const auto& c : matrix.cells) {
    if (c.protection != "random" || !c.refused.empty()) continue;
    EXPECT_LT(median_ssim(c), 0.5) << c.attack;
    EXPECT_LE(exact(c), 0.25) << c.attack;
    if (c.attack == "itn" || c.attack == "sia-gan") {
      EXPECT_FALSE(c.flags.empty()) << c.attack;
    }
  }
  EXPECT_NE(report::verdict(matrix, "random").rebuilt.severity, report::Severity::All);

  EXPECT_EQ(text(run_attacks(e)), text(matrix)) << "finished cells are kept";
  EXPECT_NE(cell(matrix, "random", "itn-unrelated").refused.find("synthetic"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(attacks_folder(e) / "report.html"));
  EXPECT_EQ(matrix.attributes.size(), 8u);
  ASSERT_EQ(matrix.transport.size(), 2u);
  EXPECT_LT(record::distribution(matrix.transport[0].measures, "ssim")->median, 1)
      << "jpeg does not leave bytes alone";

  auto few = experiment_of(folder, "['random']");
  few.name = "few";
  few.attacks.known = 19;
  test::expect_error(ErrorCode::InvalidArgument, {"19 pictures", "20 or more"},
                     [&] { run_attacks(few); });
  const auto path = e.folder() / "attacks" / "small" / "pe-same" / "fr" / "cell.json";
  write_file(path, std::string_view("{}\n"), Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {path.string(), "run.json"}, [&] { run_attacks(e); });
}

// An experiment that trains in seconds, with these further settings of [transform], and tables.
Experiment tiny(const test::TemporaryFolder& folder, const std::string& transform,
                const std::string& tables = "") {
  auto config =
      Config::parse("name = 't'\nanyway = true\nruns = '" + folder.path().string() +
                        "'\n[compute]\nthreads = 1\n[data]\ntrain_size = 200\ntest_size = 150\n"
                        "[classifier]\ndepth = 8\nepochs = 1\n[phi]\nepochs = 1\n"
                        "[transform]\nwidth = 2\nencoder_epochs = 1\nepochs = 1\n" +
                        transform + "[attack]\nwidth = 2\nepochs = 1\n" + tables,
                    "test.toml");
  auto e = read_experiment(config);
  e.phi.file = drawn_phi(folder.path());
  e.phi.layer = "relu1_1";
  return e;
}

TEST(Attacks, ShardsDivideTheCellsAndTheWholePutsThemTogether) {
  const test::TemporaryFolder folder;
  const auto e = experiment_of(folder, "['pe-same', 'le']");
  const auto cells = [&] {
    std::map<std::string, std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path()))
      if (entry.path().filename() == "cell.json")
        found[entry.path().string()] = read_text(entry.path(), 1 << 30);
    return found;
  };
  run_attacks(e, {0, 2});
  const auto first = cells();
  EXPECT_FALSE(std::filesystem::exists(attacks_folder(e) / "matrix.json"));
  run_attacks(e, {1, 2});
  const auto both = cells();
  EXPECT_GT(first.size(), 3u);
  EXPECT_GT(both.size(), first.size() + 3);
  for (const auto& [path, text] : first) EXPECT_EQ(both.at(path), text) << path;

  const auto matrix = run_attacks(e);
  EXPECT_EQ(cells(), both) << "nothing was left to measure, and nothing measured again";
  EXPECT_EQ(std::ranges::count_if(matrix.cells, [](auto& cell) { return cell.refused.empty(); }),
            static_cast<std::ptrdiff_t>(both.size()));
  EXPECT_FALSE(matrix.curve.empty());
}

TEST(Rehearsal, TriesEveryTrainingAndWritesNothing) {
  const test::TemporaryFolder folder;
  auto e = tiny(folder, "");
  std::filesystem::remove(e.phi.file);
  e.phi.file.clear();
  const auto rehearsed = [](Experiment experiment, const auto& work) {
    train::Rehearsal rehearsal;
    experiment.rehearsal = &rehearsal;
    work(experiment);
    return rehearsal.trainings;
  };
  const auto main = [](const Experiment& tried) { reproduce(tried); };
  const auto before = rehearsed(e, main);
  ASSERT_EQ(before.size(), 5u) << "psi, the VGG for phi, encoder, h, attack";
  for (const auto& one : before) {
    EXPECT_FALSE(one.finished) << one.title;
    EXPECT_GT(one.seconds, 0) << one.title;
    EXPECT_EQ(one.steps, 5) << one.title << ": 180 pictures in batches of 32";
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));

  reproduce(e);
  for (const auto& one : rehearsed(e, main)) EXPECT_TRUE(one.finished) << one.title;
  const auto attacks = rehearsed(e, [](Experiment tried) {
    tried.attacks.schemes = {"transform", "le"};
    tried.attacks.known = 40;
    tried.attacks.attacked = 20;
    run_attacks(tried);
  });
  const auto trained = [&](const std::string& title) {
    return std::ranges::any_of(attacks,
                               [&](const auto& one) { return one.title.ends_with(title); });
  };
  EXPECT_TRUE(trained(": itn"));
  EXPECT_TRUE(trained("le: sia-gan"));
  EXPECT_FALSE(std::filesystem::exists(attacks_folder(e)));
}

TEST(Attacks, NoneBeatsTheBoundOfACode) {
  const test::TemporaryFolder folder;
  const auto matrix = reproduce(tiny(folder, "kind = 'coded'\nbits = 4\n"), Mode::Complete);
  const auto& h = matrix.protections.front();
  EXPECT_EQ(h.label, "coded4-a0.005");
  ASSERT_TRUE(h.provenance.contains("verdict"));
  EXPECT_NE(h.provenance.at("verdict").find("protect"), std::string::npos);
  ASSERT_TRUE(h.bound);
  EXPECT_EQ(h.bound->bits, 4u);
  EXPECT_EQ(h.bound->pictures, 150u);
  EXPECT_LE(h.bound->distinct, 16u);
  EXPECT_LE(h.bound->reidentified.at("100"), 0.16);
  EXPECT_GE(h.bound->psnr_db, h.bound->mean_psnr_db - 0.5);
  for (const auto& c : matrix.cells) {
    for (const auto& flag : c.flags) EXPECT_NE(flag.id, "beats_bound") << c.attack << flag.text;
  }
  EXPECT_TRUE(cell(matrix, h.label, "code-means").refused.empty());
  EXPECT_LE(*record::share(cell(matrix, h.label, "code-means").measures, "reidentified"), 0.16);
}

// A kept figure knows what it was made from.
TEST(Attacks, CellsAreMeasuredAgainWhenTheirModelOrBudgetChanges) {
  const test::TemporaryFolder folder;
  auto e = experiment_of(folder, "['transform', 'le']");
  e.attacks.only = {"look", "itn", "fr"};
  e.attacks.attributes = e.attacks.curve = false;
  e.attacks.transports = {};
  e.classifier.depth = 8;
  e.anyway = true;  // 80 pictures teach nothing
  e.transform.width = 2;
  e.transform.options.encoder_epochs = 0;
  const auto w = open_workspace(e);
  const auto train = [&] {
    const auto psi = train_classifier(e, w, Mode::Complete);
    train_transform(e, w, psi, Mode::Complete);
  };
  train();
  const auto h = "transform-a" + alpha_text(e.transform.options.alpha);
  const auto inverse = attacks_folder(e) / h / "itn" / "training" / "model.safetensors";
  const auto before = run_attacks(e);
  const auto attacker = read_file(inverse, 1 << 30);
  e.transform.recipe.seed = 7;
  train();
  const auto after = run_attacks(e);
  EXPECT_NE(record::to_json(cell(after, h, "look")), record::to_json(cell(before, h, "look")))
      << "the leak of the old h";
  EXPECT_NE(read_file(inverse, 1 << 30), attacker) << "learned from the old h";
  EXPECT_EQ(record::to_json(cell(after, "le", "fr")), record::to_json(cell(before, "le", "fr")))
      << "le does not depend on h";
  e.attacks.attacked = 10;
  EXPECT_EQ(cell(run_attacks(e), "le", "fr").n, 10u);
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
  auto e = experiment_of(folder, "['pixelate']");
  e.data.source = "folder";
  e.data.path = folder / "data";
  e.attacks.known = 20;
  e.attacks.only = {"itn-unrelated"};
  e.attacks.attributes = e.attacks.curve = false;
  const auto matrix = run_attacks(e);
  const auto& c = cell(matrix, "pixelate", "itn-unrelated");
  EXPECT_EQ(c.threat_model.auxiliary, "unrelated");
  EXPECT_EQ(std::get<int64_t>(c.budget.at("training pairs")), 20);
}

TEST(Attacks, LearnFromLossyPicturesAsTheyArrive) {
  const test::TemporaryFolder folder;
  auto e = experiment_of(folder, "['pixelate']");
  e.attacks.only = {"itn"};
  e.attacks.transports = {"png", "jpeg:20", "resize:0.5"};
  e.attacks.attributes = e.attacks.curve = false;
  const auto matrix = run_attacks(e);
  ASSERT_EQ(matrix.transport.size(), 3u);
  for (const auto& t : matrix.transport) EXPECT_TRUE(t.attack.starts_with("itn")) << t.attack;
  const auto itn = attacks_folder(e) / "pixelate" / "itn";
  EXPECT_TRUE(std::filesystem::exists(itn / "training-jpeg-20" / "model.safetensors"));
  for (const char* none : {"training-png", "training-resize-0.5"})
    EXPECT_FALSE(std::filesystem::exists(itn / none)) << none;
  const auto first_weight = [&](const char* training) {
    return nn::load_model(itn / training / "model.safetensors").net->parameters()[0];
  };
  EXPECT_FALSE(torch::equal(first_weight("training"), first_weight("training-jpeg-20")))
      << "the same seed, other pictures";
}

TEST(Defences, TrainWhatIsMissingAndStandSideBySide) {
  const test::TemporaryFolder folder;
  const auto matrix = reproduce_defences(
      tiny(folder, "freeze_encoder = true\n",
           "[attacks]\nschemes = ['transform', 'coded3', 'coded3-eps2', 'minmax', 'nopeek', 'le', "
           "'noise']\n"
           "only = ['look', 'code-means', 'retrieval']\nattacked = 60\nknown = 60\n"
           "attributes = false\ncurve = false\ntransports = []\n"));
  std::vector<std::string> labels;
  for (const auto& p : matrix.protections) labels.push_back(p.label);
  EXPECT_EQ(labels,
            (std::vector<std::string>{"transform-a0.005", "coded3-a0.005", "coded3-a0.005-eps2",
                                      "minmax-a0.0", "nopeek-a0.0", "le", "noise"}));
  const auto* chance = matrix.protection("coded3-a0.005-eps2");
  ASSERT_TRUE(chance->bound && chance->bound->epsilon);
  EXPECT_LE(*chance->bound->epsilon_seen, 2);
  EXPECT_TRUE(chance->local_accuracy && chance->client_gflop);
  EXPECT_FALSE(matrix.protection("le")->client_gflop);
  EXPECT_FALSE(matrix.protection("le")->unbiased_psnr_db);
  EXPECT_NEAR(*matrix.protection("noise")->unbiased_psnr_db, 12.01, 0.01) << "64 of 255 steps";
  const auto result = record::defences_result("defences", matrix);
  for (const char* name : {"paper_h_accuracy", "coded3_accuracy", "coded3_mmse_psnr_db",
                           "coded_eps2_accuracy", "coded_eps2_bits", "eps2_audit_lower_bound",
                           "minmax_accuracy", "nopeek_accuracy", "local_classifier_accuracy"})
    EXPECT_TRUE(result.metrics.contains(name)) << name;
  EXPECT_EQ(result.metrics.at("coded_eps2_bits").value, 3);
}

TEST(Services, OneProtectedPictureServesTwo) {
  const test::TemporaryFolder folder;
  auto other = experiment_of(folder, "[]");
  other.name = "other";
  other.classifier.depth = 8;
  const auto w = open_workspace(other);
  train_classifier(other, w, Mode::Complete);
  auto e = tiny(folder, "freeze_encoder = true\n",
                "[attacks]\nschemes = ['coded4', 'coded4-shared']\nonly = ['look']\nattacked = 20\n"
                "known = 40\nattributes = false\ncurve = false\ntransports = []\n");
  e.transform.services = {(other.classifier_folder() / "model.safetensors").string()};
  const auto matrix = reproduce_defences(e);
  for (const char* label : {"coded4-a0.005", "coded4shared-a0.005"}) {
    ASSERT_NE(matrix.protection(label), nullptr) << label;
    const auto& services = matrix.protection(label)->services;
    ASSERT_EQ(services.size(), 1u) << label;
    EXPECT_EQ(services[0].classes, 10u);
    EXPECT_GT(services[0].agreement, 0);
    EXPECT_TRUE(services[0].accuracy && services[0].plain_accuracy) << "it knows the same names";
    const auto run = experiment_of_run(e.folder() / label, {});
    EXPECT_EQ(run.transform.bits, 4);
    EXPECT_EQ(run.attacks.schemes, std::vector<std::string>{"transform"});
  }
  const auto result = record::defences_result("services", matrix);
  EXPECT_TRUE(result.metrics.contains("coded4_accuracy"));
  EXPECT_TRUE(result.metrics.contains("coded4shared_accuracy"));
  e.transform.services = {(folder / "none.safetensors").string()};
  test::expect_error(ErrorCode::NotFound, {"none.safetensors"}, [&] { reproduce_defences(e); });
}

}  // namespace
}  // namespace veilnet::experiment
