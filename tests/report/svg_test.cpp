#include "report/svg.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>

#include "report/markup.h"
#include "support.h"

namespace veilnet::report {
namespace {

using test::attributes;
using test::contains;
using test::markup_fault;
using test::occurrences;

constexpr double inf = std::numeric_limits<double>::infinity();
const double nan = std::nan("");

/// Where the horizontal grid lines run: front is the lowest tick, back the highest.
std::vector<double> grid_rows(const std::string& svg) {
  return attributes(svg, "stroke=\"#e3e8ee\"", "y1");
}

std::vector<double> polyline_x(const std::string& svg) {
  const auto start = svg.find("points=\"") + 8;
  std::stringstream points(svg.substr(start, svg.find('"', start) - start));
  std::vector<double> xs;
  for (std::string pair; points >> pair;) xs.push_back(std::stod(pair));
  return xs;
}

TEST(NiceTicks, RoundStepsThatEncloseTheRange) {
  EXPECT_EQ(nice_ticks(0, 97), (std::vector<double>{0, 20, 40, 60, 80, 100}));
  EXPECT_EQ(nice_ticks(12, 31), (std::vector<double>{10, 15, 20, 25, 30, 35}));
  for (const auto& [low, high] : {std::pair(-0.03, 0.31), std::pair(1e-6, 3e-6),
                                  std::pair(-1e6, 4e7), std::pair(99.2, 99.3)}) {
    const auto ticks = nice_ticks(low, high);
    EXPECT_LE(ticks.front(), low);
    EXPECT_GE(ticks.back(), high);
    EXPECT_GE(ticks.size(), 3u);
    EXPECT_LE(ticks.size(), 12u);
    const double step = ticks[1] - ticks[0];
    EXPECT_GT(ticks[1], low);
    const double mantissa = step / std::pow(10.0, std::floor(std::log10(step * 1.0001)));
    EXPECT_TRUE(std::abs(mantissa - 1) < 1e-6 || std::abs(mantissa - 2) < 1e-6 ||
                std::abs(mantissa - 5) < 1e-6)
        << step;
  }
}

TEST(NiceTicks, WidensAPoint) {
  for (const double v : {0.0, 5.0, -0.2, 1e9}) {
    const auto ticks = nice_ticks(v, v);
    EXPECT_LT(ticks.front(), v);
    EXPECT_GT(ticks.back(), v);
    EXPECT_LE(ticks.size(), 12u);
  }
}

TEST(NiceTicks, RefusesBadRanges) {
  test::expect_error(ErrorCode::InvalidArgument, {"2", "1", "low <= high"},
                     [] { nice_ticks(2, 1); });
  test::expect_error(ErrorCode::InvalidArgument, {"low <= high"}, [] { nice_ticks(0, inf); });
  test::expect_error(ErrorCode::InvalidArgument, {"low <= high"}, [] { nice_ticks(nan, 1); });
}

// Quartiles at positions 2, 4 and 6 of 0..8; the fences lie at 3 - 6 and 7 + 6.
TEST(BoxNumbers, ByHand) {
  const auto box = box_numbers(std::vector<double>{30, 1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_DOUBLE_EQ(box.q1, 3);
  EXPECT_DOUBLE_EQ(box.median, 5);
  EXPECT_DOUBLE_EQ(box.q3, 7);
  EXPECT_DOUBLE_EQ(box.mean, 66.0 / 9);
  EXPECT_DOUBLE_EQ(box.whisker_low, 1);
  EXPECT_DOUBLE_EQ(box.whisker_high, 8);
  EXPECT_EQ(box.outliers, (std::vector<double>{30}));
}

TEST(BoxNumbers, AValueOnTheFenceIsNoOutlier) {
  const auto box =
      box_numbers(std::vector<double>{-3, 3, 3, 5, 7, 7, 13});  // q1 3, q3 7, fences -3 and 13
  EXPECT_EQ(box.whisker_low, -3);
  EXPECT_EQ(box.whisker_high, 13);
  EXPECT_TRUE(box.outliers.empty());
}

// q1 = 75 is interpolated; the lowest value within reach (100) lies above it.
TEST(BoxNumbers, WhiskersNeverPointInwards) {
  const auto box = box_numbers(std::vector<double>{0, 100, 101, 102});
  EXPECT_DOUBLE_EQ(box.q1, 75);
  EXPECT_DOUBLE_EQ(box.whisker_low, 75);
  EXPECT_EQ(box.outliers, (std::vector<double>{0}));
}

TEST(BoxNumbers, RefusesNothingAndNonFinite) {
  test::expect_error(ErrorCode::InvalidArgument, {"no values"}, [] { box_numbers({}); });
  test::expect_error(ErrorCode::InvalidArgument, {"value 1", "not finite"}, [] {
    box_numbers(std::vector<double>{0, inf});
  });
}

TEST(BoxPlot, DrawsTheBoxToScale) {
  BoxPlot chart;
  chart.title = "PSNR";
  chart.y_label = "PSNR (dB)";
  chart.groups = {{"one", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0}};
  const auto svg = box_plot(chart);
  EXPECT_EQ(markup_fault(svg), "");
  EXPECT_FALSE(test::reaches_outside(svg));
  EXPECT_TRUE(contains(svg, "<title>PSNR</title>"));
  EXPECT_TRUE(contains(svg, ">PSNR (dB)</text>"));
  EXPECT_TRUE(
      contains(svg, "one: median 5, quartiles 2.5 and 7.5, mean 5, whiskers 0 to 10, 0 outliers"));
  const auto rows = grid_rows(svg);  // ticks 0 to 10
  const double unit = (rows.front() - rows.back()) / 10;
  const auto top = attributes(svg, "fill-opacity=\"0.22\"", "y"),
             height = attributes(svg, "fill-opacity=\"0.22\"", "height");
  ASSERT_EQ(top.size(), 1u);
  EXPECT_NEAR(top[0], rows.front() - 7.5 * unit, 0.2);
  EXPECT_NEAR(height[0], 5 * unit, 0.2);
  const auto median = attributes(svg, "stroke-width=\"2.6\"", "y1");
  ASSERT_EQ(median.size(), 1u);
  EXPECT_NEAR(median[0], rows.front() - 5 * unit, 0.2);
}

TEST(BoxPlot, ThinsOutliersButKeepsTheOutermost) {
  BoxPlot chart;
  chart.title = "t";
  auto& values = chart.groups.emplace_back().values;
  for (int i = 0; i < 60000; ++i) values.push_back(0.4 + 0.2 * (i % 1000) / 1000);
  for (int i = 0; i < 4000; ++i) values.push_back(0.9 + 1.1 * i / 4000);
  values.push_back(-1);
  values.push_back(2);
  const auto svg = box_plot(chart);
  const auto dots = attributes(svg, "<circle", "cy");
  EXPECT_GT(dots.size(), 20u);
  EXPECT_LT(dots.size(), 200u);
  const auto rows = grid_rows(svg);  // ticks -1 to 2
  EXPECT_NEAR(*std::min_element(dots.begin(), dots.end()), rows.back(), 0.2);
  EXPECT_NEAR(*std::max_element(dots.begin(), dots.end()), rows.front(), 0.2);
}

TEST(BoxPlot, CountsWhatItLeavesOut) {
  BoxPlot chart;
  chart.title = "t";
  chart.groups = {{"a", {1, 2, inf, 3, nan}, 0}, {"b", {inf}, 1}};
  const auto svg = box_plot(chart);
  EXPECT_EQ(markup_fault(svg), "");
  EXPECT_TRUE(contains(svg, "3 values are not drawn: infinite or not a number"));
  EXPECT_TRUE(contains(svg, "no finite value"));
  EXPECT_EQ(attributes(svg, "fill-opacity=\"0.22\"", "y").size(), 1u);
  EXPECT_FALSE(contains(svg, "nan"));
  chart.groups = {{"a", {1, 2, 3}, 0}};
  EXPECT_FALSE(contains(box_plot(chart), "not drawn"));
}

TEST(BoxPlot, LegendSharedLabelsAndReferences) {
  BoxPlot chart;
  chart.title = "t";
  chart.colour_names = {"protected", "reconstructed", "unused"};
  chart.references = {{"blind guess", 40}};
  chart.groups = {{"m1", {1, 2}, 0}, {"m1", {1, 2}, 1}, {"m2", {1, 2}, 0}};
  const auto svg = box_plot(chart);
  EXPECT_EQ(occurrences(svg, ">m1</text>"), 1u);
  EXPECT_EQ(occurrences(svg, ">m2</text>"), 1u);
  EXPECT_EQ(occurrences(svg, ">protected</text>"), 1u);
  EXPECT_EQ(occurrences(svg, ">reconstructed</text>"), 1u);
  EXPECT_FALSE(contains(svg, "unused"));
  EXPECT_TRUE(contains(svg, ">blind guess</text>"));
  EXPECT_TRUE(contains(svg, ">40</text>"));  // the axis reaches the reference
}

TEST(BoxPlot, EscapesText) {
  BoxPlot chart;
  chart.title = "<script>alert(\"1\")</script>";
  chart.y_label = "a & b";
  chart.groups = {{"<b>'x'", {1, 2, 3}, 0}};
  const auto svg = box_plot(chart);
  EXPECT_EQ(markup_fault(svg), "");
  EXPECT_FALSE(contains(svg, "<script"));
  EXPECT_TRUE(contains(svg, "&lt;b&gt;&#39;x&#39;"));
  EXPECT_TRUE(contains(svg, "a &amp; b"));
}

TEST(BoxPlot, RefusesNoGroups) {
  test::expect_error(ErrorCode::InvalidArgument, {"box_plot 'empty'", "no groups"}, [] {
    box_plot({.title = "empty", .y_label = "", .groups = {}, .colour_names = {}, .references = {}});
  });
}

LineChart small_line_chart() {
  LineChart chart;
  chart.title = "Accuracy";
  chart.x_label = "alpha";
  chart.y_label = "accuracy (%)";
  return chart;
}

TEST(LineChart, CategoriesIncludingZero) {
  auto chart = small_line_chart();
  chart.x_scale = XScale::Categorical;
  chart.categories = {"0", "0.005", "0.1"};
  chart.series = {{"ours", {{0, 91}, {1, 90}, {2, 40}}}, {"paper", {{1, 91.72}, {2, 39.92}}}};
  const auto svg = line_chart(chart);
  EXPECT_EQ(markup_fault(svg), "");
  EXPECT_FALSE(test::reaches_outside(svg));
  EXPECT_EQ(occurrences(svg, "<polyline"), 2u);
  for (const char* part : {"<title>Accuracy</title>", ">alpha</text>", ">accuracy (%)</text>",
                           ">0.005</text>", ">ours</text>", ">paper</text>", "paper, 0.005: 91.72"})
    EXPECT_TRUE(contains(svg, part)) << part;
  const auto xs = polyline_x(svg);
  ASSERT_EQ(xs.size(), 3u);
  EXPECT_NEAR(xs[1] - xs[0], xs[2] - xs[1], 0.2);
  chart.series[0].points[0].first = 3;
  test::expect_error(ErrorCode::InvalidArgument, {"Accuracy", "x is 3", "3 categories"},
                     [&] { line_chart(chart); });
}

TEST(LineChart, LogarithmicSpacing) {
  auto chart = small_line_chart();
  chart.x_scale = XScale::Logarithmic;
  chart.series = {{"s", {{0.001, 1}, {0.01, 2}, {1, 3}}}};
  const auto svg = line_chart(chart);
  EXPECT_EQ(markup_fault(svg), "");
  const auto xs = polyline_x(svg);
  ASSERT_EQ(xs.size(), 3u);
  EXPECT_NEAR(2 * (xs[1] - xs[0]), xs[2] - xs[1], 0.3);
  for (const char* tick : {">0.001</text>", ">0.01</text>", ">0.1</text>", ">1</text>"})
    EXPECT_TRUE(contains(svg, tick)) << tick;
  chart.series[0].points[0].first = 0;
  test::expect_error(ErrorCode::InvalidArgument, {"Accuracy", "x is 0", "x > 0"},
                     [&] { line_chart(chart); });
}

TEST(LineChart, AMissingPointBreaksTheLineAndIsCounted) {
  auto chart = small_line_chart();
  chart.series = {{"s", {{0, 1}, {1, 2}, {2, nan}, {3, 2}, {4, 1}}}};
  const auto svg = line_chart(chart);
  EXPECT_EQ(occurrences(svg, "<polyline"), 2u);
  EXPECT_EQ(occurrences(svg, "<title>s, "), 4u);
  EXPECT_TRUE(contains(svg, "1 value is not drawn"));
  EXPECT_FALSE(contains(svg, "nan"));
}

TEST(LineChart, FixedLimitsSinglePointsAndErrors) {
  auto chart = small_line_chart();
  chart.series = {{"s", {{1, 50}}}};
  chart.y_min = 0;
  chart.y_max = 100;
  const auto svg = line_chart(chart);
  EXPECT_EQ(markup_fault(svg), "");
  EXPECT_TRUE(contains(svg, ">0</text>"));
  EXPECT_TRUE(contains(svg, ">100</text>"));
  chart.series = {{"only nan", {{1, nan}}}};
  EXPECT_EQ(markup_fault(line_chart(chart)), "");
  chart.x_scale = XScale::Logarithmic;
  EXPECT_EQ(markup_fault(line_chart(chart)), "");
  chart.series.clear();
  test::expect_error(ErrorCode::InvalidArgument, {"Accuracy", "no series"},
                     [&] { line_chart(chart); });
}

/// Sums the counts in the tooltips "a to b: n".
std::size_t histogram_total(const std::string& svg) {
  std::size_t total = 0;
  for (std::size_t i = svg.find(" to "); i != std::string::npos; i = svg.find(" to ", i + 1)) {
    const auto colon = svg.find(": ", i);
    auto digits = svg.substr(colon + 2, svg.find('<', colon) - colon - 2);
    std::erase(digits, ',');
    total += std::stoul(digits);
  }
  return total;
}

TEST(Histogram, EveryValueFallsIntoOneBin) {
  Histogram chart;
  chart.title = "PSNR";
  chart.x_label = "dB";
  for (int i = 0; i <= 5000; ++i) chart.values.push_back(10 + 0.001 * i);
  chart.references = {{"median", 12.5}, {"blind guess", 4}};
  const auto svg = histogram(chart);
  EXPECT_EQ(markup_fault(svg), "");
  EXPECT_FALSE(test::reaches_outside(svg));
  EXPECT_EQ(histogram_total(svg), 5001u);
  for (const char* part :
       {">dB</text>", ">pictures</text>", ">median</text>", ">blind guess</text>", ">4</text>"})
    EXPECT_TRUE(contains(svg, part)) << part;
}

TEST(Histogram, ValuesOnBinEdgesGoRight) {
  Histogram chart;
  chart.title = "t";
  chart.values = {0, 0, 0, 1, 1, 2, 3, 3, 3, 3};
  const auto svg = histogram(chart);
  EXPECT_EQ(histogram_total(svg), 10u);
  EXPECT_TRUE(contains(svg, "<title>0 to 2: 5</title>") ||
              contains(svg, "<title>0 to 1: 3</title>"))
      << svg;
}

TEST(Histogram, EqualNonFiniteAndNoValues) {
  Histogram chart;
  chart.title = "t";
  chart.values = {5, 5, 5, inf};
  const auto svg = histogram(chart);
  EXPECT_EQ(markup_fault(svg), "");
  EXPECT_EQ(histogram_total(svg), 3u);
  EXPECT_TRUE(contains(svg, "1 value is not drawn"));
  chart.values = {inf};
  EXPECT_EQ(markup_fault(histogram(chart)), "");
  chart.values.clear();
  test::expect_error(ErrorCode::InvalidArgument, {"histogram 't'", "no values"},
                     [&] { histogram(chart); });
}

}  // namespace
}  // namespace veilnet::report
