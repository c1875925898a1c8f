#include "report/page.h"

#include "record/io.h"
#include "record/matrices.h"
#include "report/charts.h"
#include "report/markup.h"
#include "report/tables.h"
#include "support.h"

namespace veilnet::report {
namespace {

using record::Matrix;
using test::contains;
using test::flat;
using test::markup_fault;
using test::matrix;
using test::occurrences;

std::vector<CellPictures> pictures() {
  return {{"h",
           "gan",
           {flat(10), flat(20)},
           {flat(60), flat(70)},
           {flat(10), flat(40)},
           {"cat", "dog"}}};
}

/// One network at several alphas, looked at and attacked by itn: the main experiment.
Matrix experiment(const std::vector<double>& alphas) {
  auto m = matrix();
  m.protections.clear();
  m.cells.clear();
  m.transport.clear();
  m.attributes.clear();
  m.curve.clear();
  m.plain_paper = {0.9123, "Table I"};
  m.phi = {"cut from a VGG trained on synthetic", "relu2_2"};
  m.notes = {"a remark"};
  for (const double alpha : alphas) {
    record::Protection p;
    p.label = fmt::format("transform-a{}", alpha);
    p.text = "a network";
    p.keys = "none";
    p.alpha = alpha;
    p.architecture = "unet width 16";
    p.recipe = "quick";
    p.plain_accuracy = 0.9;
    p.accuracy = 0.88 - alpha;
    p.accuracy_float = 0.881 - alpha;
    p.paper = {0.9172, "Table I"};
    p.provenance = {{"sha256", "abc123"}};
    m.protections.push_back(p);
    m.cells.push_back(test::cell(p.label, "look", {0.01, 0.02, 0.03}));
    m.cells.push_back(test::cell(p.label, "itn", {0.1, 0.2, 0.45}));
  }
  return m;
}

TEST(Page, HoldsEveryFigureOfAttacks) {
  const auto html = render_page(matrix(), pictures());
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_FALSE(test::reaches_outside(html));
  for (const char* part : {"Trial",
                           "synthetic",
                           "8 x 8 pixels",
                           "feed",
                           "45,000",
                           "known-plaintext recovers 100.0 % of the pictures exactly",
                           "decided by gan",
                           "learnable encryption",
                           "361",
                           "81.25",
                           "85.18",
                           "sees protected pictures only",
                           "Attacks: known-plaintext.",
                           "Does gan.",
                           "The mean.",
                           "epochs 2</td>",
                           "\"small\": epochs 2, share 0.5",
                           "1.00, 100.0 % exact",
                           "no better than guessing the mean picture: gan on le",
                           "it has no key: known-plaintext on h",
                           "12.5 % of 1,000",
                           "34.6 %",
                           "jpeg:50",
                           "76.5",
                           "bright",
                           "91.2",
                           "training pairs",
                           "Side channels.",
                           "veilnet reproduce attacks",
                           "stage psi",
                           "c0de",
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

TEST(Page, IsTheSameForTheMainExperiment) {
  const auto html = render_page(experiment({0, 0.005, 0.1}), {});
  EXPECT_EQ(markup_fault(html), "");
  for (const char* part : {"Accuracy against protection", "Models: unet width 16, quick.",
                           "91.23 % (Table I)", "cut from a VGG trained on synthetic", "relu2_2",
                           "a remark", "abc123", "decided by itn", "What the service still names"})
    EXPECT_TRUE(contains(html, part)) << part;
  EXPECT_TRUE(
      contains(html,
               "<th scope=\"row\">transform-a0.005</th><td class=\"num\">90.00</td><td class=\"num "
               "hi\">87.50</td><td class=\"num\">2.50</td><td class=\"num\">87.60</td><td "
               "class=\"num\">91.72</td>"));
  EXPECT_FALSE(contains(render_page(experiment({0.005}), {}), "Accuracy against protection"));
}

TEST(Page, SaysWhichHWereJudgedNotToProtect) {
  auto m = experiment({0.005, 0.01});
  m.protections[0].provenance["verdict"] = "does not protect: outlines are seen (SSIM 0.3)";
  m.protections[1].provenance["verdict"] = "protects: SSIM 0.01";
  const auto page = render_page(m, {});
  EXPECT_TRUE(contains(page, "<li>transform-a0.005 does not protect: outlines are seen"));
  EXPECT_FALSE(contains(page, "<li>transform-a0.01"));
}

TEST(Page, TellsWhatTheEncoderAloneNamesAndWhatOtherServicesSay) {
  auto m = matrix();
  EXPECT_FALSE(contains(render_page(m, {}), "The catch"));
  auto& h = m.protections[1];
  h.accuracy = 0.8664;
  h.local_accuracy = 0.8805;
  h.local_gflop = 0.0421;
  h.client_gflop = 0.0987;
  h.services = {{"resnet-8", 20, 0.9111, 0.7654, std::nullopt}};
  const auto html = render_page(m, {});
  EXPECT_EQ(markup_fault(html), "");
  for (const char* part :
       {"The catch", "88.05", "0.042", "0.099", "Several services", "resnet-8", "91.11", "76.54"})
    EXPECT_TRUE(contains(html, part)) << part;
}

TEST(Page, DrawsProtectionsSideBySide) {
  auto m = matrix();
  EXPECT_TRUE(defence_charts(m).empty());
  const auto add = [&](const std::string& label, double accuracy, double leak) {
    record::Protection p;
    p.label = label;
    p.text = "t";
    p.keys = "none";
    p.accuracy = accuracy;
    m.protections.push_back(p);
    m.cells.push_back(test::cell(label, "itn", {leak, leak}));
  };
  add("blur", 0.6, 0.9);
  add("coded", 0.85, 0.1);
  add("h", 0.9, 0.3);
  m.protections.erase(m.protections.begin(), m.protections.begin() + 2);
  std::erase_if(m.cells, [](const auto& c) { return c.protection == "le"; });
  std::erase_if(m.cells, [](const auto& c) { return c.attack != "itn"; });
  auto charts = defence_charts(m);
  ASSERT_EQ(charts.size(), 1u) << "nobody picks";
  EXPECT_EQ(charts[0].first, "rebuilt");
  // The line leads over coded and h, not over blur, which is behind both.
  EXPECT_TRUE(contains(charts[0].second, "none more accurate leaks less: 0.1: 85 0.3: 90"))
      << charts[0].second;
  // Without a service, what the classifier of plain pictures names stands in for one.
  m.protections[2].accuracy.reset();
  EXPECT_TRUE(defence_charts(m).empty()) << "two points";
  m.cells.push_back(test::cell("h", "look", {0, 0}));
  m.cells.back().measures["named"] = 0.875;
  EXPECT_TRUE(contains(defence_charts(m)[0].second, "0.1: 85 0.3: 87.5"));
  m.cells.pop_back();
  m.protections[2].accuracy = 0.9;
  for (auto& c : m.cells) {
    c.candidates = 1000;
    c.measures["reidentified"] = c.protection == "coded" ? 0.002 : 1.0;
  }
  m.protections[1].bound.emplace().reidentified = {{"1000", 0.016}};
  charts = defence_charts(m);
  ASSERT_EQ(charts.size(), 2u);
  EXPECT_TRUE(contains(charts[1].second, "none more accurate leaks less: 1.6: 85 100: 90"))
      << "the bound allows more than the attack reached: " << charts[1].second;
}

TEST(Page, ListsTheSectionsThatItHas) {
  const auto html = render_page(matrix(), {});
  EXPECT_TRUE(contains(html, "<a href=\"#leaked\">What leaked</a>"));
  EXPECT_TRUE(contains(html, "<a href=\"#transport\">After transport</a>"));
  EXPECT_EQ(occurrences(html, "<a href=\"#"), occurrences(html, "<h2 id=\""));
  EXPECT_EQ(occurrences(html, "\x02"), 0u);
  EXPECT_TRUE(contains(html, "default-src 'none'"));
}

TEST(Page, ShowsPicturesAndOpensWhatDecides) {
  auto shown = pictures();
  EXPECT_EQ(occurrences(render_page(matrix(), {}), "<img "), 0u);
  shown.push_back(shown[0]);
  shown[1].protection = "le";
  const auto html = render_page(matrix(), shown);
  EXPECT_EQ(markup_fault(html), "");
  // Plain, protected, recovered of two pictures, twice; and plain beside both protections.
  EXPECT_EQ(occurrences(html, "<img "), 12u + 6u);
  EXPECT_EQ(occurrences(html, "/>exact</td>"), 2u);
  EXPECT_TRUE(contains(html, "<details open=\"\"><summary>gan: 0.31</summary>"));
  EXPECT_TRUE(contains(html, "<details><summary>gan: 0.10 (!)</summary>"))
      << "known-plaintext decides for le";
  EXPECT_TRUE(contains(html, "alt=\"protected, cat, 0.35\"") ||
              contains(html, "alt=\"protected, cat, "));
  shown[1].plain = {flat(99), flat(98)};
  EXPECT_EQ(occurrences(render_page(matrix(), shown), "<img "), 12u) << "none is shown for both";
}

TEST(Page, ManyPicturesBreakIntoBlocks) {
  auto shown = pictures();
  auto& p = shown[0];
  for (auto* list : {&p.plain, &p.protected_pictures, &p.recovered}) list->resize(9, flat(7));
  p.labels.resize(9, "x");
  const auto html = render_page(matrix(), shown);
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_EQ(occurrences(html, "<th scope=\"row\">recovered</th>"), 2u);
}

TEST(Page, LargePicturesAreShrunkSmoothly) {
  auto shown = pictures();
  EXPECT_TRUE(contains(render_page(matrix(), shown), "class=\"px\""));
  auto& p = shown[0];
  for (auto* list : {&p.plain, &p.protected_pictures, &p.recovered}) *list = {flat(7, 200)};
  p.labels = {"x"};
  const auto html = render_page(matrix(), shown);
  EXPECT_FALSE(contains(html, "class=\"px\""));
  EXPECT_TRUE(contains(html, "width=\"96\" height=\"96\""));
}

TEST(Page, PartsThatAreAbsentAreLeftOut) {
  auto m = matrix();
  m.transport.clear();
  m.attributes.clear();
  m.curve.clear();
  m.baselines.clear();
  m.budget.clear();
  m.not_covered.clear();
  m.commands.clear();
  m.protections[0].accuracy.reset();
  for (auto& cell : m.cells) cell.values.clear();
  const auto html = render_page(m, {});
  EXPECT_EQ(markup_fault(html), "");
  for (const char* part :
       {"After transport", "without a picture", "larger budget brings", "What attackers recover",
        "How SSIM spreads", ">Accuracy</h2>", "budget is", "class=\"card \""})
    EXPECT_FALSE(contains(html, part)) << part;
  EXPECT_TRUE(contains(html, "No command was recorded."));
}

TEST(Page, HostileNamesStayText) {
  const std::string evil = "<script>alert(1)<script>\"'&|{{title}}";
  auto m = matrix();
  m.title = m.data.name = evil;
  m.budget["name"] = evil;
  m.protections[1].label = m.cells[2].protection = m.cells[3].protection = evil;
  m.transport[0].protection = m.curve[0].protection = evil;
  m.cells[0].text = m.cells[0].flags[0].text = m.cells[2].refused = evil;
  m.provenance.machine = {{evil, evil}};
  m.provenance.config = evil;
  m.not_covered = m.commands = m.notes = {evil};
  auto shown = pictures();
  shown[0].protection = shown[0].labels[0] = evil;
  const auto html = render_page(m, shown);
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_FALSE(contains(html, "<script"));
  EXPECT_TRUE(contains(html, "{{title}}")) << "what a record says is no template";
  EXPECT_TRUE(contains(matrix_markdown(m), "\"'&\\|{{title}}"));
}

TEST(Page, NamesNoFolderOfTheMachine) {
  auto m = matrix();
  m.phi = {"relu2_2 of /home/me/vgg.safetensors", ""};
  m.commands = {"veilnet reproduce --config /home/me/runs/demo/config.toml"};
  m.provenance.config = "path = \"/home/me/data\"";
  m.protections[0].provenance["from"] = "/home/me/x";
  const auto html = render_page(m, {});
  EXPECT_FALSE(contains(html, "/home"));
  EXPECT_TRUE(contains(html, "veilnet reproduce --config config.toml"));
}

TEST(Page, IsDeterministic) {
  EXPECT_EQ(render_page(matrix(), pictures()), render_page(matrix(), pictures()));
}

TEST(Page, RefusesPicturesThatDoNotFit) {
  auto shown = pictures();
  shown[0].attack = "fr";
  test::expect_error(ErrorCode::InvalidArgument, {"fr on h", "no cell"},
                     [&] { render_page(matrix(), shown); });
  shown = pictures();
  shown[0].recovered.pop_back();
  test::expect_error(ErrorCode::InvalidArgument, {"gan on h", "2 plain", "1 recovered"},
                     [&] { render_page(matrix(), shown); });
  shown = pictures();
  shown[0].recovered[1] = flat(1, 9);
  test::expect_error(ErrorCode::InvalidArgument, {"8 x 8", "9 x 9"},
                     [&] { render_page(matrix(), shown); });
}

TEST(Page, IsMadeFromAFolder) {
  const test::TemporaryFolder folder;
  test::expect_error(ErrorCode::NotFound, {"matrix.json"}, [&] { write_page(folder.path()); });
  record::write(folder / "matrix.json", matrix(), Overwrite::No);
  write_pictures(folder / "pictures", pictures()[0], Overwrite::No);
  const auto path = write_page(folder.path());
  EXPECT_EQ(path, folder / "report.html");
  EXPECT_EQ(read_text(path), render_page(matrix(), pictures()));
}

TEST(Pictures, RoundTrip) {
  const test::TemporaryFolder folder;
  const auto shown = pictures()[0];
  write_pictures(folder.path(), shown, Overwrite::No);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "h" / "gan" / "protected-1.png"));
  const auto back = read_pictures(folder.path(), "h", "gan");
  EXPECT_EQ(back.protection, "h");
  EXPECT_EQ(back.attack, "gan");
  ASSERT_EQ(back.plain.size(), 2u);
  EXPECT_EQ(back.plain[1].rgb, shown.plain[1].rgb);
  EXPECT_EQ(back.protected_pictures[0].rgb, shown.protected_pictures[0].rgb);
  EXPECT_EQ(back.recovered[1].rgb, shown.recovered[1].rgb);
  EXPECT_EQ(back.labels, shown.labels);
  test::expect_error(ErrorCode::AlreadyExists, {},
                     [&] { write_pictures(folder.path(), shown, Overwrite::No); });
  test::expect_error(ErrorCode::NotFound, {}, [&] { read_pictures(folder.path(), "h", "itn"); });
  for (const char* bad : {"", "..", "a/b"}) {
    auto elsewhere = shown;
    elsewhere.attack = bad;
    test::expect_error(ErrorCode::InvalidArgument, {"'h'"},
                       [&] { write_pictures(folder.path(), elsewhere, Overwrite::No); });
  }
  write_file(folder.path() / "h" / "gan" / "labels.json", std::string_view("[1"), Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"labels.json"},
                     [&] { read_pictures(folder.path(), "h", "gan"); });
}

TEST(Charts, OneBoxPerAttackThatRecovers) {
  auto m = matrix();
  m.cells[3].threat_model.auxiliary = "candidates";
  const auto plots = box_plots(m);
  ASSERT_EQ(plots.size(), 1u) << "picks are no recoveries";
  EXPECT_EQ(plots[0].first, "le");
  EXPECT_EQ(markup_fault(plots[0].second), "");
  EXPECT_EQ(occurrences(plots[0].second, "n = 3"), 2u);
  EXPECT_TRUE(contains(plots[0].second, "gan, attack, flagged (!): median 0.1"));
  EXPECT_TRUE(contains(plots[0].second, "guess: mean picture"));
}

TEST(Charts, LinesJoinOnlyModelsOfOneRecipe) {
  auto m = experiment({0.005, 0.01, 0.1});
  m.protections[0].recipe = "long";
  const auto two = trade_off(m);
  EXPECT_EQ(two.models, "unet width 16, quick");
  ASSERT_EQ(two.charts.size(), 3u);
  EXPECT_TRUE(contains(two.charts[0], "protected, 0.01: 87"));
  EXPECT_FALSE(contains(two.charts[0], "protected, 0.005: 87.5"));
  m.protections[1].recipe = "other";
  EXPECT_TRUE(trade_off(m).charts.empty());
}

// RFC 4648, section 10.
TEST(Base64, Rfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xFF\xFE\xFD"), "//79");
}

}  // namespace
}  // namespace veilnet::report
