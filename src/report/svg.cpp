#include "report/svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>

#include "core/error.h"
#include "record/summary.h"
#include "report/text.h"

namespace veilnet::report {

using record::quantile;

namespace {

constexpr std::array<std::string_view, 7> palette = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                     "#E69F00", "#56B4E9", "#4D4D4D"};
constexpr std::array<std::string_view, 7> dashes = {"",     "7 3", "2 3", "9 3 2 3",
                                                    "12 4", "4 4", "1 4"};
constexpr std::string_view ink = "#1f2933";
constexpr std::string_view faint = "#5b6770";
constexpr std::string_view grid = "#e3e8ee";
constexpr double font = 12;
constexpr double line_height = 15;

template <std::size_t N>
std::string_view pick(const std::array<std::string_view, N>& from, std::size_t i) {
  return from[i % N];
}

/// Characters, not bytes; continuation bytes of UTF-8 do not count.
std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0u) != 0x80u; }));
}

/// No font metrics here; 0.56 em per character is generous for the usual sans-serif fonts.
double text_width(std::string_view text, double size = font) {
  return 0.56 * size * static_cast<double>(character_count(text));
}

/// Breaks at spaces so that a line fits the width where words allow.
std::vector<std::string> wrap(std::string_view text, double width) {
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::string word(text.substr(start, end - start));
    if (!line.empty() && text_width(line + " " + word) > width) {
      lines.push_back(std::move(line));
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    start = end + 1;
  }
  lines.push_back(std::move(line));
  return lines;
}

struct TextStyle {
  std::string_view anchor = "start";
  double size = font;
  std::string_view colour = ink;
  bool bold = false;
  bool halo = false;  ///< white outline, for text over lines
  bool upright = false;
};

/// Collects elements; coordinates are rounded to a tenth so that equal input gives equal bytes of
/// modest length.
class Canvas {
 public:
  static std::string number(double v) {
    std::string text = fixed(v, 1);
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
  }

  void line(double x1, double y1, double x2, double y2, std::string_view colour, double width = 1,
            std::string_view dash_pattern = "") {
    body_ += "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
             "\" y2=\"" + number(y2) + "\" stroke=\"" + std::string(colour) + "\" stroke-width=\"" +
             number(width) + "\"" + dashed(dash_pattern) + "/>\n";
  }
  void rect(double x, double y, double width, double height, std::string_view fill,
            std::string_view stroke = "none", double opacity = 1, std::string_view tooltip = "") {
    body_ += "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(width) +
             "\" height=\"" + number(height) + "\" fill=\"" + std::string(fill) +
             "\" fill-opacity=\"" + fixed(opacity, 2) + "\" stroke=\"" + std::string(stroke) + "\"";
    body_ += tooltip.empty() ? "/>\n" : "><title>" + escape(tooltip) + "</title></rect>\n";
  }
  void polyline(const std::vector<std::pair<double, double>>& points, std::string_view colour,
                std::string_view dash_pattern) {
    body_ += "<polyline points=\"";
    for (const auto& [x, y] : points) body_ += number(x) + "," + number(y) + " ";
    body_.back() = '"';
    body_ += " fill=\"none\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke=\"" +
             std::string(colour) + "\"" + dashed(dash_pattern) + "/>\n";
  }
  void circle(double x, double y, double radius, std::string_view fill, double opacity = 1) {
    body_ += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" + number(radius) +
             "\" fill=\"" + std::string(fill) + "\" fill-opacity=\"" + fixed(opacity, 2) + "\"/>\n";
  }
  /// Circle, square, diamond, triangle, in turn; the tooltip gives the exact value.
  void marker(double x, double y, std::size_t shape, std::string_view fill,
              std::string_view tooltip = "") {
    std::string path;
    const auto point = [&](double dx, double dy) {
      path += number(x + dx) + " " + number(y + dy) + " ";
    };
    const double r = 4.2;
    if (shape % 4 == 0) {
      path = "M" + number(x - r) + " " + number(y) + "a" + number(r) + " " + number(r) + " 0 1 0 " +
             number(2 * r) + " 0a" + number(r) + " " + number(r) + " 0 1 0 " + number(-2 * r) +
             " 0";
    } else {
      path = "M";
      if (shape % 4 == 1) point(-r, -r), point(r, -r), point(r, r), point(-r, r);
      if (shape % 4 == 2)
        point(0, -r - 1.2), point(r + 1.2, 0), point(0, r + 1.2), point(-r - 1.2, 0);
      if (shape % 4 == 3) point(0, -r - 1), point(r + 0.8, r), point(-r - 0.8, r);
    }
    body_ += "<path d=\"" + path + "z\" fill=\"" + std::string(fill) + "\" stroke=\"#ffffff\"";
    body_ += tooltip.empty() ? "/>\n" : "><title>" + escape(tooltip) + "</title></path>\n";
  }
  void text(double x, double y, std::string_view words, const TextStyle& style = {}) {
    body_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" +
             std::string(style.anchor) + "\" font-size=\"" + number(style.size) + "\" fill=\"" +
             std::string(style.colour) + "\"";
    if (style.bold) body_ += " font-weight=\"600\"";
    if (style.halo) body_ += " stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\"";
    if (style.upright) body_ += " transform=\"rotate(-90 " + number(x) + " " + number(y) + ")\"";
    body_ += ">" + escape(words) + "</text>\n";
  }

