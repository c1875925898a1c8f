#include "record/matrix.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/error.h"
#include "core/text.h"

namespace veilnet::record {

std::string to_text(const Bound& b) {
  auto text = fmt::format(
      "at most 2^{} protected pictures exist ({} among those of {} test pictures{}); no attacker's "
      "mean squared error is below that of {:.2f} dB (95 % interval {:.2f} to {:.2f}; the mean "
      "picture of the true class has {:.2f}, of all {:.2f})",
      b.bits, b.distinct, b.pictures,
      b.at_hand ? fmt::format(", {} codes among all {} pictures at hand",
                              b.distinct_at_hand.value_or(0), *b.at_hand)
                : "",
      b.psnr_db, b.psnr_low_db, b.psnr_high_db, b.class_mean_psnr_db, b.mean_psnr_db);
  std::string picked;
  for (const auto& [candidates, rate] : by_candidates(b))
    picked += fmt::format("{} {:.3g} % of {}", picked.empty() ? "" : ",", 100 * rate, candidates);
  if (!picked.empty())
    text += "; of so many candidates, drawn at random, the right one is picked at most for" +
            picked + " on average";
  if (b.epsilon)
    text += fmt::format(
        "; with chance of epsilon {} for each picture, which keeps {:.3g} % of the "
        "codes",
        *b.epsilon, 100 * b.kept.value_or(0));
  return text;
}

std::vector<std::pair<std::uint64_t, double>> by_candidates(const Bound& bound) {
  std::vector<std::pair<std::uint64_t, double>> out;
  for (const auto& [count, rate] : bound.reidentified) out.emplace_back(std::stoull(count), rate);
  std::ranges::sort(out);
  return out;
}

std::optional<double> reidentified_at_most(const Bound& bound, std::uint64_t candidates) {
  std::optional<double> most;
  for (const auto& [count, rate] : by_candidates(bound))
    if (count <= candidates) most = rate;
  return most;
}

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void check_share(const std::string& where, std::optional<double> value) {
  if (value && !(*value >= 0 && *value <= 1))
    fail(ErrorCode::BadData, "{} is {}, allowed is 0 to 1", where, *value);
}

void check_figures(const std::string& where, const Figures& figures) {
  for (const auto& [id, figure] : figures) {
    const auto& m = measure(id);
    const auto* summary = std::get_if<Summary>(&figure);
    if ((summary != nullptr) != m.over_pictures)
      fail(ErrorCode::BadData, "{}.measures.{} is a {}, allowed is a {}", where, id,
           summary ? "summary" : "share", m.over_pictures ? "summary" : "share");
    constexpr double kRounding = 1e-6;
    const auto inside = [&, &id = id](const char* key, double v) {
      if (v < m.low - kRounding || v > m.high + kRounding)
        fail(ErrorCode::BadData, "{}.measures.{}{} is {}, allowed is {} to {}", where, id, key, v,
             m.low, m.high);
    };
    if (summary) {
      for (const auto& [key, v] : {std::pair(".min", summary->min), {".max", summary->max}})
        inside(key, v);
    } else {
      inside("", std::get<double>(figure));
    }
  }
}

void check_label(const std::string& where, const std::string& label) {
  if (label.empty() || label == "." || label == ".." ||
      label.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
    fail(ErrorCode::BadData, "{} is '{}'; allowed are names that can be names of a folder", where,
         label);
}

}  // namespace

bool Cell::trusted() const {
  return refused.empty() && std::ranges::all_of(flags, [](const Flag& f) {
           return f.id == kUnderTrained || f.id == kBeatsBound;
         });
}

namespace {

// Of so few pictures nobody knows how much they differ.
constexpr double kFewest = 5;

double half_of(double half, double n) {
  if (n < kFewest) return std::numeric_limits<double>::infinity();
  return std::isfinite(half) ? half : 0;  // where values are infinite, as of what is exact
}

}  // namespace

std::optional<Reached> reached_by(const Cell& cell, const Measure& measure) {
  if (const auto* s = distribution(cell.measures, measure.id)) {
    const auto n = static_cast<double>(s->n);
    return Reached{leak(measure, s->median), half_of(1.57 * (s->q3 - s->q1) / std::sqrt(n), n)};
  }
  const auto p = share(cell.measures, measure.id);
  if (!p) return std::nullopt;
  const auto n = static_cast<double>(cell.n);
  return Reached{leak(measure, *p), half_of(1.96 * std::sqrt(*p * (1 - *p) / n), n)};
}

std::optional<Reached> error_reached(const Cell& cell) {
  const auto values = cell.values.find("psnr_db");
  if (values == cell.values.end() || values->second.empty()) return std::nullopt;
  return error_reached(values->second);
}

Reached error_reached(std::span<const double> psnr_db) {
  double sum = 0, squares = 0;
  for (const double db : psnr_db) {
    const double error = std::pow(10, -db / 10);
    sum += error;
    squares += error * error;
  }
  const auto n = static_cast<double>(psnr_db.size());
  const double mean = sum / n,
               half = 1.96 * std::sqrt(std::max(squares / n - mean * mean, 0.0) / n);
  const double psnr = psnr_of_mean_error(psnr_db);
  return Reached{psnr, half_of(mean > 0 ? psnr + 10 * std::log10(mean + half) : 0, n)};
}

const Cell* leading(const Matrix& matrix, const std::string& label,
                    const std::function<std::optional<Reached>(const Cell&)>& reached) {
  std::vector<const Cell*> cells;
  for (const auto& cell : matrix.cells)
    if (cell.protection == label && cell.refused.empty()) cells.push_back(&cell);
  std::ranges::stable_sort(cells, std::greater(), &Cell::n);
  const Cell* best = nullptr;
  double most = 0;
  for (const auto* cell : cells) {
    const auto r = reached(*cell);
    if (!r || std::isnan(r->leak)) continue;
    if (best && r->leak - (cell->n < best->n ? r->half : 0) <= most) continue;
    best = cell;
    most = r->leak;
  }
  return best;
}

const Protection* Matrix::protection(const std::string& label) const {
  const auto it = std::ranges::find(protections, label, &Protection::label);
  return it == protections.end() ? nullptr : &*it;
}

const Cell* Matrix::cell(const std::string& label, const std::string& attack) const {
  const auto it = std::ranges::find_if(
      cells, [&](const Cell& c) { return c.protection == label && c.attack == attack; });
  return it == cells.end() ? nullptr : &*it;
}

std::optional<double> Matrix::named_as_seen(const std::string& label) const {
  const auto* look = cell(label, "look");
  return look ? share(look->measures, "named") : std::nullopt;
}

std::vector<std::string> Matrix::attacks() const {
  std::vector<std::string> out;
  for (const auto& c : cells)
    if (std::ranges::find(out, c.attack) == out.end()) out.push_back(c.attack);
  return out;
}

void check(const Cell& cell) {
  const auto where = "cell " + cell.attack + " on " + cell.protection;
  check_label(where + ": attack", cell.attack);
  if (!cell.refused.empty()) return;
  if (cell.n == 0) fail(ErrorCode::BadData, "{}: n is 0, allowed is 1 or more", where);
  for (const char* id : {"psnr_db", "ssim", "exact"})
    if (!cell.measures.contains(id))
      fail(ErrorCode::BadData, "{}: measures.{} is missing", where, id);
  check_figures(where, cell.measures);
  if (cell.measures.contains("reidentified") && cell.candidates == 0)
    fail(ErrorCode::BadData, "{}: candidates is 0, allowed is 1 or more", where);
  for (const auto& [id, values] : cell.values) measure(id);
}

void check(const Matrix& matrix) {
  if (matrix.protections.empty())
    fail(ErrorCode::BadData, "protections is empty; allowed: 1 or more");
  std::set<std::string> labels;
  for (const auto& p : matrix.protections) {
    check_label("protections: label", p.label);
    if (!labels.insert(p.label).second)
      fail(ErrorCode::BadData, "protections: the label '{}' occurs twice; labels must be unique",
           p.label);
    constexpr std::string_view kKeys[] = {"none", "same", "independent"};
    if (std::ranges::find(kKeys, p.keys) == std::end(kKeys))
      fail(ErrorCode::BadData, "{}: keys is '{}'; allowed: none, same, independent", p.label,
           p.keys);
    check_share(p.label + ": accuracy", p.accuracy);
    check_share(p.label + ": accuracy_float", p.accuracy_float);
    check_share(p.label + ": plain_accuracy", p.plain_accuracy);
    check_share(p.label + ": local_accuracy", p.local_accuracy);
    if (p.paper) check_share(p.label + ": paper.accuracy", p.paper->accuracy);
    for (const auto& s : p.services) {
      check_share(p.label + ": services.agreement", s.agreement);
      check_share(p.label + ": services.accuracy", s.accuracy);
      check_share(p.label + ": services.plain_accuracy", s.plain_accuracy);
    }
    if (p.bound) {
      for (const auto& [count, rate] : p.bound->reidentified) {
        if (count.empty() || count.size() > 18 || !std::ranges::all_of(count, is_digit))
          fail(ErrorCode::BadData,
               "{}: bound.reidentified has \"{}\"; allowed are numbers of "
               "candidates",
               p.label, printable(count, 40));
        check_share(p.label + ": bound.reidentified." + count, rate);
      }
    }
  }
  const auto known = [&](const char* what, const std::string& label) {
    if (!labels.contains(label))
      fail(ErrorCode::BadData, "{}: protections holds no '{}', which an entry is about", what,
           label);
  };
  check_share("data.plain_accuracy", matrix.data.plain_accuracy);
  if (matrix.plain_paper) check_share("plain_paper.accuracy", matrix.plain_paper->accuracy);
  for (const auto& b : matrix.baselines) check_figures("baseline " + b.name, b.measures);
  std::set<std::pair<std::string, std::string>> places;
  for (const auto& c : matrix.cells) {
    known("cells", c.protection);
    check(c);
    if (!places.emplace(c.protection, c.attack).second)
      fail(ErrorCode::BadData, "cells: {} on {} occurs twice", c.attack, c.protection);
  }
  for (const auto& t : matrix.transport) {
    known("transport", t.protection);
    check_share("transport " + t.transport + ": accuracy", t.accuracy);
    check_figures("transport " + t.transport, t.measures);
  }
  for (const auto& a : matrix.attributes) {
    known("attributes", a.protection);
    check_share("attribute " + a.attribute + ": accuracy", a.accuracy);
    check_share("attribute " + a.attribute + ": chance", a.chance);
  }
  for (const auto& c : matrix.curve) {
    known("curve", c.protection);
    const auto where = "curve of " + c.attack + " on " + c.protection;
    if (c.points.empty())
      fail(ErrorCode::BadData, "{}: points is empty; allowed: 1 or more", where);
    for (const auto& point : c.points) {
      if (!(point.budget > 0 && std::isfinite(point.budget)))
        fail(ErrorCode::BadData, "{}: budget is {}, allowed is a finite number above 0", where,
             point.budget);
      check_figures(where, point.measures);
    }
  }
}

}  // namespace veilnet::record
