#include "report/table.h"

#include <algorithm>

#include "record/io.h"
#include "record/matrices.h"
#include "report/tables.h"
#include "report/text.h"
#include "support.h"

namespace veilnet::report {
namespace {

TEST(Table, AsMarkdown) {
  const Table t{"", {{"", 1}, {"ours", 2}}, {{"a"}, {"b|c", true}, {""}}, {{"1", "2\n3", "4"}}};
  EXPECT_EQ(to_markdown(t), "| a | ours b\\|c | ours |\n|---|---:|---|\n| 1 | 2 3 | 4 |\n");
}

TEST(Table, RefusesWrongCounts) {
  test::expect_error(ErrorCode::InvalidArgument, {"'t'", "1 cells", "expected 2"}, [] {
    check({"t", {}, {{"a"}, {"b"}}, {{"1"}}});
  });
  test::expect_error(ErrorCode::InvalidArgument, {"'t'", "3 columns", "expected 2"}, [] {
    check({"t", {{"g", 3}}, {{"a"}, {"b"}}, {}});
  });
}

TEST(Table, ManyColumnsBecomeSeveralTables) {
  const Table t{"t", {}, {{"a"}, {"b"}, {"c"}, {"d"}}, {{"1", "2", "3", "4"}}};
  const auto parts = split(t, 2);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].rows[0], (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(parts[1].rows[0], (std::vector<std::string>{"1", "4"}));
  EXPECT_EQ(parts[1].columns[1].header, "d");
  EXPECT_EQ(split(t, 3).size(), 1u);
}

TEST(Tables, BoundsSayWhatChanceDoesToPsisConfidence) {
  record::Matrix m;
  m.protections.resize(2);
  m.protections[0].label = "coded4";
  m.protections[1].label = "coded4-eps4";
  for (auto& p : m.protections) p.bound.emplace();
  const auto columns = bounds_table(m).columns.size();
  m.protections[1].confidence = 0.5;
  m.protections[1].confidence_without_chance = 0.75;
  const auto table = bounds_table(m);
  ASSERT_EQ(table.columns.size(), columns + 1);
  EXPECT_EQ(table.columns.back().header, "Confidence of psi");
  EXPECT_EQ(table.rows[0].back(), std::string(dash));
  EXPECT_EQ(table.rows[1].back(), "50.0 %, without chance 75.0 %");
  EXPECT_NO_THROW(check(table));
}

TEST(Tables, BoundsSayWhatIsPickedOfEachSetOfCandidates) {
  record::Matrix m;
  auto& b = m.protections.emplace_back().bound.emplace();
  b.pictures = 10000;
  b.distinct = 443;
  b.reidentified = {{"100", 0.3813}, {"1000", 0.159}, {"10000", 0.0443}};
  const auto words = [&] { return bounds_table(m).rows[0]; };
  EXPECT_EQ(words()[2], "443 of 10,000 pictures");
  EXPECT_EQ(words()[10], "38.1 % of 100, 15.9 % of 1,000, 4.43 % of 10,000");
  b.at_hand = 60000;
  b.distinct_at_hand = 500;
  b.reidentified["60000"] = 500.0 / 60000;
  EXPECT_EQ(words()[2], "443 of 10,000 pictures, 500 of all 60,000 at hand");
  EXPECT_EQ(words()[10], "38.1 % of 100, 15.9 % of 1,000, 4.43 % of 10,000, 0.833 % of 60,000");
}

TEST(Tables, OneCellInAWordOrTwo) {
  auto c = test::cell("p", "a", {0.1, 0.2});
  EXPECT_EQ(cell_text(nullptr), "");
  EXPECT_EQ(cell_text(&c), "0.15");
  c.measures["exact"] = 0.25;
  EXPECT_EQ(cell_text(&c), "0.15, 25.0 % exact");
  c.flags = {{"under_trained", "still improving"}};
  EXPECT_EQ(cell_text(&c), "0.15, 25.0 % exact (!)");
  // Who picks among candidates is judged by what he picks, not by how many he has bit for bit.
  c.threat_model.auxiliary = "candidates";
  c.measures["reidentified"] = 0.5;
  EXPECT_EQ(cell_text(&c), "50.0 % picked (!)");
  c.refused = "no";
  EXPECT_EQ(cell_text(&c), "\u2013");
}

TEST(Tables, AccuracyBesideThePapers) {
  auto m = test::matrix();
  m.protections[0].plain_accuracy = 0.24;  // it learned from encrypted pictures: nothing is lost
  auto& h = m.protections[1];
  h.accuracy = 0.875;
  h.architecture = "unet";
  h.accuracy_float = 0.876;
  h.plain_accuracy = 0.9;
  m.plain_paper = {0.9123, "Table I"};
  const auto t = accuracy_table(m);
  ASSERT_EQ(t.rows.size(), 2u);
  EXPECT_EQ(t.rows[0],
            (std::vector<std::string>{"le", "24.00", "81.25", "\u2013", "\u2013", "85.18"}));
  EXPECT_EQ(t.rows[1],
            (std::vector<std::string>{"h", "90.00", "87.50", "2.50", "87.60", "\u2013"}));
  EXPECT_NE(t.caption.find("91.23 % (Table I)"), std::string::npos) << t.caption;
  EXPECT_EQ(t.caption.find("In brackets"), std::string::npos);
  // Without a service there is what the classifier of plain pictures names, if it was asked.
  m.protections[0].accuracy.reset();
  EXPECT_EQ(accuracy_table(m).rows.size(), 1u);
  m.data.plain_accuracy = 0.9;
  m.cells.push_back(test::cell("le", "look", {0, 0}));
  m.cells.back().measures["named"] = 0.125;
  const auto with = accuracy_table(m);
  ASSERT_EQ(with.rows.size(), 2u);
  EXPECT_EQ(with.rows[0],
            (std::vector<std::string>{"le", "90.00", "(12.50)", "\u2013", "\u2013", "\u2013"}));
  EXPECT_NE(with.caption.find("In brackets: no service"), std::string::npos) << with.caption;
  EXPECT_NE(t.caption.find("arXiv 2008.03143, Table I"), std::string::npos) << t.caption;
}

TEST(Tables, TheStrongestByMeasure) {
  auto m = test::matrix();
  const auto column = [&](const char* name) {
    const auto t = strongest_table(m);
    const auto it = std::ranges::find(t.columns, name, &Column::header);
    return t.rows[0].at(static_cast<std::size_t>(it - t.columns.begin()));
  };
  EXPECT_EQ(column("SSIM, 7 x 7"), "1.000 (known-plaintext)");
  EXPECT_EQ(column("Re-identified"), "12.5 % (gan)") << "what is picked is picked";
  EXPECT_EQ(column("Named"), "34.6 % (gan)") << "shares are what they are, flagged or not";
  EXPECT_EQ(column("Feature distance"), "\u2013") << "the only figure is flagged";
  m.cells[0].flags.clear();
  EXPECT_EQ(column("Feature distance"), "0.500 (gan)");
  m.cells[1].measures["feature_distance"] = test::summary({0.25});
  EXPECT_EQ(column("Feature distance"), "0.250 (known-plaintext)") << "lower leaks more";
  m.cells[1].n = m.cells[0].n - 1;
  m.cells[1].measures["feature_distance"] = test::summary({0, 0.5});
  EXPECT_EQ(column("Feature distance"), "0.500 (gan)") << "fewer pictures may be easier ones";
  m.cells[1].n = m.cells[0].n;
  m.cells[1].threat_model.auxiliary = "candidates";
  EXPECT_EQ(column("SSIM, 7 x 7"), "0.100 (gan)") << "he had the pictures before";
}

TEST(Tables, WhetherMeasuresAgree) {
  record::Matrix m;
  const auto add = [&](double ssim, double distance, double named) {
    auto c = test::cell("s", std::to_string(m.cells.size()), {ssim, ssim});
    c.measures["feature_distance"] = test::summary({distance, distance});
    c.measures["named"] = named;
    m.cells.push_back(c);
  };
  add(0.1, 9, 0.2);
  add(0.3, 5, 0.9);
  EXPECT_TRUE(agreement_table(m).rows.empty()) << "two cells";
  add(-0.8, 1, 0.3);
  const auto t = agreement_table(m);
  check(t);
  const auto at = [&](const char* row, const char* column) {
    const auto r = std::ranges::find(t.rows, row, [](const auto& words) { return words[0]; });
    const auto c = std::ranges::find(t.columns, column, &Column::header);
    return (*r)[static_cast<size_t>(c - t.columns.begin())];
  };
  EXPECT_EQ(at("SSIM, 7 x 7", "SSIM, 7 x 7"), "1.00");
  EXPECT_EQ(at("SSIM, 7 x 7", "Feature distance"), "1.00")
      << "a low distance leaks, and an inverted picture";
  EXPECT_EQ(at("SSIM, 7 x 7", "Named"), "0.50");
  EXPECT_EQ(at("SSIM, 7 x 7", "Exact"), dash) << "the same everywhere";
}

TEST(Tables, OneFormForTheProgramAndTheDocuments) {
  auto m = test::matrix();
  auto picks = test::cell("le", "retrieval", {0.9, 1}, 0.9);
  picks.threat_model.auxiliary = "candidates";
  picks.candidates = 1000;
  picks.measures["reidentified"] = 0.125;
  picks.flags = {{"weaker_than_trivial", "no better"}};
  m.cells.push_back(picks);
  // scripts/results.py tabulates the same record to the same lines: tests/scripts/results_test.py.
  const std::filesystem::path tests = "tests";
  EXPECT_EQ(record::to_json(m), read_text(tests / "record" / "matrix.json"));
  for (auto& p : m.protections) p.accuracy.reset();  // leaks alone
  EXPECT_EQ(matrix_markdown(m), read_text(tests / "report" / "matrix.md"));
}

TEST(Tables, RowsOfTheComparison) {
  auto m = test::matrix();
  m.cells.push_back(test::cell("le", "look", {0.01, 0.03}));
  EXPECT_NE(rows_markdown({{"table1-x-le", {}, m}})
                .find("| le |  |  | 81.25 | 85.18 | \u2013 | 0.020 | 361 |"),
            std::string::npos)
      << rows_markdown({{"table1-x-le", {}, m}});
}

}  // namespace
}  // namespace veilnet::report
