#include "eval/report.h"

#include <limits>

#include "eval/summary.h"
#include "image/metrics.h"
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

json leak(const std::vector<double>& psnr_db, const std::vector<double>& ssim) {
  return {{"psnr_db", to_json(summarise(psnr_db))},
          {"ssim", to_json(summarise(ssim))},
          {"ssim_gaussian", to_json(summarise(ssim))},
          {"psnr_db_values", psnr_db},
          {"ssim_values", ssim}};
}

json model(double alpha, double accuracy) {
  json m = {{"label", "alpha = " + shortest(alpha)},
            {"alpha", alpha},
            {"architecture", "unet width 16"},
            {"recipe", "quick"},
            {"accuracy",
             {{"plain", 0.9}, {"protected_float", accuracy + 0.001}, {"protected_png8", accuracy}}},
            {"paper_accuracy", 0.9172},
            {"similarity", leak({9, 10, 11}, {0.01, 0.02, -0.3})},
            {"attack", leak({14, 15, 19.25}, {0.1, 0.2, 0.45})},
            {"provenance", {{"h", {{"sha256", "abc123"}}}}}};
  m["attack"]["name"] = "ITN-Attack";
  m["attack"]["baseline_mean_image_psnr_db"] = 12.34;
  m["attack"]["reconstruction_accuracy"] = 0.4321;
  m["attack"]["settings"] = {{"epochs", 8}};
  return m;
}

json evaluation(const std::vector<double>& alphas) {
  json e = {{"title", "Trial"},
            {"dataset",
             {{"name", "synthetic"},
              {"hash", "feed"},
              {"train", 45000},
              {"test", 10000},
              {"classes", 10},
              {"height", 8},
              {"width", 8}}},
            {"phi", {{"source", "cut from a VGG trained on synthetic"}, {"layer", "relu2_2"}}},
            {"paper", {{"source", "Table I"}, {"plain_accuracy", 0.9123}}},
            {"notes", {"a remark"}},
            {"commands", {"veilnet evaluate runs/x"}},
            {"provenance", {{"commit", "c0ffee"}}}};
  for (const double alpha : alphas) e["models"].push_back(model(alpha, 0.88 - alpha));
  return e;
}

ModelPictures pictures() {
  return {{flat(10), flat(20)}, {flat(60), flat(70)}, {flat(15), flat(40)}, {"cat", "worst case"}};
}

TEST(Report, HoldsEveryFigure) {
  const std::vector<ModelPictures> shown(3, pictures());
  const auto html = render_report(evaluation({0, 0.005, 0.1}), shown);
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_FALSE(test::reaches_outside(html));
  for (const char* part :
       {"10,000 test pictures", "8 x 8 pixels", "cut from a VGG trained on synthetic", "a remark",
        "91.23 on plain pictures", "12.34", "43.21", "91.72", "veilnet evaluate runs/x", "c0ffee",
        "abc123", "feed", "45,000", "What is not covered", "Accuracy against protection"})
    EXPECT_TRUE(contains(html, part)) << part;
  // Accuracy row: plain, protected PNG, lost, float, paper.
  EXPECT_TRUE(contains(
      html,
      "<th scope=\"row\">alpha = 0.005</th><td class=\"num\">90.00</td><td class=\"num "
      "hi\">87.50</td>"
      "<td class=\"num\">2.50</td><td class=\"num\">87.60</td><td class=\"num\">91.72</td>"));
  // Attack row: PSNR mean, median, 99th percentile (15 + 0.98 * 4.25), worst.
  EXPECT_TRUE(contains(html,
                       "<td class=\"num\">16.08</td><td class=\"num\">15.00</td><td "
                       "class=\"num\">19.16</td><td class=\"num hi\">19.25</td>"));
  // The SSIM farthest from zero is the worst, also when negative.
  EXPECT_TRUE(contains(html, "<td class=\"num hi\">-0.300</td>"));
  for (const char* forbidden : {"secure", "anonym"})
    EXPECT_FALSE(contains(html, forbidden)) << forbidden;
}

TEST(Report, PicturesCarryTheirPsnr) {
  const std::vector<ModelPictures> shown{pictures()};
  const auto html = render_report(evaluation({0.005}), shown);
  EXPECT_EQ(occurrences(html, "<img "), 6u);
  const auto caption = fixed(image::psnr_db(flat(10).rgb, flat(15).rgb), 1) + " dB</td>";
  EXPECT_EQ(occurrences(html, caption), 1u) << caption;
  EXPECT_TRUE(contains(html, "<th scope=\"col\">worst case</th>"));
}

TEST(Report, OneModelHasNoCurve) {
  const auto html = render_report(evaluation({0.005}), {});
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_FALSE(contains(html, "Accuracy against protection"));
  EXPECT_FALSE(contains(html, "<img "));
  EXPECT_TRUE(contains(html, "class=\"card\""));
}

