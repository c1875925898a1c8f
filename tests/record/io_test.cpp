#include "record/io.h"

#include <nlohmann/json.hpp>

#include "record/matrices.h"
#include "record/papers.h"
#include "record/result.h"
#include "support.h"

namespace veilnet::record {
namespace {

using nlohmann::json;
using test::expect_error;

json as_json(const Matrix& m) { return json::parse(to_json(m)); }
Matrix parsed(const json& j) { return from_json<Matrix>(j.dump(), "m.json"); }

TEST(Records, EverythingComesBackAsItWasWritten) {
  const auto text = to_json(test::matrix());
  const auto back = from_json<Matrix>(text, "m.json");
  EXPECT_EQ(to_json(back), text);
  EXPECT_EQ(back.data.train, 45000u);
  EXPECT_EQ(back.protections[0].paper->accuracy, 0.8518);
  EXPECT_FALSE(back.protections[1].accuracy);
  const auto* known = back.cell("le", "known-plaintext");
  ASSERT_NE(known, nullptr);
  EXPECT_EQ(distribution(known->measures, "psnr_db")->max, std::numeric_limits<double>::infinity());
  EXPECT_EQ(share(known->measures, "exact"), 1.0);
  EXPECT_EQ(known->values.at("ssim").size(), 3u);
  EXPECT_EQ(back.cell("h", "known-plaintext")->refused, "it has no key");
  EXPECT_EQ(back.cell("le", "gan")->flags[0].id, "weaker_than_trivial");
  EXPECT_EQ(std::get<std::int64_t>(back.budget.at("epochs")), 2);
  EXPECT_EQ(std::get<double>(back.budget.at("share")), 0.5);
  EXPECT_EQ(back.curve[0].points[1].budget, 1000);
  EXPECT_EQ(back.provenance.stages.at("psi"), "c0de");
}

TEST(Records, ServicesComeBackToo) {
  auto m = test::matrix();
  m.protections[1].services = {{"resnet-8", 20, 0.9, 0.7, std::nullopt}};
  m.protections[1].local_gflop = 0.25;
  const auto back = from_json<Matrix>(to_json(m), "m.json").protections[1];
  EXPECT_EQ(back.local_gflop, 0.25);
  ASSERT_EQ(back.services.size(), 1u);
  EXPECT_EQ(back.services[0].classifier, "resnet-8");
  EXPECT_EQ(back.services[0].classes, 20u);
  EXPECT_EQ(back.services[0].agreement, 0.9);
  EXPECT_EQ(back.services[0].accuracy, 0.7);
  EXPECT_FALSE(back.services[0].plain_accuracy);
}

TEST(Records, ACellAndListsAreFilesOfTheirOwn) {
  const test::TemporaryFolder folder;
  const auto m = test::matrix();
  write(folder / "cell.json", m.cells[0], Overwrite::No);
  EXPECT_EQ(to_json(read<Cell>(folder / "cell.json")), to_json(m.cells[0]));
  write(folder / "transport.json", m.transport, Overwrite::No);
  EXPECT_EQ(read<std::vector<Transport>>(folder / "transport.json")[0].accuracy, 0.7654);
  expect_error(ErrorCode::NotFound, {"none.json"}, [&] { read<Cell>(folder / "none.json"); });
}

TEST(Records, WhatIsMalformedIsRefusedByFileAndKey) {
  const auto change = [](const std::string& pointer, const json& value) {
    auto j = as_json(test::matrix());
    j[json::json_pointer(pointer)] = value;
    return j;
  };
  const auto refuse = [](const json& j, auto... words) {
    expect_error(ErrorCode::BadData, {"m.json", words...}, [&] { parsed(j); });
  };
  refuse(change("/cells/0/n", "many"), "cells[0].n: expected a count", "string");
  refuse(change("/cells/0/n", -1), "cells[0].n: expected a count");
  refuse(change("/cells/0/n", 0), "gan on le", "n is 0");
  refuse(change("/cells/0/protection", "x"), "'x'");
  refuse(change("/cells/0/attack", "known-plaintext"), "known-plaintext on le occurs twice");
  refuse(change("/cells/0/measures/exact", 1.5), "exact", "1.5", "0 to 1");
  refuse(change("/cells/0/measures/exact", as_json(test::matrix())["cells"][0]["measures"]["ssim"]),
         "exact", "summary", "share");
  refuse(change("/cells/0/measures/ssim/max", 1.5), "measures.ssim.max", "1.5");
  refuse(change("/cells/0/measures/lpips", 0.5), "lpips");
  refuse(change("/cells/0/candidates", 0), "candidates is 0");
  refuse(change("/cells/0/threat_model", 3), "threat_model", "an object", "number");
  refuse(change("/cells/0/values/ssim", json::array({0.5, "high"})), "values.ssim[1]");
  refuse(change("/protections/0/keys", "some"), "'some'", "independent");
  refuse(change("/protections/1/label", "le"), "'le' occurs twice");
  refuse(change("/protections/1/label", "../up"), "../up", "folder");
  refuse(change("/protections/0/accuracy", 1.25), "accuracy is 1.25");
  refuse(change("/protections", json::array()), "protections is empty");
  refuse(change("/curve/0/points/0/budget", 0), "budget is 0");
  refuse(change("/attributes/0/chance", -0.5), "chance is -0.5");
  refuse(change("/transport/0/accuracy", 7), "accuracy is 7");
  refuse(change("/record_version", 1), "record_version is 1", "2");
  auto j = as_json(test::matrix());
  j.erase("record_version");
  refuse(j, "record_version is missing");
  j = as_json(test::matrix());
  j["cells"][0].erase("measures");
  refuse(j, "cells[0].measures is missing");
  expect_error(ErrorCode::BadData, {"m.json"}, [] { from_json<Matrix>("{", "m.json"); });
  expect_error(ErrorCode::BadData, {"m.json", "record_version"},
               [] { from_json<Matrix>("[]", "m.json"); });
  expect_error(ErrorCode::BadData, {"m.json", "deeper"},
               [] { from_json<Matrix>(std::string(20000, '['), "m.json"); });
}

TEST(Records, WhatIsMalformedIsNotWritten) {
  auto m = test::matrix();
  m.cells[0].protection = "x";
  expect_error(ErrorCode::BadData, {"'x'"}, [&] { to_json(m); });
}

TEST(Records, BytesThatAreNoTextDoNotStopARecord) {
  auto m = test::matrix();
  m.title = "\xff";
  EXPECT_EQ(from_json<Matrix>(to_json(m), "m.json").title, "\xEF\xBF\xBD");
}

TEST(Records, FoldersOfTheMachineStayThere) {
  EXPECT_EQ(without_folders("path = \"/home/me/data/cifar/\""), "path = \"cifar\"");
  EXPECT_EQ(without_folders("--config /home/me/runs/x/config.toml -o /tmp/out"),
            "--config config.toml -o out");
  EXPECT_EQ(without_folders("/a/b, '/c/d', (/e/f)=/g/h"), "b, 'd', (f)=h");
  for (const char* stays : {"SSIM plain/protected", "1 / 2", "https://example.org/a/b", "runs/demo",
                            "images/s", "/", ""})
    EXPECT_EQ(without_folders(stays), stays);
  auto m = test::matrix();
  m.commands = {"veilnet reproduce --config /home/me/runs/demo/config.toml"};
  m.provenance.config = "[data]\npath = \"/home/me/cifar\"\n";
  m.protections[1].provenance["phi"] = "relu2_2 of /home/me/vgg.safetensors";
  EXPECT_EQ(to_json(m).find("/home"), std::string::npos);
}

TEST(Measures, AreInOneTable) {
  for (const auto& m : measures()) EXPECT_EQ(&measure(m.id), &m);
  expect_error(ErrorCode::InvalidArgument, {"'lpips'", "psnr_db", "named"},
               [] { measure("lpips"); });
}

TEST(Measures, TheWorstHundredthIsTheEndThatLeaks) {
  const auto s = test::summary({-0.9, 0.1});
  EXPECT_EQ(worst_hundredth(measure("ssim"), s), s.p01) << "an inverted picture shows as much";
  EXPECT_EQ(worst_hundredth(measure("ssim"), test::summary({-0.1, 0.9})),
            test::summary({-0.1, 0.9}).p99);
  EXPECT_EQ(worst_hundredth(measure("psnr_db"), s), s.p99);
  EXPECT_EQ(worst_hundredth(measure("feature_distance"), test::summary({1, 2})), 1.01);
}

TEST(Papers, HaveTheirFiguresInOneTable) {
  EXPECT_EQ(paper_figure("transform-a0.005", "cifar10")->accuracy, 0.9172);
  EXPECT_NE(paper_figure("ele", "cifar100")->source.find("2001.07761"), std::string::npos);
  EXPECT_FALSE(paper_figure("transform-a0.005", "synthetic"));
  EXPECT_FALSE(paper_figure("blur", "cifar10"));
}

TEST(Results, OfTheMainExperiment) {
  auto m = test::matrix();
  std::swap(m.protections[0], m.protections[1]);
  auto& h = m.protections[0];
  h.accuracy = 0.75;
  h.accuracy_float = 0.76;
  h.plain_accuracy = 0.8;
  h.paper = {0.9172, "there"};
  expect_error(ErrorCode::BadData, {"h", "look"}, [&] { experiment_result("x", m); });
  m.cells.push_back(test::cell("h", "look", {0.01, 0.03}));
  m.cells.push_back(test::cell("h", "itn", {0.1, 0.2, 0.6}));
  m.cells.back().measures["named"] = 0.25;
  const auto r = experiment_result("x", m);
  EXPECT_EQ(r.metrics.at("protected_accuracy").value, 0.76);
  EXPECT_EQ(r.metrics.at("protected_accuracy").paper, 0.9172);
  EXPECT_EQ(r.metrics.at("protected_accuracy_png8").value, 0.75);
  EXPECT_NEAR(r.metrics.at("accuracy_gap_points").value, 4, 1e-9);
  EXPECT_NEAR(r.metrics.at("ssim_plain_protected_mean").value, 0.02, 1e-9);
  EXPECT_EQ(r.metrics.at("ssim_plain_protected_mean").n, 2u);
  EXPECT_NEAR(r.metrics.at("itn_ssim_mean").value, 0.3, 1e-9);
  EXPECT_EQ(r.metrics.at("itn_images").value, 20);
  EXPECT_EQ(r.metrics.at("itn_reconstruction_accuracy").value, 0.25);
  EXPECT_EQ(r.metrics.at("mean_image_psnr_db").value, 13);
  EXPECT_TRUE(r.matrix.cells.back().values.empty()) << "single pictures stay in the run folder";
  const auto back = from_json<Result>(to_json(r), "r.json");
  EXPECT_EQ(back.metrics.at("itn_ssim_mean").spread, r.metrics.at("itn_ssim_mean").spread);
  EXPECT_EQ(back.metrics.at("itn_images").value, 20);
  // Anyone's program finds the figures where they always were.
  const auto j = json::parse(to_json(r));
  EXPECT_EQ(j["metrics"]["itn_images"], 20);
  EXPECT_EQ(j["commit"], "abc1234");
  EXPECT_EQ(j["stages"]["psi"], "c0de");
  m.protections[0].accuracy_float.reset();
  EXPECT_EQ(experiment_result("x", m).metrics.at("protected_accuracy").value, 0.75)
      << "where chance decides, of what is sent";
  m.protections[0].accuracy.reset();
  expect_error(ErrorCode::BadData, {"accuracy"}, [&] { experiment_result("x", m); });
}

TEST(Results, OfARowAndOfAttacks) {
  auto m = test::matrix();
  m.cells.push_back(test::cell("le", "look", {0.01, 0.03}));
  const auto row = row_result("table1-synthetic-le", m);
  EXPECT_EQ(row.metrics.at("accuracy").value, 0.8125);
  EXPECT_EQ(row.metrics.at("accuracy").paper, 0.8518);
  EXPECT_EQ(row.metrics.at("key_space_bits").value, 361);
  EXPECT_NEAR(row.metrics.at("ssim_mean").value, 0.02, 1e-9);
  m.cells.push_back(test::cell("le", "chosen-plaintext", {1, 1}, 1));
  const auto attacks = attacks_result("attacks-synthetic", m);
  EXPECT_EQ(attacks.metrics.at("cells").value, 5) << "without the refused one";
  EXPECT_EQ(attacks.metrics.at("flagged_cells").value, 1);
  EXPECT_EQ(attacks.metrics.at("known_plaintext_le_exact").value, 1);
  EXPECT_EQ(attacks.metrics.at("chosen_plaintext_le_exact").value, 1);
  EXPECT_FALSE(attacks.metrics.contains("canary_broken"));
  m.protections.erase(m.protections.begin());
  expect_error(ErrorCode::BadData, {"'le'"}, [&] { row_result("x", m); });
}

}  // namespace
}  // namespace veilnet::record
