#include "eval/attack_report.h"

#include <limits>

#include "eval/summary.h"
#include "report/markup.h"
#include "report/text.h"
#include "support.h"

namespace veilnet::eval {

using namespace veilnet::report;
namespace {

using nlohmann::json;
using test::contains;
using test::flat;
using test::markup_fault;
using test::occurrences;

json summary(const std::vector<double>& values) { return to_json(summarise(values)); }

json cell(const std::string& scheme, const std::string& attack, const std::vector<double>& ssim,
          double exact = 0) {
  return {{"scheme", scheme},
          {"attack", attack},
          {"text", "Does " + attack + "."},
          {"threat_model",
           {{"method", "public"},
            {"access", "ciphertext_only"},
            {"keys", "same"},
            {"auxiliary", "none"}}},
          {"budget", {{"epochs", 2}}},
          {"n", 20},
          {"psnr_db", summary({10, 12.25})},
          {"ssim", summary(ssim)},
          {"exact", exact},
          {"ssim_values", ssim},
          {"flags", json::array()}};
}

json refused(const std::string& scheme, const std::string& attack, const std::string& why) {
  return {
      {"scheme", scheme}, {"attack", attack}, {"text", "Does " + attack + "."}, {"refused", why}};
}

json flag(const std::string& text) { return {{"id", "weaker_than_trivial"}, {"text", text}}; }

json matrix() {
  auto known = cell("le", "known-plaintext", {1, 1, 1}, 1);
  known["threat_model"]["access"] = "exact_pairs";
  known["psnr_db"] = summary({std::numeric_limits<double>::infinity()});
  auto gan = cell("le", "gan", {0.05, 0.1, 0.15});
  gan["flags"] = {flag("no better than guessing the mean picture")};
  gan["reidentified"] = 0.125;
  gan["candidates"] = 1000;
  gan["reconstruction_accuracy"] = 0.3456;
  gan["feature_distance"] = summary({0.75, 0.25});
  return {{"title", "Trial"},
          {"dataset",
           {{"name", "synthetic"},
            {"hash", "feed"},
            {"train", 45000},
            {"classes", 10},
            {"height", 8},
            {"width", 8}}},
          {"budget", {{"name", "small"}, {"epochs", 2}}},
          {"schemes",
           {{{"label", "le"},
             {"text", "learnable encryption"},
             {"keys", "same"},
             {"key_space_bits", 361},
             {"accuracy", 0.8125}},
            {{"label", "h"}, {"text", "a network"}, {"keys", "none"}}}},
          {"baselines",
           {{{"name", "mean picture"},
             {"text", "The mean."},
             {"psnr_db", summary({13})},
             {"ssim", summary({0.07})}}}},
          {"cells",
           {gan, known, refused("h", "known-plaintext", "it has no key"),
            cell("h", "gan", {0.3, 0.31, 0.32})}},
          {"transport",
           {{{"scheme", "h"},
             {"transport", "jpeg:50"},
             {"accuracy", 0.7654},
             {"ssim", summary({0.21})}}}},
          {"attributes",
           {{{"scheme", "le"}, {"attribute", "bright"}, {"accuracy", 0.9123}, {"chance", 0.5}}}},
          {"curve",
           {{{"scheme", "h"},
             {"attack", "gan"},
             {"budget_name", "training pairs"},
             {"points",
              {{{"budget", 100}, {"ssim", 0.1}, {"psnr_db", 9}},
               {{"budget", 1000}, {"ssim", 0.3}, {"psnr_db", "inf"}}}}}}},
          {"not_covered", {"Side channels."}},
          {"commands", {"veilnet reproduce attacks"}},
          {"provenance", {{"machine", {{"device", "cpu"}}}}}};
}

/// One scheme "s" with these cells.
json with_cells(std::vector<json> cells) {
  return {{"dataset", {{"classes", 10}, {"plain_accuracy", 0.9}}},
          {"schemes", {{{"label", "s"}, {"text", "t"}, {"keys", "none"}}}},
          {"cells", cells}};
}

std::string level(const json& c) { return verdict(with_cells({c}), "s").level; }

TEST(AttackVerdict, LevelsBeginWhereTheRulesSay) {
  const auto ssim = [](double v) { return cell("s", "a", {v, v}); };
  EXPECT_EQ(level(ssim(0.9)), "broken");
  EXPECT_EQ(level(ssim(0.89)), "leaks content");
  EXPECT_EQ(level(ssim(0.5)), "leaks content");
  EXPECT_EQ(level(ssim(0.49)), "leaks outlines");
  EXPECT_EQ(level(ssim(0.2)), "leaks outlines");
  EXPECT_EQ(level(ssim(0.19)), "nothing recognisable");
  EXPECT_EQ(level(cell("s", "a", {0.1, 0.1}, 0.5)), "broken");
  EXPECT_EQ(level(cell("s", "a", {0.1, 0.1}, 0.49)), "nothing recognisable");
  EXPECT_EQ(level(ssim(-0.95)), "broken") << "an inverted picture shows as much";
}

TEST(AttackVerdict, TheWorstHundredthCounts) {
  std::vector<double> values(98, 0.05);
  values.insert(values.end(), {0.6, 0.6});
  EXPECT_EQ(level(cell("s", "a", values)), "leaks outlines");
  values.insert(values.end(), 400, 0.05);
  EXPECT_EQ(level(cell("s", "a", values)), "nothing recognisable");
}

TEST(AttackVerdict, NamedReconstructionsAreContent) {
  auto c = cell("s", "a", {0.1, 0.1});
  c["reconstruction_accuracy"] = 0.51;  // (0.1 + 0.9) / 2 is the bound
  EXPECT_EQ(level(c), "leaks content");
  c["reconstruction_accuracy"] = 0.49;
  EXPECT_EQ(level(c), "nothing recognisable");
  auto m = with_cells({c});
  m["dataset"]["plain_accuracy"] = nullptr;
  m["cells"][0]["reconstruction_accuracy"] = 0.54;
  EXPECT_EQ(verdict(m, "s").level, "nothing recognisable");
  m["cells"][0]["reconstruction_accuracy"] = 0.56;
  EXPECT_EQ(verdict(m, "s").level, "leaks content");
  m["schemes"][0]["accuracy"] = 0.8;
  EXPECT_EQ(verdict(m, "s").level, "nothing recognisable") << "such pictures are made to be named";
  m["schemes"][0]["keys"] = "same";
  EXPECT_EQ(verdict(m, "s").level, "leaks content");
  m.erase("dataset");
  EXPECT_EQ(verdict(m, "s").level, "nothing recognisable") << "chance is unknown";
}

TEST(AttackVerdict, ReidentificationIsContentNotRecovery) {
  auto c = cell("s", "retrieval", {1, 1}, 1);
  c["threat_model"]["auxiliary"] = "candidates";
  c["reidentified"] = 0.5;
  c["candidates"] = 10;
  EXPECT_EQ(level(c), "leaks content");
  EXPECT_TRUE(contains(verdict(with_cells({c}), "s").text,
                       "50.0 % of the protected pictures among 10 candidates"));
  c["candidates"] = 9;
  EXPECT_EQ(level(c), "nothing recognisable");
  c["candidates"] = 1000;
  c["reidentified"] = 0.49;
  EXPECT_EQ(level(c), "nothing recognisable");
}

TEST(AttackVerdict, NamesTheFirstOfTheStrongestAndItsAttacker) {
  auto strong = cell("s", "strong", {1, 1}, 1), also = cell("s", "also", {1, 1}, 1);
  strong["threat_model"]["access"] = "chosen_plaintext";
  const auto v = verdict(with_cells({cell("s", "weak", {0.3, 0.3}), strong, also}), "s");
  EXPECT_EQ(v.attack, "strong");
  EXPECT_EQ(v.text,
            "Broken: strong recovers 100.0 % of the pictures exactly. The attacker knows how "
            "pictures are protected, can have "
            "pictures of his choice protected, and has no other plain pictures. One key protects "
            "all pictures.");
}

TEST(AttackVerdict, FlaggedFiguresDoNotDecideButAreNotHidden) {
  auto c = cell("s", "itn", {0.7, 0.7});
  c["flags"] = {flag("beaten by less")};
  const auto alone = verdict(with_cells({c, refused("s", "kpa", "no key")}), "s");
  EXPECT_EQ(alone.level, "not judged");
  EXPECT_EQ(alone.attack, "");
  const auto v = verdict(with_cells({cell("s", "look", {0.1, 0.1}), c}), "s");
  EXPECT_EQ(v.level, "nothing recognisable");
  EXPECT_EQ(v.attack, "look");
  for (const auto& text : {alone.text, v.text})
    EXPECT_TRUE(contains(
        text, "would say \"leaks content\": itn reaches a median SSIM of 0.70 (beaten by less)"))
        << text;
  EXPECT_FALSE(
      contains(verdict(with_cells({cell("s", "look", {0.6, 0.6}), c}), "s").text, "would say"));
}

TEST(AttackVerdict, AnAttackThatWouldRecoverMoreWithTrainingStillCounts) {
  auto c = cell("s", "itn", {0.7, 0.7});
  c["flags"] = {{{"id", "under_trained"}, {"text", "still improving"}}};
  const auto v = verdict(with_cells({cell("s", "look", {0.1, 0.1}), c}), "s");
  EXPECT_EQ(v.level, "leaks content");
  EXPECT_EQ(v.attack, "itn");
  EXPECT_FALSE(contains(v.text, "would say"));
}

TEST(AttackVerdict, RefusesUnknownSchemes) {
  test::expect_error(ErrorCode::InvalidArgument, {"'x'", "le, h"}, [] { verdict(matrix(), "x"); });
}

std::vector<CellPictures> pictures() {
  return {{"h",
           "gan",
           {flat(10), flat(20)},
           {flat(60), flat(70)},
           {flat(10), flat(40)},
           {"cat", "dog"}}};
}

TEST(AttackReport, HoldsEveryFigure) {
  const auto html = render_attack_report(matrix(), pictures());
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_FALSE(test::reaches_outside(html));
  for (const char* part : {"Trial",
                           "synthetic",
                           "8 x 8 pixels",
                           "feed",
                           "45,000",
                           "Broken: known-plaintext",
                           "Leaks outlines: gan",
                           "learnable encryption",
                           "361",
                           "81.2 %",
                           "sees protected pictures only",
                           "Attacks: known-plaintext.",
                           "Does gan.",
                           "The mean.",
                           "epochs 2</td>",
                           "&quot;small&quot;: epochs 2",
                           "1.00, 100.0 % exact",
                           "no better than guessing the mean picture: gan on le",
                           "it has no key: known-plaintext on h",
                           "12.5 % of 1,000",
                           "34.6 %",
                           "jpeg:50",
                           "76.5 %",
                           "bright",
                           "91.2 %",
                           "training pairs",
                           "Side channels.",
                           "veilnet reproduce attacks",
                           "machine.device",
                           "Guessing the mean picture gives 0.07"})
    EXPECT_TRUE(contains(html, part)) << part;
  // The matrix, attacks down: flagged, plain; then exact, refused.
  EXPECT_TRUE(contains(
      html,
      "<th scope=\"row\">gan</th><td class=\"words\">0.10 (!)</td><td class=\"words\">0.31</td>"));
  EXPECT_TRUE(contains(html,
                       "<th scope=\"row\">known-plaintext</th><td class=\"words\">1.00, 100.0 % "
                       "exact</td><td class=\"words\">\u2013</td>"));
  // Feature distance: mean, median, and the low end as the worst.
  EXPECT_TRUE(contains(
      html,
      "<td class=\"num\">0.500</td><td class=\"num\">0.500</td><td class=\"num hi\">0.255</td>"));
  for (const char* forbidden : {"secure", "anonym", " safe"})
    EXPECT_FALSE(contains(html, forbidden)) << forbidden;
}

TEST(AttackReport, ShowsPicturesAndOpensWhatDecides) {
  auto shown = pictures();
  EXPECT_EQ(occurrences(render_attack_report(matrix(), {}), "<img "), 0u);
  shown.push_back(shown[0]);
  shown[1].scheme = "le";
  const auto html = render_attack_report(matrix(), shown);
  EXPECT_EQ(occurrences(html, "<img "), 12u);
  EXPECT_EQ(occurrences(html, "/>exact</td>"), 2u);
  EXPECT_EQ(occurrences(html, "<details open=\"\">"), 1u)
      << "gan decides for h, known-plaintext for le";
  EXPECT_TRUE(contains(html, "<details open=\"\"><summary>gan: 0.31</summary>"));
}

TEST(AttackReport, ManyPicturesBreakIntoBlocks) {
  auto shown = pictures();
  auto& p = shown[0];
  for (auto* list : {&p.plain, &p.protected_pictures, &p.recovered}) list->resize(9, flat(7));
  p.labels.resize(9, "x");
  const auto html = render_attack_report(matrix(), shown);
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_EQ(occurrences(html, "<th scope=\"row\">recovered</th>"), 2u);
}

TEST(AttackReport, PartsThatAreAbsentAreLeftOut) {
  auto m = matrix();
  for (const char* key : {"transport", "attributes", "curve"}) m.erase(key);
  m["cells"][0]["ssim_values"] = nullptr;
  const auto html = render_attack_report(m, {});
  EXPECT_EQ(markup_fault(html), "");
  for (const char* part :
       {"After transport", "without a picture", "larger budget brings", "The worst cases"})
    EXPECT_FALSE(contains(html, part)) << part;
}

TEST(AttackReport, HostileNamesStayText) {
  const std::string evil = "</title><script>alert(1)</script>\"'&|";
  auto m = matrix();
  m["title"] = m["dataset"]["name"] = m["budget"]["name"] = evil;
  m["schemes"][1]["label"] = m["cells"][2]["scheme"] = m["cells"][3]["scheme"] = evil;
  m["transport"][0]["scheme"] = m["curve"][0]["scheme"] = evil;
  m["cells"][0]["text"] = m["cells"][0]["flags"][0]["text"] = m["cells"][2]["refused"] = evil;
  m["provenance"] = {{evil, {{evil, evil}}}};
  m["not_covered"] = m["commands"] = {evil};
  auto shown = pictures();
  shown[0].scheme = shown[0].labels[0] = evil;
  const auto html = render_attack_report(m, shown);
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_FALSE(contains(html, "<script"));
  EXPECT_TRUE(contains(attack_matrix_markdown(m), "\"'&\\| | 0.31"));
}

TEST(AttackReport, IsDeterministic) {
  EXPECT_EQ(render_attack_report(matrix(), pictures()), render_attack_report(matrix(), pictures()));
}

TEST(AttackReport, RefusesBadMatricesNamingTheKey) {
  const auto refuse = [](std::initializer_list<std::string> parts, auto&& change) {
    auto m = matrix();
    change(m);
    test::expect_error(ErrorCode::BadData, parts, [&] { render_attack_report(m, {}); });
  };
  refuse({"matrix.title", "missing"}, [](json& m) { m.erase("title"); });
  refuse({"matrix.dataset.name", "missing"}, [](json& m) { m["dataset"].erase("name"); });
  refuse({"matrix.dataset.classes", "0", "1 or more"},
         [](json& m) { m["dataset"]["classes"] = 0; });
  refuse({"matrix.budget.name", "missing"}, [](json& m) { m["budget"].erase("name"); });
  refuse({"matrix.schemes", "at least one"}, [](json& m) { m["schemes"] = json::array(); });
  refuse({"matrix.schemes[1].keys", "some", "none, same, independent"},
         [](json& m) { m["schemes"][1]["keys"] = "some"; });
  refuse({"'le'", "twice"}, [](json& m) { m["schemes"][1]["label"] = "le"; });
  refuse({"matrix.baselines", "missing"}, [](json& m) { m.erase("baselines"); });
  refuse({"matrix.cells", "array", "string"}, [](json& m) { m["cells"] = "none"; });
  refuse({"gan on le", "twice"}, [](json& m) { m["cells"][1]["attack"] = "gan"; });
  refuse({"'nobody'"}, [](json& m) { m["cells"][0]["scheme"] = "nobody"; });
  refuse({"matrix.cells[0].exact", "100", "0 to 1"}, [](json& m) { m["cells"][0]["exact"] = 100; });
  refuse({"matrix.cells[0].n", "1 or more"}, [](json& m) { m["cells"][0]["n"] = 0; });
  refuse({"matrix.cells[2].refused", "empty"}, [](json& m) { m["cells"][2]["refused"] = ""; });
  refuse({"matrix.cells[0].flags", "missing"}, [](json& m) { m["cells"][0].erase("flags"); });
  refuse({"matrix.cells[0].candidates", "missing"},
         [](json& m) { m["cells"][0].erase("candidates"); });
  refuse({"matrix.cells[1].threat_model.access", "guess", "exact_pairs"},
         [](json& m) { m["cells"][1]["threat_model"]["access"] = "guess"; });
  refuse({"matrix.cells[1].ssim.p99", "missing"},
         [](json& m) { m["cells"][1]["ssim"].erase("p99"); });
  refuse({"matrix.cells[1].ssim.median", "-1 to 1"},
         [](json& m) { m["cells"][1]["ssim"]["median"] = nullptr; });
  refuse({"matrix.cells[1].ssim_values[1]"},
         [](json& m) { m["cells"][1]["ssim_values"][1] = true; });
  refuse({"matrix.transport[0].transport", "string", "number"},
         [](json& m) { m["transport"][0]["transport"] = 50; });
  refuse({"matrix.attributes[0].chance", "missing"},
         [](json& m) { m["attributes"][0].erase("chance"); });
  refuse({"matrix.curve[0].points[0].budget", "above 0"},
         [](json& m) { m["curve"][0]["points"][0]["budget"] = 0; });
  refuse({"matrix.not_covered", "at least one"}, [](json& m) { m["not_covered"] = json::array(); });
  refuse({"matrix.commands", "missing"}, [](json& m) { m.erase("commands"); });
  refuse({"matrix.provenance", "missing"}, [](json& m) { m.erase("provenance"); });
  test::expect_error(ErrorCode::BadData, {"object", "array"},
                     [] { render_attack_report(json::array(), {}); });
}

TEST(AttackReport, RefusesPicturesThatDoNotFit) {
  auto shown = pictures();
  shown[0].attack = "fr";
  test::expect_error(ErrorCode::InvalidArgument, {"fr on h", "no cell"},
                     [&] { render_attack_report(matrix(), shown); });
  shown = pictures();
  shown[0].recovered.pop_back();
  test::expect_error(ErrorCode::InvalidArgument, {"gan on h", "2 plain", "1 recovered"},
                     [&] { render_attack_report(matrix(), shown); });
  shown = pictures();
  shown[0].recovered[1] = flat(1, 9);
  test::expect_error(ErrorCode::InvalidArgument, {"8 x 8", "9 x 9"},
                     [&] { render_attack_report(matrix(), shown); });
}

TEST(AttackMatrixMarkdown, IsTheTable) {
  auto m = matrix();
  m["cells"].erase(3);
  m["cells"][0]["threat_model"]["auxiliary"] = "candidates";
  const auto text = attack_matrix_markdown(m);
  EXPECT_TRUE(
      text.starts_with("| scheme | gan | known-plaintext |\n| --- | --- | --- |\n"
                       "| le | 12.5 % picked (!) | 1.00, 100.0 % exact |\n| h |  | \u2013 |\n\n"))
      << text;
  EXPECT_TRUE(text.ends_with("- (!) no better than guessing the mean picture: gan on le\n"))
      << text;
}

TEST(AttackBoxPlots, OneBoxPerAttackThatRecovers) {
  auto m = matrix();
  m["schemes"].push_back({{"label", "empty"}, {"text", "t"}, {"keys", "none"}});
  m["cells"][3]["threat_model"]["auxiliary"] = "candidates";
  const auto plots = attack_box_plots(m);
  ASSERT_EQ(plots.size(), 1u) << "picks are no recoveries";
  EXPECT_EQ(plots[0].first, "le");
  EXPECT_EQ(markup_fault(plots[0].second), "");
  EXPECT_EQ(occurrences(plots[0].second, "n = 3"), 2u);
  EXPECT_TRUE(contains(plots[0].second, "gan, attack, flagged (!): median 0.1"));
  EXPECT_TRUE(contains(plots[0].second, "guess: mean picture"));
}

TEST(CellPictures, RoundTrip) {
  const test::TemporaryFolder folder;
  const auto shown = pictures()[0];
  write_cell_pictures(folder.path(), shown, Overwrite::No);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "h" / "gan" / "protected-1.png"));
  const auto back = read_cell_pictures(folder.path(), "h", "gan");
  EXPECT_EQ(back.scheme, "h");
  EXPECT_EQ(back.attack, "gan");
  ASSERT_EQ(back.plain.size(), 2u);
  EXPECT_EQ(back.plain[1].rgb, shown.plain[1].rgb);
  EXPECT_EQ(back.protected_pictures[0].rgb, shown.protected_pictures[0].rgb);
  EXPECT_EQ(back.recovered[1].rgb, shown.recovered[1].rgb);
  EXPECT_EQ(back.labels, shown.labels);
  test::expect_error(ErrorCode::AlreadyExists, {},
                     [&] { write_cell_pictures(folder.path(), shown, Overwrite::No); });
  test::expect_error(ErrorCode::NotFound, {},
                     [&] { read_cell_pictures(folder.path(), "h", "itn"); });
  for (const char* bad : {"", "..", "a/b"}) {
    auto elsewhere = shown;
    elsewhere.attack = bad;
    test::expect_error(ErrorCode::InvalidArgument, {"'h'"},
                       [&] { write_cell_pictures(folder.path(), elsewhere, Overwrite::No); });
  }
  write_file(folder.path() / "h" / "gan" / "labels.json", std::string_view("[1"), Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"labels.json"},
                     [&] { read_cell_pictures(folder.path(), "h", "gan"); });
}

}  // namespace
}  // namespace veilnet::eval