  /// Shrinks with a narrow page, down to three quarters; never grows, so that type keeps its size.
  std::string finish(double width, double height, const std::string& title,
                     const std::string& description) const {
    const std::string w = number(width), h = number(height);
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + w + " " + h +
           "\" width=\"" + w + "\" height=\"" + h +
           "\" style=\"max-width:100%;min-width:" + number(std::floor(0.75 * width)) +
           "px;height:auto\" role=\"img\" aria-label=\"" + escape(title) +
           "\" font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', Arial, "
           "sans-serif\">\n<title>" +
           escape(title) + "</title>\n<desc>" + escape(description) + "</desc>\n<rect width=\"" +
           w + "\" height=\"" + h + "\" fill=\"#ffffff\"/>\n" + body_ + "</svg>\n";
  }

 private:
  static std::string dashed(std::string_view pattern) {
    return pattern.empty() ? "" : " stroke-dasharray=\"" + std::string(pattern) + "\"";
  }
  std::string body_;
};

/// 1, 2 or 5 times a power of ten, nearest to the wanted step in ratio.
double nice_step(double wanted) {
  const double power = std::pow(10.0, std::floor(std::log10(wanted)));
  const double mantissa = wanted / power;
  return power * (mantissa < std::sqrt(2.0)    ? 1
                  : mantissa < std::sqrt(10.0) ? 2
                  : mantissa < std::sqrt(50.0) ? 5
                                               : 10);
}

/// Tick labels with the decimals their distance needs; scientific where that would be unreadable.
std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  std::vector<std::string> labels;
  for (const double t : ticks) {
    const bool readable = decimals <= 5 && std::abs(t) < 1e7;
    labels.push_back(readable ? fixed(t, decimals) : compact(std::abs(t) < 1e-9 * step ? 0 : t));
  }
  return labels;
}

/// Maps [low, high] to [from, to].
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  double operator()(double v) const { return from + (v - low) / (high - low) * (to - from); }
};

/// The plot area and everything around it that all charts share.
struct Frame {
  double left = 62, right = 0, top = 0, bottom = 0;
  std::vector<double> ticks;
  std::vector<std::string> labels;
  Axis y;
};

Frame make_frame(Canvas& canvas, double width, double height, double top, double bottom_margin,
                 const std::string& title, const std::string& y_label, std::vector<double> ticks) {
  Frame frame;
  frame.right = width - 16;
  frame.top = top;
  frame.bottom = height - bottom_margin;
  frame.ticks = std::move(ticks);
  frame.labels = tick_labels(frame.ticks);
  double widest = 0;
  for (const auto& label : frame.labels) widest = std::max(widest, text_width(label));
  frame.left = widest + 36;
  frame.y = {frame.ticks.front(), frame.ticks.back(), frame.bottom, frame.top};
  canvas.text(12, 22, title, {.size = 14, .bold = true});
  for (std::size_t i = 0; i < frame.ticks.size(); ++i) {
    const double y = frame.y(frame.ticks[i]);
    canvas.line(frame.left, y, frame.right, y, grid);
    canvas.text(frame.left - 7, y + 4, frame.labels[i], {.anchor = "end", .colour = faint});
  }
  canvas.text(16, (frame.top + frame.bottom) / 2, y_label, {.anchor = "middle", .upright = true});
  return frame;
}

