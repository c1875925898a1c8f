#include "report/charts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "report/svg.h"
#include "report/text.h"
#include "report/verdict.h"

namespace veilnet::report {

using record::Cell;
using record::Matrix;
using record::Protection;

namespace {

std::optional<double> mean_of(const record::Figures& figures, const char* id) {
  const auto* s = record::distribution(figures, id);
  return s ? std::optional(s->mean) : std::nullopt;
}

/// Of the attacks that recover pictures, the one that leads by median SSIM; a figure to be trusted
/// goes before one that is not.
const Cell* strongest(const Matrix& matrix, const Protection& p) {
  for (const bool trusted : {true, false}) {
    if (const auto* best = record::leading(matrix, p.label, [&](const Cell& c) {
          return !c.looks() && !c.picks() && c.trusted() == trusted
                     ? record::reached_by(c, record::measure("ssim"))
                     : std::nullopt;
        }))
      return best;
  }
  return nullptr;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> box_plots(const Matrix& matrix) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& p : matrix.protections) {
    BoxPlot plot;
    plot.title = "What attacks recover from " + p.label;
    plot.y_label = "SSIM against the plain picture";
    plot.colour_names = {"attack", "attack, flagged (!)"};
    for (const auto& cell : matrix.cells) {
      if (cell.protection != p.label || cell.picks()) continue;
      const auto values = cell.values.find("ssim");
      if (values == cell.values.end() || values->second.empty()) continue;
      BoxGroup group{cell.attack, values->second, cell.flags.empty() ? 0u : 1u};
      // Names wrap at spaces only, and the long ones would run into each other.
      if (group.label.size() > 9) std::ranges::replace(group.label, '-', ' ');
      plot.groups.push_back(std::move(group));
    }
    if (plot.groups.empty()) continue;
    for (const auto& b : matrix.baselines)
      if (const auto* ssim = record::distribution(b.measures, "ssim"))
        plot.references.push_back({"guess: " + b.name, ssim->median});
    out.emplace_back(p.label, box_plot(plot));
  }
  return out;
}

TradeOff trade_off(const Matrix& matrix) {
  std::map<std::string, std::vector<const Protection*>> lines;
  for (const auto& p : matrix.protections)
    if (p.alpha) lines[p.architecture + (p.recipe.empty() ? "" : ", " + p.recipe)].push_back(&p);
  std::map<double, std::size_t> alphas;
  std::vector<const Protection*> drawn;
  const auto by_alpha = [](const Protection* a, const Protection* b) {
    return *a->alpha < *b->alpha;
  };
  for (auto it = lines.begin(); it != lines.end();) {
    auto& members = it->second;
    std::ranges::stable_sort(members, by_alpha);
    if (*members.front()->alpha == *members.back()->alpha) {
      it = lines.erase(it);
      continue;
    }
    for (const auto* p : members) alphas.emplace(*p->alpha, 0);
    drawn.insert(drawn.end(), members.begin(), members.end());
    ++it;
  }
  if (drawn.empty()) return {};
  std::ranges::stable_sort(drawn, by_alpha);

  LineChart accuracy, ssim, psnr;
  for (auto& [alpha, index] : alphas) {
    index = accuracy.categories.size();
    accuracy.categories.push_back(shortest(alpha));
  }
  accuracy.title = "Accuracy";
  accuracy.y_label = "test accuracy (%)";
  ssim.title = "Structure that is left";
  ssim.y_label = "mean SSIM against plain";
  psnr.title = "Pixels that are left";
  psnr.y_label = "mean PSNR against plain (dB)";
  for (auto* chart : {&accuracy, &ssim, &psnr}) {
    chart->x_label = "alpha";
    chart->x_scale = XScale::Categorical;
    chart->categories = accuracy.categories;
    chart->width = 337;
    chart->height = 330;
  }
  const auto line = [&](LineChart& chart, const std::string& label,
                        const std::vector<const Protection*>& members, auto value) {
    Series series{label, {}};
    for (const auto* p : members)
      if (const std::optional<double> y = value(*p))
        series.points.emplace_back(static_cast<double>(alphas.at(*p->alpha)), *y);
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  };
  const auto per_cent = [](std::optional<double> share) {
    return share ? std::optional(100 * *share) : std::nullopt;
  };
  for (const auto& [name, members] : lines) {
    const std::string suffix = lines.size() == 1 ? "" : ", " + name;
    line(accuracy, "protected" + suffix, members,
         [&](const Protection& p) { return per_cent(p.accuracy); });
    for (const auto& [chart, id] : {std::pair(&ssim, "ssim"), {&psnr, "psnr_db"}}) {
      line(*chart, "protected" + suffix, members, [&, id = id](const Protection& p) {
        const auto* look = matrix.cell(p.label, "look");
        return look ? mean_of(look->measures, id) : std::nullopt;
      });
      line(*chart, "rebuilt" + suffix, members, [&, id = id](const Protection& p) {
        const auto* attack = strongest(matrix, p);
        return attack ? mean_of(attack->measures, id) : std::nullopt;
      });
    }
  }
  // What does not depend on h is drawn once.
  line(accuracy, "plain", drawn, [&](const Protection& p) { return per_cent(p.plain_accuracy); });
  line(accuracy, "paper", drawn, [&](const Protection& p) {
    return p.paper ? std::optional(100 * p.paper->accuracy) : std::nullopt;
  });
  for (const auto& b : matrix.baselines)
    line(psnr, "guess: " + b.name, drawn,
         [&](const Protection&) { return mean_of(b.measures, "psnr_db"); });

  TradeOff out;
  for (const auto* chart : {&accuracy, &ssim, &psnr})
    if (!chart->series.empty()) out.charts.push_back(line_chart(*chart));
  if (lines.size() == 1) out.models = lines.begin()->first;
  return out;
}

namespace {

struct Defence {
  std::string label;
  double leak, accuracy;
};

std::string defence_chart(std::vector<Defence> defences, const char* title, const char* x_label) {
  LineChart chart;
  chart.title = title;
  chart.x_label = x_label;
  chart.y_label = "test accuracy (%)";
  for (const auto& d : defences) chart.series.push_back({d.label, {{d.leak, d.accuracy}}});
  std::ranges::sort(defences, {}, [](const Defence& d) { return std::pair(d.leak, -d.accuracy); });
  Series front{"none more accurate leaks less", {}};
  for (const auto& d : defences)
    if (front.points.empty() || d.accuracy > front.points.back().second)
      front.points.emplace_back(d.leak, d.accuracy);
  // First, so that it does not cover whom it joins.
  chart.series.insert(chart.series.begin(), std::move(front));
  return line_chart(chart);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> defence_charts(const Matrix& matrix) {
  constexpr std::size_t kFewest = 3;
  std::vector<Defence> rebuilt, recognised;
  for (const auto& p : matrix.protections) {
    const auto named = p.accuracy ? p.accuracy : matrix.named_as_seen(p.label);
    if (!named) continue;
    const double accuracy = 100 * *named;
    std::optional<double> picked;
    const auto* bound = standing_bound(matrix, p);
    for (const auto& c : matrix.cells) {
      if (c.protection != p.label || !c.refused.empty()) continue;
      const auto share = record::share(c.measures, "reidentified");
      if (!share || c.candidates < kFewestCandidates) continue;
      picked = std::max(picked.value_or(0), *share);
      if (!bound) continue;
      if (const auto limit = record::reidentified_at_most(*bound, c.candidates))
        picked = std::max(*picked, *limit);
    }
    if (const auto* best = strongest(matrix, p); best && best->trusted())
      rebuilt.push_back(
          {p.label, record::reached_by(*best, record::measure("ssim"))->leak, accuracy});
    if (picked) recognised.push_back({p.label, 100 * *picked, accuracy});
  }
  std::vector<std::pair<std::string, std::string>> out;
  if (rebuilt.size() >= kFewest)
    out.emplace_back("rebuilt", defence_chart(std::move(rebuilt), "What can be rebuilt",
                                              "median SSIM of the strongest attack"));
  if (recognised.size() >= kFewest)
    out.emplace_back("recognised", defence_chart(std::move(recognised), "What can be recognised",
                                                 "picked out of the candidates (%)"));
  return out;
}

std::vector<std::string> budget_charts(const Matrix& matrix) {
  std::map<std::string, std::pair<LineChart, LineChart>> by_budget;
  for (const auto& curve : matrix.curve) {
    auto& [ssim_chart, psnr_chart] = by_budget[curve.budget_name];
    const auto add = [&](LineChart& chart, const char* id) {
      Series series{curve.protection + ", " + curve.attack, {}};
      for (const auto& point : curve.points)
        if (const auto* s = record::distribution(point.measures, id))
          series.points.emplace_back(point.budget, s->median);
      if (!series.points.empty()) chart.series.push_back(std::move(series));
    };
    add(ssim_chart, "ssim");
    add(psnr_chart, "psnr_db");
  }
  std::vector<std::string> charts;
  for (auto& [budget, pair] : by_budget) {
    pair.first.title = "Structure recovered";
    pair.first.y_label = "median SSIM";
    pair.second.title = "Pixels recovered";
    pair.second.y_label = "median PSNR (dB)";
    for (auto* chart : {&pair.first, &pair.second}) {
      if (chart->series.empty()) continue;
      chart->x_label = budget;
      chart->x_scale = XScale::Logarithmic;
      charts.push_back(line_chart(*chart));
    }
  }
  return charts;
}

}  // namespace veilnet::report