TEST(Report, CurvesJoinOnlyModelsOfOneRecipe) {
  auto e = evaluation({0.005, 0.01, 0.1});
  e["models"][0]["recipe"] = "long";
  const auto two = render_report(e, {});
  EXPECT_TRUE(contains(two, "Models: unet width 16, quick."));
  EXPECT_TRUE(contains(two, "protected, 0.01: 87"));
  EXPECT_FALSE(contains(two, "protected, 0.005: 87.5"));
  e["models"][1]["recipe"] = "other";
  EXPECT_FALSE(contains(render_report(e, {}), "Accuracy against protection"));
}

TEST(Report, ManyPicturesBreakIntoBlocks) {
  ModelPictures many;
  for (int k = 0; k < 19; ++k) {
    many.plain.push_back(flat(static_cast<std::uint8_t>(k)));
    many.protected_pictures.push_back(flat(100));
    many.reconstructed.push_back(flat(50));
    many.labels.push_back("p" + std::to_string(k));
  }
  const auto html = render_report(evaluation({0.005}), std::vector<ModelPictures>{many});
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_EQ(occurrences(html, "<img "), 57u);
  EXPECT_EQ(occurrences(html, "<th scope=\"row\">reconstructed</th>"), 3u);
  EXPECT_TRUE(contains(html, "<th scope=\"col\">p18</th>"));
}

TEST(Report, SeveralModelsHaveCardsOnlyWithAHeadline) {
  auto e = evaluation({0, 0.005});
  EXPECT_FALSE(contains(render_report(e, {}), "class=\"card\""));
  e["headline"] = "alpha = 0.005";
  EXPECT_TRUE(contains(render_report(e, {}), "class=\"card\""));
  e["headline"] = "alpha = 7";
  test::expect_error(ErrorCode::BadData, {"headline", "alpha = 7"}, [&] { render_report(e, {}); });
}

TEST(Report, WithoutAttackItSaysSo) {
  auto e = evaluation({0.005});
  e["models"][0]["attack"] = nullptr;
  auto p = pictures();
  p.reconstructed.clear();
  const std::vector<ModelPictures> shown{p};
  const auto html = render_report(e, shown);
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_TRUE(contains(html, "No attack was run."));
  EXPECT_FALSE(contains(html, "econstructed pictures"));
  EXPECT_FALSE(contains(html, "What the attacker recovers"));
  EXPECT_EQ(occurrences(html, "<img "), 4u);
}

TEST(Report, MissingFiguresAreDashes) {
  json e = {{"title", "t"}, {"dataset", {{"name", "d"}}}};
  e["models"] = {{{"label", "m"},
                  {"accuracy", {{"plain", 0.9}, {"protected_float", 0.5}}},
                  {"paper_accuracy", nullptr}}};
  const auto html = render_report(e, {});
  EXPECT_EQ(markup_fault(html), "");
  const std::string d(dash);
  EXPECT_TRUE(contains(
      html, "<td class=\"num\">90.00</td><td class=\"num hi\">" + d +
                "</td><td class=\"num\">40.00</td><td class=\"num\">50.00</td><td class=\"num\">" +
                d + "</td>"));
  EXPECT_TRUE(contains(html, "No similarity figures were measured."));
}

TEST(Report, AlphaGridShowsWhatAllModelsShow) {
  std::vector<ModelPictures> shown{pictures(), pictures()};
  shown[1].plain[1] = flat(99);
  const auto html = render_report(evaluation({0, 0.1}), shown);
  // One row of plain + two protected, and two attack grids of six.
  EXPECT_EQ(occurrences(html, "<img "), 3u + 12u);
  shown[1].plain[0] = flat(98);
  EXPECT_TRUE(
      contains(render_report(evaluation({0, 0.1}), shown), "No picture is shown for all models."));
}

TEST(Report, InfinitePsnrIsCountedNotHidden) {
  auto e = evaluation({0.005});
  const double inf = std::numeric_limits<double>::infinity();
  e["models"][0]["attack"]["psnr_db"] = to_json(summarise(std::vector<double>{14, inf, 20}));
  e["models"][0]["attack"]["psnr_db_values"] = {14, "inf", 20};
  const auto html = render_report(e, {});
  EXPECT_TRUE(contains(html, "1 comparison found equal pictures"));
  EXPECT_TRUE(contains(html, "<td class=\"num hi\">\u221E</td>"));
  EXPECT_TRUE(contains(html, "1 value is not drawn"));
}