void draw_references(Canvas& canvas, const Frame& frame,
                     const std::vector<ReferenceLine>& references) {
  for (const auto& reference : references) {
    if (!std::isfinite(reference.value)) continue;
    const double y = frame.y(reference.value);
    canvas.line(frame.left, y, frame.right, y, faint, 1.3, "5 4");
  }
}

/// Samples and names from left to right under the title, wrapping. Coordinates are those of the
/// next entry's sample.
class Legend {
 public:
  Legend(Canvas& canvas, double width) : canvas_(canvas), width_(width) {}
  void box(std::string_view label, std::size_t colour) {
    place(label);
    canvas_.rect(x_ + 6, y_ - 6, 16, 12, pick(palette, colour), pick(palette, colour), 0.22);
  }
  void series(std::string_view label, std::size_t i) {
    place(label);
    canvas_.line(x_, y_, x_ + 28, y_, pick(palette, i), 2, pick(dashes, i));
    canvas_.marker(x_ + 14, y_, i, pick(palette, i));
  }
  void references(const std::vector<ReferenceLine>& references) {
    for (const auto& reference : references) {
      if (!std::isfinite(reference.value)) continue;
      place(reference.label);
      canvas_.line(x_, y_, x_ + 28, y_, faint, 1.3, "5 4");
    }
  }
  /// Where the plot may begin.
  double end() const { return next_ > left ? y_ + 20 : 40; }

 private:
  static constexpr double left = 12;
  void place(std::string_view label) {
    const double needed = 34 + text_width(label) + 14;
    if (next_ > left && next_ + needed > width_) {
      next_ = left;
      y_ += 18;
    }
    x_ = next_;
    next_ += needed;
    canvas_.text(x_ + 34, y_ + 4, label);
  }
  Canvas& canvas_;
  double width_, x_ = left, next_ = left, y_ = 42;
};

/// "1 value not drawn ..." or nothing.
std::string dropped_note(std::size_t count) {
  if (count == 0) return "";
  return grouped(count) + (count == 1 ? " value is" : " values are") +
         " not drawn: infinite or not a number";
}

void draw_dropped_note(Canvas& canvas, double height, const std::string& note) {
  if (!note.empty()) canvas.text(12, height - 9, note, {.size = 11, .colour = "#9b2c00"});
}

struct Range {
  double low = 0, high = 0;
  bool any = false;
  void add(double v) {
    if (!std::isfinite(v)) return;
    low = any ? std::min(low, v) : v;
    high = any ? std::max(high, v) : v;
    any = true;
  }
};

std::vector<double> ticks_for(const Range& range, int about) {
  return range.any ? nice_ticks(range.low, range.high, about) : nice_ticks(0, 1, about);
}

int ticks_in(double pixels) { return std::clamp(static_cast<int>(pixels / 45), 3, 8); }

std::vector<double> finite_only(const std::vector<double>& values) {
  std::vector<double> kept;
  std::copy_if(values.begin(), values.end(), std::back_inserter(kept),
               [](double v) { return std::isfinite(v); });
  return kept;
}

