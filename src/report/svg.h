// Small charts as self-contained <svg> elements: no scripts, no outside resources, every text
// escaped. Colours are Okabe and Ito's, told apart by colour-blind readers; series also differ in
// marker and dash.
//
// Values that are infinite or not a number are left out of the drawing, and a line under the chart
// says how many. (The PSNR of a perfect reconstruction is infinite: it must neither be hidden nor
// stop the report.)
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace veilnet::report {

/// Round numbers (1, 2 or 5 times a power of ten apart) from the last one at or below low to the
/// first one at or above high.
/// @throws Error{InvalidArgument} unless low <= high and both are finite.
std::vector<double> nice_ticks(double low, double high, int about = 5);

/// What a box is drawn from.
struct BoxNumbers {
  double q1 = 0, median = 0, q3 = 0, mean = 0;
  double whisker_low = 0,
         whisker_high = 0;       ///< the outermost values within 1.5 (q3 - q1) of the box
  std::vector<double> outliers;  ///< every value beyond the whiskers, ascending
};

/// Quartiles as in summary.h. @throws Error{InvalidArgument} if there are no values or one is not
/// finite.
BoxNumbers box_numbers(std::span<const double> values);

/// A dashed line across the chart, named in the legend.
struct ReferenceLine {
  std::string label;
  double value = 0;
};

struct BoxGroup {
  std::string label;  ///< under its box, wrapped; neighbours with equal labels share one
  std::vector<double> values;
  std::size_t colour = 0;  ///< index into the palette
};

/// Vertical boxes side by side, the form of Fig. 5 of arXiv 2008.03143. Outliers are thinned to one
/// dot per 2 units of height; the outermost ones are always drawn.
struct BoxPlot {
  std::string title;
  std::string y_label;  ///< with its unit
  std::vector<BoxGroup> groups;
  std::vector<std::string> colour_names;  ///< what the colours 0, 1, ... mean, for the legend
  std::vector<ReferenceLine> references;
  int width = 512;  ///< grows when the boxes need more
  int height = 380;
};

/// @throws Error{InvalidArgument} if there are no groups.
std::string box_plot(const BoxPlot& chart);

enum class XScale {
  Linear,
  Logarithmic,
  Categorical  ///< x is an index into `categories`; the way to draw alpha = 0 beside 0.005 and 0.1
};

struct Series {
  std::string label;
  std::vector<std::pair<double, double>> points;  ///< (x, y); a point left out breaks the line
};

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  XScale x_scale = XScale::Linear;
  std::vector<std::string> categories;
  std::vector<ReferenceLine> references;
  std::optional<double> y_min, y_max;  ///< else from the data
  int width = 512;
  int height = 360;
};

/// @throws Error{InvalidArgument} if there are no series, x <= 0 on a logarithmic axis, or x is no
/// category.
std::string line_chart(const LineChart& chart);

struct Histogram {
  std::string title;
  std::string x_label;
  std::string y_label = "pictures";
  std::vector<double> values;
  std::vector<ReferenceLine> references;  ///< vertical, each with its label beside it
  int width = 512;
  int height = 300;
};

/// Bins start at round numbers; their width is the round number nearest to Freedman and Diaconis'
/// rule, for 80 bins at most.
/// @throws Error{InvalidArgument} if there are no values.
std::string histogram(const Histogram& chart);

}  // namespace veilnet::report