TEST(Report, HostileNamesStayText) {
  auto e = evaluation({0, 0.005});
  const std::string evil = "</title><script>alert(1)</script>\"'&";
  e["title"] = evil;
  e["dataset"]["name"] = evil;
  e["models"][0]["label"] = evil;
  e["models"][0]["architecture"] = evil;
  e["models"][0]["attack"]["name"] = evil;
  e["models"][0]["attack"]["settings"] = {{evil, evil}};
  e["provenance"] = {{evil, {{evil, evil}}}};
  e["notes"] = {evil};
  e["commands"] = {evil};
  std::vector<ModelPictures> shown(2, pictures());
  shown[0].labels = {evil, evil};
  const auto html = render_report(e, shown);
  EXPECT_EQ(markup_fault(html), "");
  EXPECT_FALSE(contains(html, "<script"));
}

TEST(Report, IsDeterministic) {
  const std::vector<ModelPictures> shown(2, pictures());
  EXPECT_EQ(render_report(evaluation({0, 0.1}), shown), render_report(evaluation({0, 0.1}), shown));
}

TEST(Report, RefusesBadEvaluationsNamingTheKey) {
  const auto refuse = [](std::initializer_list<std::string> parts, auto&& change) {
    auto e = evaluation({0, 0.005});
    change(e);
    test::expect_error(ErrorCode::BadData, parts, [&] { render_report(e, {}); });
  };
  refuse({"evaluation.title", "missing"}, [](json& e) { e.erase("title"); });
  refuse({"evaluation.dataset.name", "missing"}, [](json& e) { e["dataset"].erase("name"); });
  refuse({"evaluation.models", "at least one"}, [](json& e) { e["models"] = json::array(); });
  refuse({"evaluation.models", "array", "string"}, [](json& e) { e["models"] = "none"; });
  refuse({"evaluation.models[1].label", "string", "number"},
         [](json& e) { e["models"][1]["label"] = 5; });
  refuse({"alpha = 0", "twice"}, [](json& e) { e["models"][1]["label"] = "alpha = 0"; });
  refuse({"evaluation.models[0].accuracy.plain", "missing"},
         [](json& e) { e["models"][0].erase("accuracy"); });
  refuse({"evaluation.models[1].accuracy.protected_png8", "87.5", "0 to 1"},
         [](json& e) { e["models"][1]["accuracy"]["protected_png8"] = 87.5; });
  refuse({"evaluation.models[0].attack.psnr_db.median", "missing"},
         [](json& e) { e["models"][0]["attack"]["psnr_db"].erase("median"); });
  refuse({"evaluation.models[0].attack.ssim_values[1]"},
         [](json& e) { e["models"][0]["attack"]["ssim_values"][1] = true; });
  refuse({"evaluation.dataset.test", "count"}, [](json& e) { e["dataset"]["test"] = -4; });
  refuse({"evaluation.notes[0]", "string"}, [](json& e) { e["notes"] = {1}; });
  test::expect_error(ErrorCode::BadData, {"object", "array"},
                     [] { render_report(json::array(), {}); });
}

TEST(Report, RefusesPicturesThatDoNotFit) {
  const auto e = evaluation({0, 0.005});
  std::vector<ModelPictures> shown(1, pictures());
  test::expect_error(ErrorCode::InvalidArgument, {"1 models", "2 models"},
                     [&] { render_report(e, shown); });
  shown.push_back(pictures());
  shown[1].protected_pictures.pop_back();
  test::expect_error(ErrorCode::InvalidArgument, {"model 1", "2 plain", "1 protected"},
                     [&] { render_report(e, shown); });
  shown[1] = pictures();
  shown[1].protected_pictures[0] = flat(60, 4);
  test::expect_error(ErrorCode::InvalidArgument, {"8 x 8", "4 x 4"},
                     [&] { render_report(e, shown); });
}

TEST(ReportPictures, RoundTrip) {
  const test::TemporaryFolder folder;
  std::vector<ModelPictures> shown{pictures(), pictures()};
  shown[1].reconstructed.clear();
  shown[1].labels.clear();
  write_pictures(folder / "pictures", shown, Overwrite::No);
  const auto back = read_pictures(folder / "pictures", 2);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].plain[1].rgb, shown[0].plain[1].rgb);
  EXPECT_EQ(back[0].protected_pictures[0].rgb, shown[0].protected_pictures[0].rgb);
  EXPECT_EQ(back[0].reconstructed[1].rgb, shown[0].reconstructed[1].rgb);
  EXPECT_EQ(back[0].labels, shown[0].labels);
  EXPECT_TRUE(back[1].reconstructed.empty());
  EXPECT_TRUE(back[1].labels.empty());
  test::expect_error(ErrorCode::AlreadyExists, {},
                     [&] { write_pictures(folder / "pictures", shown, Overwrite::No); });
  test::expect_error(ErrorCode::NotFound, {}, [&] { read_pictures(folder / "pictures", 3); });
  write_file(folder / "pictures" / "model-0" / "labels.json", std::string_view("[1"),
             Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"labels.json"},
                     [&] { read_pictures(folder / "pictures", 2); });
}

}  // namespace
}  // namespace veilnet::eval
