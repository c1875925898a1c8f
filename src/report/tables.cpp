#include "report/tables.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "report/text.h"
#include "report/verdict.h"

namespace veilnet::report {
namespace {

using record::Cell;
using record::Matrix;

constexpr const char* kFlagMark = " (!)";
// Protections beside each other, as in scripts/results.py.
constexpr std::size_t kMostColumns = 6;

std::string per_cent(std::optional<double> share, int decimals) {
  return share ? fixed(100 * *share, decimals) : std::string(dash);
}

std::string figure(const record::Figure& f, const record::Measure& m) {
  if (const auto* share = std::get_if<double>(&f)) return fixed(100 * *share, m.decimals) + " %";
  return fixed(std::get<record::Summary>(f).median, m.decimals);
}

/// Lines of "reason: attack on protection, protection; ...".
template <class Reasons>
std::vector<std::string> grouped_reasons(const Matrix& matrix, Reasons reasons) {
  using Places = std::vector<std::pair<std::string, std::string>>;  // by attack
  std::vector<std::pair<std::string, Places>> by_reason;
  for (const auto& attack : matrix.attacks()) {
    for (const auto& cell : matrix.cells) {
      if (cell.attack != attack) continue;
      for (const auto& reason : reasons(cell)) {
        auto group = std::ranges::find(by_reason, reason, [](const auto& g) { return g.first; });
        if (group == by_reason.end()) group = by_reason.insert(group, {reason, {}});
        auto& places = group->second;
        if (!places.empty() && places.back().first == attack) {
          places.back().second += ", " + cell.protection;
        } else {
          places.emplace_back(attack, attack + " on " + cell.protection);
        }
      }
    }
  }
  std::vector<std::string> lines;
  for (const auto& [reason, places] : by_reason) {
    std::string where;
    for (const auto& place : places) where += (where.empty() ? "" : "; ") + place.second;
    lines.push_back(reason + ": " + where);
  }
  return lines;
}

}  // namespace

std::string listed(const record::Settings& settings) {
  std::string out;
  for (const auto& [name, value] : settings) {
    if (name == "name") continue;
    out += (out.empty() ? "" : ", ") + name + " ";
    if (const auto* words = std::get_if<std::string>(&value)) out += *words;
    if (const auto* number = std::get_if<double>(&value)) out += compact(*number);
    if (const auto* count = std::get_if<std::int64_t>(&value)) out += std::to_string(*count);
  }
  return out;
}

Table accuracy_table(const Matrix& matrix) {
  Table t;
  t.columns = {{"Protection"},
               {"Plain, %", true},
               {"Protected, 8-bit PNG, %", true, true},
               {"Lost, points", true},
               {"Protected, float, %", true},
               {"Paper, protected, %", true}};
  std::vector<std::string> sources;
  bool without_service = false;
  for (const auto& p : matrix.protections) {
    if (!p.accuracy) {
      const auto named = matrix.named_as_seen(p.label);
      if (!named) continue;
      without_service = true;
      t.rows.push_back({p.label, per_cent(matrix.data.plain_accuracy, 2),
                        "(" + per_cent(named, 2) + ")", std::string(dash), std::string(dash),
                        std::string(dash)});
      continue;
    }
    // Only the service of a network learned from plain pictures.
    const auto lost = p.plain_accuracy && !p.architecture.empty()
                          ? std::optional(*p.plain_accuracy - *p.accuracy)
                          : std::nullopt;
    t.rows.push_back({p.label, per_cent(p.plain_accuracy, 2), per_cent(p.accuracy, 2),
                      lost ? fixed(100 * *lost, 2) : std::string(dash),
                      per_cent(p.accuracy_float, 2),
                      p.paper ? per_cent(p.paper->accuracy, 2) : std::string(dash)});
    if (p.paper && std::ranges::find(sources, p.paper->source) == sources.end())
      sources.push_back(p.paper->source);
  }
  t.caption =
      "Test accuracy of the service's classifier, and of the same classifier on plain pictures. "
      "Lost by a network, whose service learned from plain pictures: plain minus protected 8-bit "
      "PNG; negative is a gain.";
  if (without_service)
    t.caption +=
        " In brackets: no service was trained for these; what the classifier of plain pictures, as "
        "it is, names of the attacked ones.";
  if (matrix.plain_paper)
    t.caption += " On plain pictures the paper has " + per_cent(matrix.plain_paper->accuracy, 2) +
                 " % (" + matrix.plain_paper->source + ").";
  std::string from;
  for (const auto& source : sources) from += (from.empty() ? "" : "; ") + source;
  if (!from.empty()) t.caption += " Paper: " + from + ".";
  return t;
}

std::string cell_text(const Cell* cell) {
  if (!cell) return "";
  if (!cell->refused.empty()) return std::string(dash);
  std::string out;
  const auto exact = record::share(cell->measures, "exact").value_or(0);
  if (cell->picks()) {
    const auto picked = record::share(cell->measures, "reidentified");
    out = picked ? fixed(100 * *picked, 1) + " % picked" : std::string(dash);
  } else {
    out = fixed(record::distribution(cell->measures, "ssim")->median, 2);
    if (exact > 0) out += ", " + fixed(100 * exact, 1) + " % exact";
  }
  return out + (cell->flags.empty() ? "" : kFlagMark);
}

Table leak_table(const Matrix& matrix) {
  Table t;
  t.caption = leak_legend(matrix);
  t.columns = {{"Attack"}};
  for (const auto& p : matrix.protections) {
    t.columns.push_back({p.label});
    t.columns.back().whole_words = matrix.protections.size() > 1;
  }
  for (const auto& attack : matrix.attacks()) {
    t.rows.push_back({attack});
    for (const auto& p : matrix.protections)
      t.rows.back().push_back(cell_text(matrix.cell(p.label, attack)));
  }
  return t;
}

std::string leak_legend(const Matrix& matrix) {
  std::string out =
      "Median SSIM of what each attack recovers: 1 is the plain picture, 0 is unrelated to it, "
      "below 0 inverted. Exact: share recovered bit for bit. Picked: share found among candidates "
      "that the attacker had.";
  for (const auto& b : matrix.baselines)
    if (const auto* ssim = record::distribution(b.measures, "ssim"))
      out += " Guessing the " + b.name + " gives " + fixed(ssim->median, 2) + ".";
  return out + kFlagMark + " flagged: not to be trusted. " + std::string(dash) +
         " makes no sense on this protection. Empty: not run.";
}

std::vector<std::string> flag_reasons(const Matrix& matrix) {
  return grouped_reasons(matrix, [](const Cell& cell) {
    std::vector<std::string> out;
    for (const auto& flag : cell.flags) out.push_back(flag.text);
    return out;
  });
}

std::vector<std::string> refusal_reasons(const Matrix& matrix) {
  return grouped_reasons(matrix, [](const Cell& cell) {
    return std::vector(cell.refused.empty() ? 0 : 1, cell.refused);
  });
}

Table verdict_table(const Matrix& matrix) {
  Table t;
  t.columns = {{"Protection"}};
  for (const auto& q : questions()) t.columns.push_back({std::string(q.text)});
  for (const auto& p : matrix.protections) {
    const auto v = verdict(matrix, p.label);
    t.rows.push_back({p.label});
    for (const auto& q : questions()) {
      const auto& answer = v.*q.answer;
      t.rows.back().push_back(answer.level +
                              (answer.attack.empty() ? "" : " (" + answer.attack + ")"));
    }
  }
  return t;
}

Table strongest_table(const Matrix& matrix) {
  Table t;
  t.caption =
      "The most that any attack reaches, measure by measure: the median over pictures, or the "
      "share of pictures. Figures that say nothing are left out; an attack on fewer pictures than "
      "another leads only beyond its interval.";
  t.columns = {{"Protection"}};
  std::vector<const record::Measure*> shown;
  for (const auto& m : record::measures()) {
    if (std::ranges::none_of(matrix.cells,
                             [&](const Cell& c) { return c.measures.contains(std::string(m.id)); }))
      continue;
    shown.push_back(&m);
    t.columns.push_back({std::string(m.name) +
                         (m.over_pictures && !m.unit.empty() ? ", " + std::string(m.unit) : "")});
  }
  for (const auto& p : matrix.protections) {
    t.rows.push_back({p.label});
    for (const auto* m : shown) {
      const bool picked = m->id == "reidentified";
      const auto* best =
          record::leading(matrix, p.label, [&](const Cell& c) -> std::optional<record::Reached> {
            if (c.looks() || (c.picks() && !picked)) return std::nullopt;
            if (m->over_pictures && !c.trusted()) return std::nullopt;
            return record::reached_by(c, *m);
          });
      t.rows.back().push_back(best ? figure(best->measures.at(std::string(m->id)), *m) + " (" +
                                         best->attack + ")"
                                   : std::string(dash));
    }
  }
  return t;
}

Table agreement_table(const Matrix& matrix) {
  constexpr std::size_t kFewest = 3;
  std::vector<const Cell*> cells;
  for (const auto& c : matrix.cells)
    if (c.refused.empty() && !c.picks()) cells.push_back(&c);
  Table t;
  t.caption = fmt::format(
      "Whether measures agree on what leaks more: rank correlation over the {} cells, 1 where two "
      "measures order them alike, 0 where one says nothing of the other. Medians, of SSIM its "
      "distance from 0, and shares of pictures.",
      cells.size());
  t.columns = {{"Measure"}};
  if (cells.size() < kFewest) return t;
  const auto value = [](const Cell& c, const record::Measure& m) -> std::optional<double> {
    if (const auto* s = record::distribution(c.measures, m.id)) return record::leak(m, s->median);
    return record::share(c.measures, m.id);
  };
  for (const auto& row : record::measures()) {
    t.columns.push_back({std::string(row.name), true});
    auto& words = t.rows.emplace_back(std::vector{std::string(row.name)});
    for (const auto& column : record::measures()) {
      std::vector<double> a, b;
      for (const auto* c : cells) {
        const auto x = value(*c, row), y = value(*c, column);
        if (!x || !y || std::isnan(*x) || std::isnan(*y)) continue;
        a.push_back(*x);
        b.push_back(*y);
      }
      const auto r = a.size() < kFewest ? std::nullopt : record::rank_correlation(a, b);
      words.push_back(r ? fixed(*r, 2) : std::string(dash));
    }
  }
  return t;
}

Table figures_table(const Matrix& matrix, const record::Protection& protection) {
  Table t;
  t.caption = "All figures for " + protection.label +
              ". Means are over finite values: the PSNR of a picture recovered exactly is "
              "infinite. Worst 1 %: the value that only a hundredth of the pictures pass towards "
              "the plain picture.";
  t.groups = {{"", 2}};
  t.columns = {{"Attack"}, {"n", true}};
  std::size_t shares = 0;
  for (const auto& m : record::measures()) {
    if (!m.over_pictures) {
      ++shares;
      continue;
    }
    t.groups.emplace_back(std::string(m.name) + (m.unit.empty() ? "" : ", " + std::string(m.unit)),
                          3);
    for (const char* header : {"mean", "median", "worst 1 %"})
      t.columns.push_back({header, true, header[0] == 'w'});
  }
  t.groups.emplace_back("Share of pictures", shares);
  for (const auto& m : record::measures())
    if (!m.over_pictures) t.columns.push_back({std::string(m.name), true});
  const auto add = [&](const std::string& name, std::uint64_t n, std::uint64_t candidates,
                       const record::Figures& figures) {
    std::vector<std::string> row{name, grouped(n)};
    for (const auto& m : record::measures()) {
      if (!m.over_pictures) continue;
      const auto* s = record::distribution(figures, m.id);
      for (const double v : {s ? s->mean : 0, s ? s->median : 0, s ? worst_hundredth(m, *s) : 0})
        row.push_back(s ? fixed(v, m.decimals) : std::string(dash));
    }
    for (const auto& m : record::measures()) {
      if (m.over_pictures) continue;
      const auto share = record::share(figures, m.id);
      row.push_back(share ? figure(*share, m) : std::string(dash));
      if (share && m.id == "reidentified" && candidates > 0)
        row.back() += " of " + grouped(candidates);
    }
    t.rows.push_back(std::move(row));
  };
  for (const auto& cell : matrix.cells)
    if (cell.protection == protection.label && cell.refused.empty())
      add(cell.attack + (cell.flags.empty() ? "" : kFlagMark), cell.n, cell.candidates,
          cell.measures);
  for (const auto& b : matrix.baselines) {
    const auto* ssim = record::distribution(b.measures, "ssim");
    add("guess: " + b.name, ssim ? ssim->n : 0, 0, b.measures);
  }
  return t;
}

Table transport_table(const Matrix& matrix) {
  Table t;
  t.caption =
      "What is left after pictures were compressed or resized on their way: accuracy of the "
      "service's classifier, and what the strongest attack still recovers.";
  t.columns = {{"Protection"},           {"Transport"},          {"Accuracy, %", true},
               {"PSNR, mean, dB", true}, {"SSIM, median", true}, {"Attack"}};
  for (const auto& entry : matrix.transport) {
    const auto *psnr = record::distribution(entry.measures, "psnr_db"),
               *ssim = record::distribution(entry.measures, "ssim");
    t.rows.push_back({entry.protection, entry.transport, per_cent(entry.accuracy, 1),
                      psnr ? fixed(psnr->mean, 2) : std::string(dash),
                      ssim ? fixed(ssim->median, 3) : std::string(dash), entry.attack});
  }
  return t;
}

Table attributes_table(const Matrix& matrix) {
  Table t;
  t.caption =
      "What a classifier reads off protected pictures that the service does not need, against "
      "guessing. No picture is recovered for this.";
  t.columns = {
      {"Protection"}, {"Attribute"}, {"Named correctly, %", true, true}, {"Guessing, %", true}};
  for (const auto& a : matrix.attributes)
    t.rows.push_back({a.protection, a.attribute, per_cent(a.accuracy, 1), per_cent(a.chance, 1)});
  return t;
}

Table local_table(const Matrix& matrix) {
  Table t;
  t.caption =
      "The catch: an h that hides all but the class knows the class. Its encoder was trained as a "
      "classifier, and the client could name pictures with it and ask nobody. A server then adds "
      "what labels mean, a classifier that can change, and its word for the answer. GFLOP: of one "
      "picture, two a multiplication.";
  t.columns = {{"Protection"},
               {"Service on protected, %", true},
               {"Encoder on the client, %", true, true},
               {"Encoder, GFLOP", true},
               {"h, GFLOP", true}};
  const auto gflop = [](const std::optional<double>& value) {
    return value ? fixed(*value, 3) : std::string(dash);
  };
  for (const auto& p : matrix.protections)
    if (p.local_accuracy)
      t.rows.push_back({p.label, per_cent(p.accuracy, 2), per_cent(p.local_accuracy, 2),
                        gflop(p.local_gflop), gflop(p.client_gflop)});
  return t;
}

Table services_table(const Matrix& matrix) {
  Table t;
  t.caption =
      "Several services behind one protected picture, all frozen. Same answer: as to the plain "
      "picture.";
  t.columns = {{"Protection"},
               {"Service"},
               {"Classes", true},
               {"Same answer, %", true},
               {"Protected, %", true, true},
               {"Plain, %", true}};
  for (const auto& p : matrix.protections) {
    if (p.services.empty()) continue;
    t.rows.push_back({p.label, p.classifier, grouped(matrix.data.classes), std::string(dash),
                      per_cent(p.accuracy, 2), per_cent(p.plain_accuracy, 2)});
    for (const auto& s : p.services)
      t.rows.push_back({p.label, s.classifier, grouped(s.classes), per_cent(s.agreement, 2),
                        per_cent(s.accuracy, 2), per_cent(s.plain_accuracy, 2)});
  }
  return t;
}

// Of attacks that recover pictures, the one of the smallest mean squared error, of those to be
// trusted where there are any; "–" where the errors of single pictures are not there.
std::string closest_attack(const Matrix& matrix, const record::Protection& p) {
  const auto counts = [&](const Cell& c) { return !c.looks() && !c.picks() && c.refused.empty(); };
  const bool any_trusted = std::ranges::any_of(matrix.cells, [&](const Cell& c) {
    return c.protection == p.label && counts(c) && c.trusted();
  });
  const auto* best = record::leading(matrix, p.label, [&](const Cell& c) {
    return counts(c) && c.trusted() == any_trusted ? record::error_reached(c) : std::nullopt;
  });
  if (!best) return std::string(dash);
  return fixed(record::error_reached(*best)->leak, 2) + " (" + best->attack + ")" +
         (any_trusted ? "" : std::string(kFlagMark));
}

Table bounds_table(const Matrix& matrix) {
  Table t;
  t.caption =
      "What no attacker can do, whatever he has, computes and knows of the method. PSNR is that of "
      "the mean squared error over all test pictures.";
  t.columns = {{"Protection"},
               {"Code, bits", true},
               {"Different protected pictures", true},
               {"Codes of no picture", true},
               {"Pictures with the same one, median", true},
               {"PSNR at most, dB", true, true},
               {"Its 95 % interval", true},
               {"Closest attack, dB"},
               {"Mean of the true class, dB", true},
               {"Mean picture, dB", true},
               {"Picked out at most, on average", true},
               {"Chance, epsilon", true}};
  const bool confident = std::ranges::any_of(matrix.protections,
                                             [](const auto& p) { return p.bound && p.confidence; });
  if (confident) t.columns.push_back({"Confidence of psi", true});
  for (const auto& p : matrix.protections) {
    if (!p.bound) continue;
    const auto& b = *p.bound;
    std::string picked;
    for (const auto& [count, rate] : record::by_candidates(b))
      picked +=
          fmt::format("{}{:.3g} % of {}", picked.empty() ? "" : ", ", 100 * rate, grouped(count));
    auto distinct = fmt::format("{} of {} pictures", grouped(b.distinct), grouped(b.pictures));
    if (b.at_hand)
      distinct += fmt::format(", {} of all {} at hand", grouped(b.distinct_at_hand.value_or(0)),
                              grouped(*b.at_hand));
    t.rows.push_back(
        {p.label, std::to_string(b.bits), std::move(distinct),
         b.dead ? std::to_string(*b.dead) : std::string(dash),
         b.anonymity ? fmt::format("{:g}", *b.anonymity) : std::string(dash), fixed(b.psnr_db, 2),
         fixed(b.psnr_low_db, 2) + " to " + fixed(b.psnr_high_db, 2), closest_attack(matrix, p),
         fixed(b.class_mean_psnr_db, 2), fixed(b.mean_psnr_db, 2), picked,
         b.epsilon ? fmt::format("{} ({:.1f} % kept; {} when tried)", *b.epsilon,
                                 100 * b.kept.value_or(0), fixed(b.epsilon_seen.value_or(0), 2))
                   : std::string(dash)});
    if (!confident) continue;
    auto confidence = p.confidence ? per_cent(*p.confidence, 1) + " %" : std::string(dash);
    if (p.confidence_without_chance)
      confidence += ", without chance " + per_cent(*p.confidence_without_chance, 1) + " %";
    t.rows.back().push_back(std::move(confidence));
  }
  return t;
}

std::string matrix_markdown(const Matrix& matrix) {
  std::string out;
  if (const auto accuracies = accuracy_table(matrix); !accuracies.rows.empty())
    out += to_markdown(accuracies) + "\n" + markdown(accuracies.caption) + "\n\n";
  for (const auto& part : split(leak_table(matrix), kMostColumns)) out += to_markdown(part) + "\n";
  out += markdown(leak_legend(matrix)) + "\n";
  const auto flags = flag_reasons(matrix);
  if (!flags.empty()) out += "\n";
  for (const auto& flag : flags) out += "-" + std::string(kFlagMark) + " " + markdown(flag) + "\n";
  return out;
}

std::string rows_markdown(const std::vector<record::Result>& rows) {
  Table t;
  t.columns = {{"row"},
               {"classifier"},
               {"recipe"},
               {"accuracy, %", true},
               {"paper, %", true},
               {"on plain pictures, %", true},
               {"SSIM plain/protected", true},
               {"key space, bits", true}};
  for (const auto& row : rows) {
    const auto& p = row.matrix.protections.front();
    const auto* look = row.matrix.cell(p.label, "look");
    const auto* ssim = look ? record::distribution(look->measures, "ssim") : nullptr;
    t.rows.push_back({p.label, p.classifier, p.recipe, per_cent(p.accuracy, 2),
                      p.paper ? per_cent(p.paper->accuracy, 2) : std::string(dash),
                      per_cent(p.plain_accuracy, 2),
                      ssim ? fixed(ssim->mean, 3) : std::string(dash),
                      p.key_space_bits ? fixed(*p.key_space_bits, 0) : std::string(dash)});
  }
  return to_markdown(t);
}

}  // namespace veilnet::report