/// One dot per 2 units of height, walking inwards from each end so that the outermost values
/// survive.
void draw_outliers(Canvas& canvas, const Frame& frame, double x, const BoxNumbers& box,
                   std::string_view colour) {
  const auto draw = [&](auto begin, auto end) {
    double last = std::numeric_limits<double>::infinity();
    for (auto it = begin; it != end; ++it) {
      const double y = frame.y(*it);
      if (std::abs(y - last) < 2) continue;
      canvas.circle(x, y, 2.2, colour, 0.55);
      last = y;
    }
  };
  const auto split = std::partition_point(box.outliers.begin(), box.outliers.end(),
                                          [&](double v) { return v < box.median; });
  draw(box.outliers.begin(), split);
  draw(box.outliers.rbegin(), std::make_reverse_iterator(split));
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int about) {
  if (!std::isfinite(low) || !std::isfinite(high) || low > high)
    fail(ErrorCode::InvalidArgument, "nice_ticks: the range is {} to {}, allowed is low <= high",
         shortest(low), shortest(high));
  // Equal ends, or ends so close that steps would drown in rounding.
  const double least = std::max(std::abs(low), std::abs(high)) * 1e-9;
  if (high - low <= least) {
    const double pad = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= pad;
    high += pad;
  }
  const double step = nice_step((high - low) / std::max(1, about));
  const auto first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  std::vector<double> ticks;
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

BoxNumbers box_numbers(std::span<const double> values) {
  if (values.empty()) fail(ErrorCode::InvalidArgument, "box_numbers: no values");
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail(ErrorCode::InvalidArgument, "box_numbers: value {} is not finite", i);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  BoxNumbers box;
  box.q1 = quantile(sorted, 0.25);
  box.median = quantile(sorted, 0.5);
  box.q3 = quantile(sorted, 0.75);
  for (const double v : sorted) box.mean += v / static_cast<double>(sorted.size());
  const double reach = 1.5 * (box.q3 - box.q1);
  const auto inner = std::lower_bound(sorted.begin(), sorted.end(), box.q1 - reach);
  const auto outer = std::upper_bound(sorted.begin(), sorted.end(), box.q3 + reach);
  // In small groups the outermost value within reach can lie inside the box; a whisker never points
  // inwards.
  box.whisker_low = std::min(*inner, box.q1);
  box.whisker_high = std::max(*(outer - 1), box.q3);
  box.outliers.assign(sorted.begin(), inner);
  box.outliers.insert(box.outliers.end(), outer, sorted.end());
  return box;
}

std::string box_plot(const BoxPlot& chart) {
  if (chart.groups.empty())
    fail(ErrorCode::InvalidArgument, "box_plot '{}': no groups", chart.title);
  Range range;
  std::size_t dropped = 0, label_lines = 1;
  const auto count = chart.groups.size();
  const double width = std::max<double>(chart.width, 90 + 74 * static_cast<double>(count));
  const double band = (width - 90) / static_cast<double>(count);
  std::vector<std::vector<double>> finite;
  for (const auto& group : chart.groups) {
    finite.push_back(finite_only(group.values));
    dropped += group.values.size() - finite.back().size();
    for (const double v : finite.back()) range.add(v);
  }
  for (const auto& reference : chart.references) range.add(reference.value);
  struct Label {
    std::size_t first, boxes;
    std::vector<std::string> lines;
  };
  std::vector<Label> labels;
  for (std::size_t i = 0, next = 0; i < count; i = next) {
    while (next < count && chart.groups[next].label == chart.groups[i].label) ++next;
    labels.push_back(
        {i, next - i, wrap(chart.groups[i].label, band * static_cast<double>(next - i) - 8)});
    label_lines = std::max(label_lines, labels.back().lines.size());
  }

  Canvas canvas;
  Legend legend(canvas, width);
  for (std::size_t i = 0; i < chart.colour_names.size(); ++i)
    if (std::any_of(chart.groups.begin(), chart.groups.end(),
                    [&](const BoxGroup& g) { return g.colour == i; }))
      legend.box(chart.colour_names[i], i);
  legend.references(chart.references);
  const std::string note = dropped_note(dropped);
  const double below =
      12 + line_height * static_cast<double>(label_lines + 1) + (note.empty() ? 0 : 18);
  const Frame frame =
      make_frame(canvas, width, chart.height, legend.end(), below, chart.title, chart.y_label,
                 ticks_for(range, ticks_in(chart.height - legend.end() - below)));
  draw_references(canvas, frame, chart.references);
  const double slot = (frame.right - frame.left) / static_cast<double>(count);
  for (const auto& label : labels) {
    const double x =
        frame.left +
        (static_cast<double>(label.first) + 0.5 * static_cast<double>(label.boxes)) * slot;
    for (std::size_t k = 0; k < label.lines.size(); ++k)
      canvas.text(x, frame.bottom + 17 + line_height * static_cast<double>(k + 1), label.lines[k],
                  {.anchor = "middle"});
    if (label.first > 0) {
      const double border = frame.left + static_cast<double>(label.first) * slot;
      canvas.line(border, frame.top, border, frame.bottom + 8, grid);
    }
  }

  std::string description;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& group = chart.groups[i];
    const auto colour = pick(palette, group.colour);
    const double x = frame.left + (static_cast<double>(i) + 0.5) * slot;
    canvas.text(x, frame.bottom + 16, "n = " + grouped(group.values.size()),
                {.anchor = "middle", .size = 11, .colour = faint});
    if (finite[i].empty()) {
      canvas.text(x, (frame.top + frame.bottom) / 2, "no finite value",
                  {.anchor = "middle", .size = 11, .colour = faint, .halo = true});
      continue;
    }
    const BoxNumbers box = box_numbers(finite[i]);
    const double half = std::min(0.3 * slot, 38.0);
    const bool named = group.colour < chart.colour_names.size();
    const std::string numbers =
        group.label + (named ? ", " + chart.colour_names[group.colour] : "") + ": median " +
        compact(box.median) + ", quartiles " + compact(box.q1) + " and " + compact(box.q3) +
        ", mean " + compact(box.mean) + ", whiskers " + compact(box.whisker_low) + " to " +
        compact(box.whisker_high) + ", " + grouped(box.outliers.size()) + " outliers";
    description += (description.empty() ? "" : "; ") + numbers;
    draw_outliers(canvas, frame, x, box, colour);
    for (const auto& [inner, outer] :
         {std::pair(box.q1, box.whisker_low), std::pair(box.q3, box.whisker_high)}) {
      canvas.line(x, frame.y(inner), x, frame.y(outer), colour, 1.4);
      canvas.line(x - half / 2, frame.y(outer), x + half / 2, frame.y(outer), colour, 1.4);
    }
    const double top = frame.y(box.q3), bottom = frame.y(box.q1);
    canvas.rect(x - half, top, 2 * half, bottom - top, "#ffffff", "none");
    canvas.rect(x - half, top, 2 * half, bottom - top, colour, colour, 0.22, numbers);
    canvas.line(x - half, frame.y(box.median), x + half, frame.y(box.median), colour, 2.6);
    canvas.marker(x, frame.y(box.mean), 2, ink);
  }
  draw_dropped_note(canvas, chart.height, note);
  return canvas.finish(width, chart.height, chart.title, description);
}

