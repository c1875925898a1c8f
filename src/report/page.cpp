#include "report/page.h"

#include <algorithm>
#include <map>

#include <kainjow/mustache.hpp>

#include "core/error.h"
#include "image/metrics.h"
#include "record/io.h"
#include "report/charts.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/verdict.h"

namespace veilnet::report {
namespace {

namespace fs = std::filesystem;
using kainjow::mustache::data;
using record::Matrix;
using record::Protection;

constexpr const char* kPage =
#include "page.mustache.inc"
    ;
constexpr const char* kTable =
#include "table.mustache.inc"
    ;
constexpr const char* kGrid =
#include "grid.mustache.inc"
    ;

// Absent names are looked for further out, so whatever may be absent is set to false.
void set_words(data& to, const char* name, const std::string& words) {
  to.set(name, words.empty() ? data(false) : data(words));
}

/// A list of what `make` makes of each item.
template <class Items, class Make>
data list_of(const Items& items, Make make) {
  data out(data::type::list);
  for (const auto& item : items) out.push_back(make(item));
  return out;
}
data list_of(const std::vector<std::string>& items) {
  return list_of(items, [](const std::string& words) { return data(words); });
}

data class_of(const Column& column, bool first) {
  std::string names;
  for (const auto& [set, name] : {std::pair(column.numeric && !first, "num"),
                                  {column.highlighted, "hi"},
                                  {column.whole_words, "words"}})
    if (set) names += (names.empty() ? "" : " ") + std::string(name);
  return names.empty() ? data(false) : data(names);
}

/// False for a table without rows.
data table_data(const Table& t) {
  if (t.rows.empty()) return data(false);
  check(t);
  data out;
  set_words(out, "caption", t.caption);
  out.set("grouped", !t.groups.empty());
  out.set("groups", list_of(t.groups, [](const auto& group) {
            data g;
            g.set("label", group.first);
            g.set("span", std::to_string(group.second));
            return g;
          }));
  out.set("columns", list_of(t.columns, [&](const Column& column) {
            data c;
            c.set("header", column.header);
            c.set("class", class_of(column, &column == &t.columns.front()));
            return c;
          }));
  out.set("rows", list_of(t.rows, [&](const std::vector<std::string>& row) {
            data r;
            r.set("head", row[0]);
            r.set("class", class_of(t.columns[0], true));
            data cells(data::type::list);
            for (std::size_t i = 1; i < row.size(); ++i) {
              data c;
              c.set("text", row[i]);
              c.set("class", class_of(t.columns[i], false));
              cells.push_back(c);
            }
            r.set("cells", cells);
            return r;
          }));
  return out;
}

Table two_columns(const char* first, const char* second) {
  return {"", {}, {{first}, {second}}, {}};
}

data picture_data(const image::Image& picture, const std::string& alt, const std::string& caption) {
  constexpr int kShownWidth = 96;  // CSS pixels; small pictures are enlarged without smoothing
  const auto png = image::encode_png(picture);
  data cell;
  cell.set("small", picture.width <= kShownWidth);
  cell.set("width", std::to_string(kShownWidth));
  cell.set("height", std::to_string(std::max(
                         1, (kShownWidth * picture.height + picture.width / 2) / picture.width)));
  cell.set("alt", alt + (caption.empty() ? "" : ", " + caption));
  cell.set("caption", caption);
  cell.set("src", "data:image/png;base64," +
                      base64({reinterpret_cast<const char*>(png.data()), png.size()}));
  return cell;
}

std::string similarity(const image::Image& plain, const image::Image& other) {
  return plain.rgb == other.rgb
             ? "exact"
             : fixed(image::ssim(plain.rgb, other.rgb, plain.height, plain.width), 2);
}

/// Rows plain, protected, recovered; as many columns as the page is wide, then the next grid.
data grids_of(const CellPictures& p, bool recovered) {
  constexpr std::size_t kColumns = 8;
  data grids(data::type::list);
  for (std::size_t first = 0; first < p.plain.size(); first += kColumns) {
    data heads(data::type::list), rows(data::type::list);
    const auto end = std::min(first + kColumns, p.plain.size());
    for (std::size_t k = first; k < end; ++k) heads.push_back(data(p.labels[k]));
    const auto row = [&](const char* name, const std::vector<image::Image>& pictures) {
      data cells(data::type::list);
      for (std::size_t k = first; k < end; ++k)
        cells.push_back(
            picture_data(pictures[k], std::string(name) + ", " + p.labels[k],
                         &pictures == &p.plain ? "" : similarity(p.plain[k], pictures[k])));
      data r;
      r.set("head", std::string(name));
      r.set("cells", cells);
      rows.push_back(r);
    };
    row("plain", p.plain);
    row("protected", p.protected_pictures);
    if (recovered) row("recovered", p.recovered);
    data grid;
    grid.set("heads", heads);
    grid.set("rows", rows);
    grids.push_back(grid);
  }
  return grids;
}

/// Fig. 3 of the paper: columns are plain and each protection, rows the pictures that all show.
/// False where there are none.
data examples_of(const Matrix& matrix, std::span<const CellPictures> pictures) {
  std::vector<const CellPictures*> shown;  // one a protection
  for (const auto& p : matrix.protections) {
    const auto it = std::ranges::find(pictures, p.label, &CellPictures::protection);
    if (it != pictures.end() && !it->plain.empty()) shown.push_back(&*it);
  }
  if (shown.empty()) return data(false);
  constexpr std::size_t kMost = 10;
  data heads(data::type::list), rows(data::type::list);
  heads.push_back(data(std::string("plain")));
  for (const auto* p : shown) heads.push_back(data(p->protection));
  std::size_t count = 0;
  for (std::size_t k = 0; k < shown[0]->plain.size() && count < kMost; ++k) {
    const auto& plain = shown[0]->plain[k];
    data cells(data::type::list);
    cells.push_back(picture_data(plain, "plain, " + shown[0]->labels[k], ""));
    const bool everywhere = std::ranges::all_of(shown, [&](const CellPictures* p) {
      const auto it = std::ranges::find_if(p->plain, [&](const image::Image& other) {
        return other.height == plain.height && other.width == plain.width && other.rgb == plain.rgb;
      });
      if (it == p->plain.end()) return false;
      const auto& other = p->protected_pictures[static_cast<std::size_t>(it - p->plain.begin())];
      cells.push_back(picture_data(other, p->protection + ", " + shown[0]->labels[k],
                                   similarity(plain, other)));
      return true;
    });
    if (!everywhere) continue;
    ++count;
    data row;
    row.set("head", shown[0]->labels[k]);
    row.set("cells", cells);
    rows.push_back(row);
  }
  if (count == 0) return data(false);
  data out;
  out.set("heads", heads);
  out.set("rows", rows);
  return out;
}

/// By protection, a fold for each attack; the one that decides whether it can be rebuilt is open.
data recovered_of(const Matrix& matrix, std::span<const CellPictures> pictures) {
  for (const auto& p : pictures) {
    check(p);
    if (!matrix.cell(p.protection, p.attack))
      fail(ErrorCode::InvalidArgument, "pictures of {} on {}, which the matrix has no cell of",
           p.attack, p.protection);
  }
  data out(data::type::list);
  for (const auto& protection : matrix.protections) {
    const auto decides = verdict(matrix, protection.label).rebuilt.attack;
    data folds(data::type::list);
    for (const auto& p : pictures) {
      const auto* cell = matrix.cell(p.protection, p.attack);
      if (p.protection != protection.label || !cell->refused.empty() || p.plain.empty()) continue;
      data fold;
      fold.set("title", p.attack + ": " + cell_text(cell));
      fold.set("text", cell->text);
      fold.set("open", p.attack == decides);
      fold.set("grids", grids_of(p, p.attack != "look"));
      folds.push_back(fold);
    }
    if (folds.is_empty_list()) continue;
    data entry;
    entry.set("label", protection.label);
    entry.set("folds", folds);
    out.push_back(entry);
  }
  return out;
}

const char* class_of(Severity severity) {
  switch (severity) {
    case Severity::None: return "none";
    case Severity::Some: return "some";
    case Severity::Most: return "most";
    case Severity::All: return "all";
    case Severity::Unknown: break;
  }
  return "unknown";
}

data verdict_data(const Matrix& matrix, const Protection& p) {
  data out;
  out.set("label", p.label);
  out.set("first", &p == &matrix.protections.front());
  if (p.accuracy) {
    data card;
    card.set("label", std::string("What the service still names"));
    card.set("value", fixed(100 * *p.accuracy, 2) + " %");
    card.set("note", p.plain_accuracy ? "of protected pictures; " +
                                            fixed(100 * *p.plain_accuracy, 2) + " % of plain ones"
                                      : std::string("of protected pictures"));
    out.set("card", card);
  } else {
    out.set("card", false);
  }
  const auto v = verdict(matrix, p.label);
  out.set("answers", list_of(questions(), [&](const Question& q) {
            const auto& answer = v.*q.answer;
            data a;
            a.set("question", std::string(q.text));
            a.set("level", answer.level);
            a.set("severity", std::string(class_of(answer.severity)));
            a.set("text", answer.text);
            set_words(a, "attack", answer.attack);
            return a;
          }));
  return out;
}

Table protections_table(const Matrix& matrix) {
  Table t;
  t.caption =
      "The number of keys bounds a search through all of them; it says nothing about attacks that "
      "do not search.";
  t.columns = {{"Protection"},
               {"What it is"},
               {"Keys", false, false, true},
               {"Key, bits", true},
               {"Service", false, false, true}};
  for (const auto& p : matrix.protections)
    t.rows.push_back({p.label, p.text, p.keys,
                      p.key_space_bits ? fixed(*p.key_space_bits, 0) : std::string(dash),
                      p.classifier.empty() ? std::string(dash) : p.classifier});
  return t;
}

void set_attackers(data& page, const Matrix& matrix) {
  std::vector<std::pair<std::string, std::vector<std::string>>> attackers;
  auto methods = two_columns("Attack", "What it does");
  methods.caption = "What each attack does, in the order in which they stand in the tables.";
  for (const auto& attack : matrix.attacks()) {
    methods.rows.push_back(
        {attack, std::ranges::find(matrix.cells, attack, &record::Cell::attack)->text});
    for (const auto& cell : matrix.cells) {
      if (cell.attack != attack || !cell.refused.empty()) continue;
      const auto words = attacker(cell.threat_model, false);
      auto known = std::ranges::find(attackers, words, [](const auto& a) { return a.first; });
      if (known == attackers.end()) known = attackers.insert(known, {words, {}});
      if (std::ranges::find(known->second, attack) == known->second.end())
        known->second.push_back(attack);
    }
  }
  for (const auto& b : matrix.baselines) methods.rows.push_back({"guess: " + b.name, b.text});
  page.set("methods", table_data(methods));
  page.set("attackers", list_of(attackers, [](const auto& a) {
             std::string attacks;
             for (const auto& id : a.second) attacks += (attacks.empty() ? "" : ", ") + id;
             data entry;
             entry.set("words", a.first);
             entry.set("attacks", attacks);
             return entry;
           }));
  const auto name = matrix.budget.find("name");
  if (name == matrix.budget.end()) {
    page.set("budget", false);
    return;
  }
  data budget;
  const auto* words = std::get_if<std::string>(&name->second);
  budget.set("name", words ? *words : std::string());
  set_words(budget, "spent", listed(matrix.budget));
  page.set("budget", budget);
}

data figures_data(const Matrix& matrix) {
  return list_of(matrix.protections, [&](const Protection& p) {
    auto spent = two_columns("Attack", "Spent");
    for (const auto& cell : matrix.cells)
      if (cell.protection == p.label && cell.refused.empty())
        spent.rows.push_back({cell.attack, listed(cell.budget)});
    data out;
    out.set("label", p.label);
    out.set("table", table_data(figures_table(matrix, p)));
    out.set("spent", table_data(spent));
    return out;
  });
}

// What is said of the run, and which h were judged not to protect when they were trained.
std::vector<std::string> remarks_on(const Matrix& matrix) {
  auto remarks = matrix.notes;
  for (const auto& p : matrix.protections)
    if (const auto verdict = p.provenance.find("verdict");
        verdict != p.provenance.end() && verdict->second.starts_with("does not protect"))
      remarks.push_back(p.label + " " + verdict->second + ".");
  return remarks;
}

void set_provenance(data& page, const Matrix& matrix) {
  auto t = two_columns("What", "Value");
  const auto add = [](Table& to, const std::string& what, const std::string& value) {
    if (!value.empty()) to.rows.push_back({what, value});
  };
  const auto count = [](std::uint64_t n) { return n > 0 ? grouped(n) : std::string(); };
  add(t, "data set", matrix.data.name);
  add(t, "data set hash", matrix.data.hash);
  add(t, "training pictures", count(matrix.data.train));
  add(t, "test pictures", count(matrix.data.test));
  const auto& from = matrix.provenance;
  add(t, "commit", from.commit);
  add(t, "configuration, SHA-256", from.config_sha256);
  if (from.seed) add(t, "seed", std::to_string(*from.seed));
  for (const auto& [what, value] : from.machine) add(t, what, value);
  for (const auto& [stage, key] : from.stages) add(t, "stage " + stage, key);
  page.set("provenance", table_data(t));
  data models(data::type::list);
  for (const auto& p : matrix.protections) {
    auto own = two_columns("What", "Value");
    add(own, "architecture", p.architecture);
    if (p.alpha) add(own, "alpha", shortest(*p.alpha));
    add(own, "recipe", p.recipe);
    for (const auto& [what, value] : p.provenance) add(own, what, value);
    if (own.rows.empty()) continue;
    data model;
    model.set("label", p.label);
    model.set("table", table_data(own));
    models.push_back(model);
  }
  page.set("models", models);
  set_words(page, "config", from.config);
}

data charts_data(const std::vector<std::string>& svgs) {
  if (svgs.empty()) return data(false);
  data out;
  out.set("charts", list_of(svgs));
  return out;
}

data page_data(const Matrix& matrix, std::span<const CellPictures> pictures) {
  data page;
  page.set("data_table", data(kainjow::mustache::partial([] { return kTable; })));
  page.set("picture_grid", data(kainjow::mustache::partial([] { return kGrid; })));
  page.set("title", matrix.title);
  page.set("many", matrix.protections.size() > 1);
  page.set("protection_count", grouped(matrix.protections.size()));
  const auto attacks = matrix.attacks();
  page.set("attack_count", grouped(attacks.size()));
  page.set("one_attack", attacks.size() == 1);
  data about;
  about.set("name", matrix.data.name);
  set_words(
      about, "size",
      matrix.data.height > 0 ? fmt::format("{} x {}", matrix.data.width, matrix.data.height) : "");
  set_words(about, "classes", matrix.data.classes > 0 ? grouped(matrix.data.classes) : "");
  page.set("data", about);

  page.set("verdicts", list_of(matrix.protections,
                               [&](const Protection& p) { return verdict_data(matrix, p); }));
  page.set("verdict_table", table_data(verdict_table(matrix)));
  page.set("rules", list_of(questions(), [](const Question& q) {
             data rule;
             rule.set("question", std::string(q.text));
             rule.set("rule", std::string(q.rule));
             return rule;
           }));
  if (matrix.phi) {
    data phi;
    phi.set("source", matrix.phi->source);
    set_words(phi, "layer", matrix.phi->layer);
    page.set("phi", phi);
  } else {
    page.set("phi", false);
  }
  page.set("protections", table_data(protections_table(matrix)));
  const auto remarks = remarks_on(matrix);
  page.set("has_notes", !remarks.empty());
  page.set("notes", list_of(remarks));
  page.set("accuracy", table_data(accuracy_table(matrix)));
  set_attackers(page, matrix);
  page.set("leaks", table_data(leak_table(matrix)));
  const auto flags = flag_reasons(matrix), refusals = refusal_reasons(matrix);
  page.set("has_flags", !flags.empty());
  page.set("flags", list_of(flags));
  page.set("has_refusals", !refusals.empty());
  page.set("refusals", list_of(refusals));
  std::vector<std::string> boxes;
  for (auto& [label, svg] : box_plots(matrix)) boxes.push_back(std::move(svg));
  page.set("boxes", charts_data(boxes));
  const auto curve = trade_off(matrix);
  auto trade = charts_data(curve.charts);
  if (!curve.charts.empty()) set_words(trade, "models", curve.models);
  page.set("trade_off", trade);
  std::vector<std::string> defences;
  for (auto& [name, svg] : defence_charts(matrix)) defences.push_back(std::move(svg));
  page.set("defences", charts_data(defences));
  page.set("examples", matrix.protections.size() > 1 ? examples_of(matrix, pictures) : data(false));
  const auto recovered = recovered_of(matrix, pictures);
  page.set("has_recovered", !recovered.is_empty_list());
  page.set("recovered", recovered);
  page.set("measures", list_of(record::measures(), [](const record::Measure& m) {
             data entry;
             entry.set("name", std::string(m.name));
             entry.set("text", std::string(m.text));
             return entry;
           }));
  page.set("strongest", table_data(strongest_table(matrix)));
  page.set("agreement", table_data(agreement_table(matrix)));
  page.set("figures", figures_data(matrix));
  page.set("transport", table_data(transport_table(matrix)));
  page.set("bounds", table_data(bounds_table(matrix)));
  page.set("local", table_data(local_table(matrix)));
  page.set("services", table_data(services_table(matrix)));
  page.set("attributes", table_data(attributes_table(matrix)));
  page.set("curve", charts_data(budget_charts(matrix)));
  page.set("not_covered", list_of(matrix.not_covered));
  std::string commands;
  for (const auto& command : matrix.commands) commands += command + "\n";
  set_words(page, "commands", commands);
  set_provenance(page, matrix);
  return page;
}

/// Links to the sections that the page turned out to have.
std::string contents_of(const std::string& html) {
  std::string out = "<nav aria-label=\"Contents\">\n";
  constexpr std::string_view kOpen = "<h2 id=\"", kClose = "</h2>";
  for (auto at = html.find(kOpen); at != html.npos; at = html.find(kOpen, at)) {
    at += kOpen.size();
    const auto quote = html.find('"', at), end = html.find(kClose, at);
    out += "<a href=\"#" + html.substr(at, quote - at) + "\">" +
           html.substr(quote + 2, end - quote - 2) + "</a>\n";
  }
  return out + "</nav>";
}

}  // namespace

std::string render_page(const Matrix& given, std::span<const CellPictures> pictures) {
  // Through its JSON, so that the page shows what a record may, and no folder of the machine.
  const auto matrix = record::from_json<Matrix>(record::to_json(given), "matrix");
  kainjow::mustache::mustache page{std::string(kPage)};
  page.set_custom_escape([](const std::string& words) { return escape(words); });
  if (!page.is_valid()) fail(ErrorCode::InvalidArgument, "page.mustache: {}", page.error_message());
  // Contents stand before the sections that they list.
  constexpr const char* kContents = "\x02";
  auto all = page_data(matrix, pictures);
  all.set("contents", std::string(kContents));
  auto html = page.render(all);
  html.replace(html.find(kContents), 1, contents_of(html));
  return html;
}

fs::path write_page(const fs::path& folder) {
  const auto matrix = record::read<Matrix>(folder / "matrix.json");
  std::vector<CellPictures> pictures;
  for (const auto& cell : matrix.cells)
    if (fs::exists(folder / "pictures" / cell.protection / cell.attack / "labels.json"))
      pictures.push_back(read_pictures(folder / "pictures", cell.protection, cell.attack));
  const auto path = folder / "report.html";
  write_file(path, render_page(matrix, pictures), Overwrite::Yes);
  return path;
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u;
    };
    const unsigned word = at(0) << 16 | at(1) << 8 | at(2);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? digits[word >> (18 - 6 * k) & 63u] : '=';
  }
  return out;
}

}  // namespace veilnet::report
