#include "report/table.h"

#include "record/matrices.h"
#include "report/tables.h"
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
  auto& h = m.protections[1];
  h.accuracy = 0.875;
  h.accuracy_float = 0.876;
  h.plain_accuracy = 0.9;
  m.plain_paper = {0.9123, "Table I"};
  const auto t = accuracy_table(m);
  ASSERT_EQ(t.rows.size(), 2u);
  EXPECT_EQ(t.rows[0],
            (std::vector<std::string>{"le", "\u2013", "81.25", "\u2013", "\u2013", "85.18"}));
  EXPECT_EQ(t.rows[1],
            (std::vector<std::string>{"h", "90.00", "87.50", "2.50", "87.60", "\u2013"}));
  EXPECT_NE(t.caption.find("91.23 % (Table I)"), std::string::npos) << t.caption;
  EXPECT_NE(t.caption.find("arXiv 2008.03143, Table I"), std::string::npos) << t.caption;
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