std::string line_chart(const LineChart& chart) {
  const std::string name = "line_chart '" + chart.title + "'";
  if (chart.series.empty()) fail(ErrorCode::InvalidArgument, "{}: no series", name);
  const bool logarithmic = chart.x_scale == XScale::Logarithmic,
             categorical = chart.x_scale == XScale::Categorical;
  Range xs, ys;
  std::size_t dropped = 0;
  const auto drawable = [](const std::pair<double, double>& p) {
    return std::isfinite(p.first) && std::isfinite(p.second);
  };
  const auto place = [&](double x) { return logarithmic ? std::log10(x) : x; };
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      if (!drawable(point)) {
        ++dropped;
        continue;
      }
      const double x = point.first;
      if (logarithmic && x <= 0)
        fail(ErrorCode::InvalidArgument,
             "{}: x is {}, a logarithmic axis needs x > 0; use a categorical one", name,
             shortest(x));
      if (categorical &&
          (x != std::floor(x) || x < 0 || x >= static_cast<double>(chart.categories.size())))
        fail(ErrorCode::InvalidArgument, "{}: x is {}, allowed are the indices of {} categories",
             name, shortest(x), chart.categories.size());
      xs.add(place(x));
      ys.add(point.second);
    }
  }
  for (const auto& reference : chart.references) ys.add(reference.value);
  if (chart.y_min) ys.add(*chart.y_min);
  if (chart.y_max) ys.add(*chart.y_max);

  Canvas canvas;
  Legend legend(canvas, chart.width);
  for (std::size_t i = 0; i < chart.series.size(); ++i) legend.series(chart.series[i].label, i);
  legend.references(chart.references);

  const std::string note = dropped_note(dropped);
  const double top = legend.end(), below = 46 + (note.empty() ? 0.0 : 18.0);
  const Frame frame =
      make_frame(canvas, chart.width, chart.height, top, below, chart.title, chart.y_label,
                 ticks_for(ys, ticks_in(chart.height - top - below)));
  canvas.line(frame.left, frame.bottom, frame.right, frame.bottom, faint);

  std::vector<std::pair<double, std::string>> x_ticks;
  Axis x_axis{0, 1, frame.left + 14, frame.right - 14};
  if (categorical) {
    const auto count = static_cast<double>(std::max<std::size_t>(1, chart.categories.size()));
    x_axis = {-0.5, count - 0.5, frame.left, frame.right};
    for (std::size_t i = 0; i < chart.categories.size(); ++i)
      x_ticks.emplace_back(static_cast<double>(i), chart.categories[i]);
  } else if (logarithmic) {
    if (!xs.any) xs.add(0);
    const double first = std::floor(xs.low + 1e-9),
                 last = std::max(first + 1, std::ceil(xs.high - 1e-9));
    x_axis.low = xs.high - xs.low < 0.5 ? first : xs.low;
    x_axis.high = xs.high - xs.low < 0.5 ? last : xs.high;
    for (double decade = first; decade <= last; ++decade) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double at = decade + std::log10(factor);
        if ((factor == 1 || last - first <= 2) && at >= x_axis.low - 1e-9 &&
            at <= x_axis.high + 1e-9)
          x_ticks.emplace_back(at, compact(factor * std::pow(10.0, decade)));
      }
    }
  } else {
    const auto ticks = ticks_for(xs, std::clamp(chart.width / 90, 2, 8));
    const auto labels = tick_labels(ticks);
    x_axis.low = ticks.front();
    x_axis.high = ticks.back();
    for (std::size_t i = 0; i < ticks.size(); ++i) x_ticks.emplace_back(ticks[i], labels[i]);
  }
  for (const auto& [at, label] : x_ticks) {
    canvas.line(x_axis(at), frame.bottom, x_axis(at), frame.bottom + 4, faint);
    canvas.text(x_axis(at), frame.bottom + 18, label, {.anchor = "middle", .colour = faint});
  }
  canvas.text((frame.left + frame.right) / 2, frame.bottom + 36, chart.x_label,
              {.anchor = "middle"});
  draw_references(canvas, frame, chart.references);

  std::string description;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const auto& series = chart.series[i];
    std::vector<std::pair<double, double>> run;
    const auto flush = [&] {
      if (run.size() > 1) canvas.polyline(run, pick(palette, i), pick(dashes, i));
      run.clear();
    };
    for (const auto& point : series.points) {
      if (drawable(point)) {
        run.emplace_back(x_axis(place(point.first)), frame.y(point.second));
      } else {
        flush();
      }
    }
    flush();
    description += (description.empty() ? "" : "; ") + series.label + ":";
    for (const auto& point : series.points) {
      if (!drawable(point)) continue;
      const auto x = categorical ? chart.categories[static_cast<std::size_t>(point.first)]
                                 : shortest(point.first);
      const std::string value = x + ": " + compact(point.second);
      canvas.marker(x_axis(place(point.first)), frame.y(point.second), i, pick(palette, i),
                    series.label + ", " + value);
      description += " " + value;
    }
  }
  draw_dropped_note(canvas, chart.height, note);
  return canvas.finish(chart.width, chart.height, chart.title, description);
}

std::string histogram(const Histogram& chart) {
  if (chart.values.empty())
    fail(ErrorCode::InvalidArgument, "histogram '{}': no values", chart.title);
  auto values = finite_only(chart.values);
  const std::string note = dropped_note(chart.values.size() - values.size());
  std::sort(values.begin(), values.end());

  double low = 0, step = 1;
  std::vector<std::size_t> counts(1, 0);
  if (!values.empty()) {
    const double span = values.back() - values.front();
    const double spread = quantile(values, 0.75) - quantile(values, 0.25);
    double wanted = 2 * spread / std::cbrt(static_cast<double>(values.size()));
    wanted = std::max(wanted > 0 ? wanted : span / 10, span / 40);
    if (span <= std::abs(values.back()) * 1e-9)
      wanted = values.back() == 0 ? 1 : std::abs(values.back()) * 0.05;
    step = nice_step(wanted);
    const double first = std::floor(values.front() / step + 1e-9);
    low = first * step;
    const auto bin = [&](double v) {
      return static_cast<std::size_t>(std::max(0.0, std::floor(v / step + 1e-9) - first));
    };
    counts.assign(bin(values.back()) + 1, 0);
    for (const double v : values) ++counts[bin(v)];
  }
  const double high = low + step * static_cast<double>(counts.size());

  Canvas canvas;
  const double below = 46 + (note.empty() ? 0.0 : 18.0);
  const double tallest =
      std::max(1.0, static_cast<double>(*std::max_element(counts.begin(), counts.end())));
  // Counts are whole numbers: never more ticks than pictures.
  const int y_ticks = std::min(ticks_in(chart.height - 40 - below), static_cast<int>(tallest));
  const Frame frame = make_frame(canvas, chart.width, chart.height, 40, below, chart.title,
                                 chart.y_label, nice_ticks(0, tallest, y_ticks));
  Range xs;
  xs.add(low);
  xs.add(high);
  for (const auto& reference : chart.references) xs.add(reference.value);
  const Axis x_axis{xs.low, xs.high, frame.left + 4, frame.right - 4};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    const double from = low + step * static_cast<double>(i);
    const double x = x_axis(from), y = frame.y(static_cast<double>(counts[i]));
    const double bar = std::max(1.0, x_axis(from + step) - x - 1);
    canvas.rect(x + 0.5, y, bar, frame.bottom - y, palette[0], "none", 0.75,
                compact(from) + " to " + compact(from + step) + ": " + grouped(counts[i]));
  }
  canvas.line(frame.left, frame.bottom, frame.right, frame.bottom, faint);
  const auto ticks = nice_ticks(xs.low, xs.high, std::clamp(chart.width / 80, 2, 8));
  const auto labels = tick_labels(ticks);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    if (ticks[i] < xs.low - 1e-9 * step || ticks[i] > xs.high + 1e-9 * step) continue;
    canvas.line(x_axis(ticks[i]), frame.bottom, x_axis(ticks[i]), frame.bottom + 4, faint);
    canvas.text(x_axis(ticks[i]), frame.bottom + 18, labels[i],
                {.anchor = "middle", .colour = faint});
  }
  canvas.text((frame.left + frame.right) / 2, frame.bottom + 36, chart.x_label,
              {.anchor = "middle"});
  double label_y = frame.top + 10;
  for (const auto& reference : chart.references) {
    if (!std::isfinite(reference.value)) continue;
    const double x = x_axis(reference.value);
    const double end = x + 5 + text_width(reference.label, 11);
    const bool crowded =
        end > frame.right ||
        std::any_of(chart.references.begin(), chart.references.end(), [&](const auto& other) {
          return other.value > reference.value && x_axis(other.value) < end;
        });
    canvas.line(x, frame.top, x, frame.bottom, ink, 1.3, "5 4");
    canvas.text(x + (crowded ? -5 : 5), label_y, reference.label,
                {.anchor = crowded ? "end" : "start", .size = 11, .colour = ink, .halo = true});
    label_y += line_height;
  }
  draw_dropped_note(canvas, chart.height, note);
  return canvas.finish(chart.width, chart.height, chart.title,
                       chart.x_label + ", " + grouped(values.size()) + " values");
}

}  // namespace veilnet::report
