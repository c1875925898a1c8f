#include "eval/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/error.h"
#include "eval/html.h"
#include "eval/json_reader.h"
#include "eval/summary.h"
#include "image/metrics.h"
#include "report/svg.h"

namespace veilnet::eval {

using namespace report;

namespace {

using nlohmann::json;

/// One comparison of plain pictures with something else.
struct Leak {
  Summary psnr_db, ssim;
  std::optional<Summary> ssim_gaussian;
  std::vector<double> psnr_db_values, ssim_values;
};

struct Attack {
  std::string name;
  Leak leak;
  std::optional<double> accuracy, baseline_psnr_db;
  std::vector<std::vector<std::string>> settings;
};

struct Model {
  std::string label, architecture, recipe;
  std::optional<double> alpha;
  double plain = 0, protected_float = 0;
  std::optional<double> protected_png8, paper;
  std::optional<Leak> similarity;
  std::optional<Attack> attack;
  std::vector<std::vector<std::string>> provenance;

  /// What a user of the PNG files gets; the float output where the PNGs were not measured.
  double protected_accuracy() const { return protected_png8.value_or(protected_float); }
};

Leak read_leak(const JsonReader& node) {
  return {node["psnr_db"].summary(), node["ssim"].summary(),
          node["ssim_gaussian"].maybe(&JsonReader::summary), node["psnr_db_values"].numbers_if(),
          node["ssim_values"].numbers_if()};
}

Model read_model(const JsonReader& node) {
  Model m;
  m.label = node["label"].string();
  m.alpha = node["alpha"].maybe(&JsonReader::number);
  m.architecture = node["architecture"].maybe(&JsonReader::string).value_or("");
  m.recipe = node["recipe"].maybe(&JsonReader::string).value_or("");
  m.plain = node["accuracy"]["plain"].share();
  m.protected_float = node["accuracy"]["protected_float"].share();
  m.protected_png8 = node["accuracy"]["protected_png8"].maybe(&JsonReader::share);
  m.paper = node["paper_accuracy"].maybe(&JsonReader::share);
  if (node["similarity"].present()) m.similarity = read_leak(node["similarity"]);
  if (const auto attack = node["attack"]; attack.present()) {
    m.attack = Attack{attack["name"].string(), read_leak(attack),
                      attack["reconstruction_accuracy"].maybe(&JsonReader::share),
                      attack["baseline_mean_image_psnr_db"].maybe(&JsonReader::number),
                      attack["settings"].rows_if()};
  }
  m.provenance = node["provenance"].rows_if();
  return m;
}

std::vector<Model> read_models(const JsonReader& evaluation) {
  std::vector<Model> models;
  std::set<std::string> labels;
  for (const auto& node : evaluation["models"].items_if()) {
    models.push_back(read_model(node));
    if (!labels.insert(models.back().label).second)
      throw Error(ErrorCode::BadData, "evaluation.models: the label '" + models.back().label +
                                          "' occurs twice; labels must be unique");
  }
  if (models.empty())
    throw Error(ErrorCode::BadData,
                "evaluation.models is missing or empty; expected at least one model");
  return models;
}

void check_pictures(std::span<const ModelPictures> pictures, std::size_t models) {
  if (pictures.empty()) return;
  if (pictures.size() != models)
    throw Error(ErrorCode::InvalidArgument, "report: pictures of " +
                                                std::to_string(pictures.size()) + " models for " +
                                                std::to_string(models) + " models");
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto& p = pictures[i];
    const std::size_t n = p.plain.size();
    const auto fits = [&](std::size_t count) { return count == 0 || count == n; };
    if (p.protected_pictures.size() != n || !fits(p.reconstructed.size()) || !fits(p.labels.size()))
      throw Error(ErrorCode::InvalidArgument,
                  "report: model " + std::to_string(i) + " has " + std::to_string(n) + " plain, " +
                      std::to_string(p.protected_pictures.size()) + " protected and " +
                      std::to_string(p.reconstructed.size()) + " reconstructed pictures and " +
                      std::to_string(p.labels.size()) +
                      " labels; allowed are equal numbers, or none reconstructed and no labels");
  }
}

std::string percent(std::optional<double> fraction) {
  return fraction ? fixed(100 * *fraction, 2) : std::string(dash);
}
std::string number_or_dash(std::optional<double> value, int decimals) {
  return value ? fixed(*value, decimals) : std::string(dash);
}

/// An inverted picture shows as much as an upright one: the worst SSIM is the one farthest from
/// zero.
double worst_ssim(const Summary& s) { return std::abs(s.min) > std::abs(s.max) ? s.min : s.max; }

void add_all(std::vector<std::string>& row, std::initializer_list<std::string> cells) {
  row.insert(row.end(), cells);
}

Markup opening(const JsonReader& evaluation, const std::vector<Model>& models) {
  const auto dataset = evaluation["dataset"];
  const auto test = dataset["test"].maybe(&JsonReader::count),
             classes = dataset["classes"].maybe(&JsonReader::count),
             height = dataset["height"].maybe(&JsonReader::count),
             width = dataset["width"].maybe(&JsonReader::count);
  std::string what = (test ? "The " + grouped(*test) : std::string("All")) +
                     " test pictures of the data set " + dataset["name"].string();
  if (height && width)
    what += " (" + std::to_string(*width) + " x " + std::to_string(*height) + " pixels" +
            (classes ? ", " + std::to_string(*classes) + " classes)" : ")");
  what +=
      " were protected. A transformation network h, which runs on the client, turns each plain "
      "picture into a protected one "
      "that is meant to show a person nothing of the original. Only the protected picture leaves "
      "the client. A classifier psi "
      "in the cloud, trained on plain pictures and left unchanged, still has to name it.";
  std::string how =
      "h was trained to keep psi right while the features phi of the protected picture move away "
      "from those of the plain one; "
      "alpha weighs the second aim against the first.";
  if (const auto phi = evaluation["phi"]; phi.present())
    how += " Here phi goes up to layer " + phi["layer"].string() +
           ", source: " + phi["source"].string() + ".";
  if (models.size() > 1)
    how += " " + grouped(models.size()) + " models were evaluated; they are compared below.";
  return paragraph(what) + paragraph(how);
}

Markup headline_cards(const Model& m) {
  std::vector<Card> all;
  all.push_back({"Named correctly, protected", percent(m.protected_accuracy()) + " %",
                 std::string(m.protected_png8 ? "8-bit PNG" : "float output") +
                     "; plain pictures: " + percent(m.plain) + " %"});
  all.push_back({"Accuracy lost to protection", fixed(100 * (m.plain - m.protected_accuracy()), 2),
                 "percentage points; negative would be a gain"});
  if (m.similarity) {
    const auto& s = m.similarity->ssim;
    all.push_back(
        {"SSIM plain / protected", fixed(s.mean, 3),
         "mean; worst picture " + fixed(worst_ssim(s), 3) + ". 1 would be the same picture"});
  }
  if (m.attack) {
    const auto& psnr = m.attack->leak.psnr_db;
    const auto& ssim = m.attack->leak.ssim;
    const auto& baseline = m.attack->baseline_psnr_db;
    all.push_back({m.attack->name + ", PSNR", fixed(psnr.mean, 1) + " dB",
                   "mean; worst picture " + fixed(psnr.max, 1) + " dB" +
                       (baseline ? "; blind guess " + fixed(*baseline, 1) + " dB" : "")});
    all.push_back({m.attack->name + ", SSIM", fixed(ssim.mean, 3),
                   "mean; worst picture " + fixed(worst_ssim(ssim), 3)});
  }
  return cards(all);
}

Markup threat_model(const std::vector<Model>& models) {
  std::string attacks;
  for (const auto& m : models)
    if (m.attack && attacks.find(m.attack->name) == std::string::npos)
      attacks += (attacks.empty() ? "" : ", ") + m.attack->name;
  if (attacks.empty())
    return callout(paragraph(strong("No attack was run.") +
                             text(" The similarity figures below say how much a person would see "
                                  "in a protected picture. They "
                                  "say nothing about what an attacker could compute from it.")));
  Markup out =
      paragraph(
          "The attacker is the cloud, or anyone who gets hold of protected pictures and wants to "
          "see the plain ones.") +
      bullets({"Knows h completely: there is no key, and every client carries the network.",
               "Can protect as many pictures of their own as they like, so they have exact pairs "
               "of plain and protected "
               "pictures, drawn here from the training set. No test picture was among them.",
               "Gets each protected picture as an 8-bit PNG file.",
               "Does not see the plain test pictures, nor anything else from inside the client."}) +
      paragraph("With the pairs they train a network that turns protected pictures back (" +
                attacks + "), and the figures compare what it returns with the plain picture.");
  // Attacks on several models are usually alike; equal settings are shown once.
  std::vector<std::pair<std::vector<std::vector<std::string>>, std::string>> settings;
  for (const auto& m : models) {
    if (!m.attack || m.attack->settings.empty()) continue;
    const auto known = std::find_if(settings.begin(), settings.end(),
                                    [&](const auto& s) { return s.first == m.attack->settings; });
    if (known == settings.end()) {
      settings.emplace_back(m.attack->settings, m.label);
    } else {
      known->second += "; " + m.label;
    }
  }
  for (const auto& [rows, labels] : settings)
    out = out + details("Settings of the attack" + (settings.size() == 1 ? "" : " on " + labels),
                        table({"", {}, {{"Setting"}, {"Value"}}, rows}));
  return out;
}

Markup accuracy_table(const JsonReader& evaluation, const std::vector<Model>& models) {
  const auto paper = evaluation["paper"];
  Table t;
  t.caption = "Test accuracy in per cent. Lost: plain minus protected 8-bit PNG" +
              std::string(std::all_of(models.begin(), models.end(),
                                      [](const Model& m) { return m.protected_png8.has_value(); })
                              ? ""
                              : " (float output where no PNG was measured)") +
              ", in percentage points; negative is a gain.";
  if (paper.present()) {
    t.caption += " Paper: " + paper["source"].string();
    if (const auto plain = paper["plain_accuracy"].maybe(&JsonReader::share))
      t.caption += ", " + percent(plain) + " on plain pictures";
    t.caption += ".";
  }
  t.columns = {{"Model"},
               {"Plain", true},
               {"Protected, 8-bit PNG", true, true},
               {"Lost", true},
               {"Protected, float", true},
               {"Paper, protected", true}};
  for (const auto& m : models)
    t.rows.push_back({m.label, percent(m.plain), percent(m.protected_png8),
                      fixed(100 * (m.plain - m.protected_accuracy()), 2),
                      percent(m.protected_float), percent(m.paper)});
  return table(t);
}

constexpr const char* measures =
    "PSNR measures the pixel-wise difference in dB: 50 looks identical, 10 shares little more than "
    "brightness. SSIM compares "
    "local structure: 1 is the same picture, 0 is unrelated; a strongly negative value is an "
    "inverted picture, which shows as "
    "much. Worst: the picture that leaks most (highest PSNR; SSIM farthest from 0).";

void add_leak_cells(std::vector<std::string>& row, const Leak& leak) {
  add_all(row, {fixed(leak.psnr_db.mean, 2), fixed(leak.psnr_db.median, 2),
                fixed(leak.psnr_db.p99, 2), fixed(leak.psnr_db.max, 2)});
  add_all(row, {fixed(leak.ssim.mean, 3), fixed(leak.ssim.median, 3), fixed(leak.ssim.p99, 3),
                fixed(worst_ssim(leak.ssim), 3)});
  add_all(row,
          {leak.ssim_gaussian ? fixed(leak.ssim_gaussian->mean, 3) : std::string(dash),
           leak.ssim_gaussian ? fixed(worst_ssim(*leak.ssim_gaussian), 3) : std::string(dash)});
}

std::size_t infinite_count(const std::vector<Model>& models) {
  std::size_t count = 0;
  for (const auto& m : models) {
    if (m.similarity) count += m.similarity->psnr_db.infinite;
    if (m.attack) count += m.attack->leak.psnr_db.infinite;
  }
  return count;
}

Table leak_table(const std::string& caption) {
  Table t;
  t.caption = caption;
  t.column_groups = {{"", 1}, {"PSNR (dB)", 4}, {"SSIM, 7 x 7", 4}, {"SSIM, Gaussian", 2}};
  t.columns = {{"Model"}};
  for (int i = 0; i < 2; ++i)
    for (const char* header : {"mean", "median", "99th pct.", "worst"})
      t.columns.push_back({header, true, std::string_view(header) == "worst"});
  t.columns.push_back({"mean", true});
  t.columns.push_back({"worst", true, true});
  return t;
}

Markup leak_tables(const std::vector<Model>& models) {
  Markup out = paragraph(measures);
  Table seen = leak_table("What a person sees: plain picture against protected picture.");
  Table recovered = leak_table("What the attacker recovers: plain picture against reconstruction.");
  recovered.column_groups.emplace_back("Blind guess", 1);
  recovered.column_groups.emplace_back("Named", 1);
  recovered.columns.push_back({"PSNR", true});
  recovered.columns.push_back({"by psi, %", true});
  for (const auto& m : models) {
    if (m.similarity) {
      std::vector<std::string> row{m.label};
      add_leak_cells(row, *m.similarity);
      seen.rows.push_back(std::move(row));
    }
    if (m.attack) {
      std::vector<std::string> row{m.label};
      add_leak_cells(row, m.attack->leak);
      add_all(row, {number_or_dash(m.attack->baseline_psnr_db, 2), percent(m.attack->accuracy)});
      recovered.rows.push_back(std::move(row));
    }
  }
  if (!seen.rows.empty()) out = out + table(seen);
  if (!recovered.rows.empty())
    out = out + table(recovered) +
          paragraph(
              "Blind guess: the PSNR of always answering with the mean training picture, which "
              "needs no attack. Only what lies "
              "above it was learnt from the protected picture. Named: how many reconstructions the "
              "classifier still names "
              "correctly; it may go by traces no person sees, and the class is what the cloud is "
              "meant to learn in any case.");
  if (seen.rows.empty() && recovered.rows.empty())
    out = out + paragraph("No similarity figures were measured.");
  if (const auto count = infinite_count(models))
    out = out +
          callout(paragraph(strong(grouped(count) + (count == 1 ? " comparison" : " comparisons") +
                                   " found equal pictures") +
                            text(" (infinite PSNR). Means are over the others; median, percentile "
                                 "and worst case include them.")));
  return out;
}

bool same(const image::Image& a, const image::Image& b) {
  return a.height == b.height && a.width == b.width && a.rgb == b.rgb;
}

std::string psnr_caption(const image::Image& plain, const image::Image& other) {
  if (plain.height != other.height || plain.width != other.width)
    throw Error(ErrorCode::InvalidArgument,
                "report: a plain picture is " + std::to_string(plain.width) + " x " +
                    std::to_string(plain.height) + " and its counterpart " +
                    std::to_string(other.width) + " x " + std::to_string(other.height));
  return fixed(image::psnr_db(plain.rgb, other.rgb), 1) + " dB";
}

/// Fig. 3: rows are pictures, columns are plain and each model's protected picture.
Markup alpha_grid(const std::vector<Model>& models, std::span<const ModelPictures> pictures) {
  PictureGrid grid;
  grid.caption =
      "Plain pictures and what leaves the client. Under each protected picture its PSNR against "
      "the plain one.";
  grid.column_headers = {"plain"};
  for (const auto& m : models) grid.column_headers.push_back(m.label);
  for (std::size_t k = 0; k < pictures[0].plain.size(); ++k) {
    const auto& plain = pictures[0].plain[k];
    std::vector<PictureCell> row{{plain, ""}};
    for (const auto& p : pictures) {
      const auto found =
          std::find_if(p.plain.begin(), p.plain.end(),
                       [&](const image::Image& other) { return same(plain, other); });
      if (found == p.plain.end()) break;
      const auto& shown = p.protected_pictures[static_cast<std::size_t>(found - p.plain.begin())];
      row.push_back({shown, psnr_caption(plain, shown)});
    }
    if (row.size() != models.size() + 1) continue;
    grid.rows.push_back(std::move(row));
    if (!pictures[0].labels.empty()) grid.row_headers.push_back(pictures[0].labels[k]);
  }
  return grid.rows.empty() ? paragraph("No picture is shown for all models.") : picture_grid(grid);
}

/// Fig. 4: columns are pictures; plain, protected and, after an attack, reconstructed one below the
/// other. As many columns as the page is wide, then the next block.
Markup attack_grid(const ModelPictures& p) {
  constexpr std::size_t columns = 8;
  Markup out;
  for (std::size_t first = 0; first < p.plain.size(); first += columns) {
    const std::size_t end = std::min(first + columns, p.plain.size());
    PictureGrid grid;
    if (!p.labels.empty())
      for (std::size_t k = first; k < end; ++k) grid.column_headers.push_back(p.labels[k]);
    grid.row_headers = {"plain", "protected"};
    if (!p.reconstructed.empty()) grid.row_headers.push_back("reconstructed");
    grid.rows.resize(grid.row_headers.size());
    for (std::size_t k = first; k < end; ++k) {
      grid.rows[0].push_back({p.plain[k], ""});
      grid.rows[1].push_back(
          {p.protected_pictures[k], psnr_caption(p.plain[k], p.protected_pictures[k])});
      if (!p.reconstructed.empty())
        grid.rows[2].push_back({p.reconstructed[k], psnr_caption(p.plain[k], p.reconstructed[k])});
    }
    out = out + picture_grid(grid);
  }
  return out;
}

Markup attack_section(const std::vector<Model>& models, std::span<const ModelPictures> pictures) {
  Markup out = paragraph("Under each picture stands its PSNR against the plain one above it.");
  for (std::size_t i = 0; i < models.size(); ++i) {
    const auto& m = models[i];
    if (!m.attack) continue;
    Markup inner;
    if (!pictures.empty() && !pictures[i].reconstructed.empty())
      inner = inner + attack_grid(pictures[i]);
    if (const auto& values = m.attack->leak.psnr_db_values; !values.empty()) {
      Histogram h;
      h.title = m.attack->name + " on " + m.label;
      h.x_label = "PSNR of the reconstruction (dB)";
      h.values = values;
      h.references = {{"median", m.attack->leak.psnr_db.median}};
      if (m.attack->baseline_psnr_db)
        h.references.push_back({"blind guess, mean", *m.attack->baseline_psnr_db});
      inner = inner + figure({histogram(h)},
                             "How the reconstructions of all test pictures spread. The pictures at "
                             "the right end leak most.");
    }
    if (!inner.html.empty())
      out = out +
            (models.size() == 1 ? inner : details(m.attack->name + " on " + m.label, inner, true));
  }
  return out;
}

Markup box_plots(const std::vector<Model>& models) {
  BoxPlot psnr, ssim;
  psnr.title = "PSNR against the plain picture";
  psnr.y_label = "PSNR (dB)";
  ssim.title = "SSIM against the plain picture";
  ssim.y_label = "SSIM";
  ssim.references = {{"unrelated", 0}};
  psnr.colour_names = ssim.colour_names = {"protected", "reconstructed"};
  std::set<std::string> baselines;
  for (const auto& m : models) {
    const auto add = [&](const Leak& leak, std::size_t colour) {
      if (!leak.psnr_db_values.empty())
        psnr.groups.push_back({m.label, leak.psnr_db_values, colour});
      if (!leak.ssim_values.empty()) ssim.groups.push_back({m.label, leak.ssim_values, colour});
    };
    if (m.similarity) add(*m.similarity, 0);
    if (!m.attack) continue;
    add(m.attack->leak, 1);
    if (m.attack->baseline_psnr_db &&
        baselines.insert(fixed(*m.attack->baseline_psnr_db, 2)).second)
      psnr.references.push_back({"blind guess, mean", *m.attack->baseline_psnr_db});
  }
  std::vector<std::string> charts;
  if (!psnr.groups.empty()) charts.push_back(box_plot(psnr));
  if (!ssim.groups.empty()) charts.push_back(box_plot(ssim));
  if (charts.empty()) return {};
  return figure(charts,
                "All test pictures. Box: quartiles; line: median; diamond: mean; whiskers: "
                "outermost value within 1.5 times "
                "the box's height; dots: pictures beyond (thinned). More is seen where PSNR is "
                "higher or SSIM farther from 0.");
}

/// Accuracy and leak over alpha. Only models of one architecture and recipe make a curve, and only
/// two alphas or more; empty where there is none.
Markup trade_off(const std::vector<Model>& models) {
  std::map<std::string, std::vector<const Model*>> curves;
  for (const auto& m : models)
    if (m.alpha) curves[m.architecture + (m.recipe.empty() ? "" : ", " + m.recipe)].push_back(&m);
  std::map<double, std::size_t> alphas;
  std::vector<const Model*> drawn;
  for (auto it = curves.begin(); it != curves.end();) {
    auto& members = it->second;
    std::stable_sort(members.begin(), members.end(),
                     [](const Model* a, const Model* b) { return *a->alpha < *b->alpha; });
    if (*members.front()->alpha == *members.back()->alpha) {
      it = curves.erase(it);
      continue;
    }
    for (const auto* m : members) alphas.emplace(*m->alpha, 0);
    drawn.insert(drawn.end(), members.begin(), members.end());
    ++it;
  }
  if (drawn.empty()) return {};
  std::stable_sort(drawn.begin(), drawn.end(),
                   [](const Model* a, const Model* b) { return *a->alpha < *b->alpha; });

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
                        const std::vector<const Model*>& members, auto value) {
    Series series{label, {}};
    for (const auto* m : members)
      if (const std::optional<double> y = value(*m))
        series.points.emplace_back(static_cast<double>(alphas.at(*m->alpha)), *y);
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  };
  for (const auto& curve : curves) {
    const std::string suffix = curves.size() == 1 ? "" : ", " + curve.first;
    const auto& members = curve.second;
    line(accuracy, "protected" + suffix, members,
         [](const Model& m) { return std::optional(100 * m.protected_accuracy()); });
    const auto seen = [&](LineChart& chart, Summary Leak::*measure) {
      line(chart, "protected" + suffix, members, [&](const Model& m) {
        return m.similarity ? std::optional(((*m.similarity).*measure).mean) : std::nullopt;
      });
      line(chart, "reconstructed" + suffix, members, [&](const Model& m) {
        return m.attack ? std::optional((m.attack->leak.*measure).mean) : std::nullopt;
      });
    };
    seen(ssim, &Leak::ssim);
    seen(psnr, &Leak::psnr_db);
  }
  // What does not depend on h is drawn once.
  line(accuracy, "plain", drawn, [](const Model& m) { return std::optional(100 * m.plain); });
  line(accuracy, "paper", drawn,
       [](const Model& m) { return m.paper ? std::optional(100 * *m.paper) : std::nullopt; });
  line(psnr, "blind guess", drawn,
       [](const Model& m) { return m.attack ? m.attack->baseline_psnr_db : std::nullopt; });

  std::vector<std::string> charts;
  for (const auto* chart : {&accuracy, &ssim, &psnr})
    if (!chart->series.empty()) charts.push_back(line_chart(*chart));
  const std::string what = curves.size() == 1 && !curves.begin()->first.empty()
                               ? " Models: " + curves.begin()->first + "."
                               : "";
  return figure(charts,
                "The trade between accuracy and protection. Wanted is high on the left and low on "
                "the other two. The alphas "
                "are spaced evenly, not to scale." +
                    what);
}

Markup not_covered() {
  // NOLINTBEGIN(bugprone-suspicious-missing-comma): sentences that take two lines
  return bullets({
      "Stronger attackers. A leak figure is what one attack reached with its budget: a lower bound "
      "on the leak, not an upper "
      "one. More training, a larger network, another loss or a generative prior may recover more.",
      "The class. The cloud learns what psi says about the picture; that is the purpose.",
      "Recognition of known pictures. h has no key and no randomness: the same picture always "
      "gives the same protected "
      "picture, so anyone who suspects a certain picture can protect it and compare.",
      "Other properties that could be read off without seeing the picture: identity, sex, place, "
      "whether two pictures come "
      "from one source.",
      "Anything but the pixels: file names, sizes, number and time of requests, network addresses.",
      "Other data. Figures hold for this data set and picture size, and for pictures like those h "
      "was trained on.",
      "A person's judgement. PSNR and SSIM are not human eyes; look at the worst cases above. No "
      "study with observers was "
      "made.",
      "Tampering: pictures altered so that psi errs, and a cloud that answers wrongly.",
  });
  // NOLINTEND(bugprone-suspicious-missing-comma)
}

Markup rerun(const JsonReader& evaluation) {
  const auto commands = evaluation["commands"].strings_if();
  const auto config =
      paragraph(text("The run folder holds the resolved configuration (") + code("config.toml") +
                text("), every figure (") + code("metrics.json") +
                text(") and the models this page was made from."));
  if (commands.empty()) return config;
  std::string lines;
  for (const auto& command : commands) lines += command + "\n";
  return preformatted(lines) + config;
}

Markup provenance(const JsonReader& evaluation, const std::vector<Model>& models) {
  Table t;
  t.columns = {{"What"}, {"Value"}};
  const auto dataset = evaluation["dataset"];
  t.rows.push_back({"data set", dataset["name"].string()});
  if (dataset["hash"].present()) t.rows.push_back({"data set hash", dataset["hash"].string()});
  if (const auto train = dataset["train"].maybe(&JsonReader::count))
    t.rows.push_back({"training pictures", grouped(*train)});
  if (const auto test = dataset["test"].maybe(&JsonReader::count))
    t.rows.push_back({"test pictures", grouped(*test)});
  if (evaluation["phi"].present())
    t.rows.push_back({"phi", evaluation["phi"]["source"].string() + ", layer " +
                                 evaluation["phi"]["layer"].string()});
  for (auto& row : evaluation["provenance"].rows_if()) t.rows.push_back(std::move(row));
  Markup out = table(t);
  for (const auto& m : models) {
    Table own;
    own.columns = {{"What"}, {"Value"}};
    if (!m.architecture.empty()) own.rows.push_back({"architecture", m.architecture});
    if (m.alpha) own.rows.push_back({"alpha", shortest(*m.alpha)});
    if (!m.recipe.empty()) own.rows.push_back({"recipe", m.recipe});
    own.rows.insert(own.rows.end(), m.provenance.begin(), m.provenance.end());
    if (!own.rows.empty()) out = out + details("Model " + m.label, table(own));
  }
  return out;
}

std::filesystem::path picture_path(const std::filesystem::path& folder, std::size_t model,
                                   const std::string& kind, std::size_t k) {
  return folder / ("model-" + std::to_string(model)) / (kind + "-" + std::to_string(k) + ".png");
}

}  // namespace

std::string render_report(const nlohmann::json& evaluation_json,
                          std::span<const ModelPictures> pictures) {
  const JsonReader evaluation(&evaluation_json, "evaluation");
  const auto models = read_models(evaluation);
  check_pictures(pictures, models.size());
  const bool attacked = std::any_of(models.begin(), models.end(),
                                    [](const Model& m) { return m.attack.has_value(); });

  Page page(evaluation["title"].string(),
            "Visual protection: what is kept, what is seen, what an attack recovers.");
  const Model* headline = models.size() == 1 ? &models.front() : nullptr;
  if (evaluation["headline"].present()) {
    const auto label = evaluation["headline"].string();
    const auto found = std::find_if(models.begin(), models.end(),
                                    [&](const Model& m) { return m.label == label; });
    if (found == models.end())
      throw Error(ErrorCode::BadData,
                  "evaluation.headline is '" + label + "', which is the label of no model");
    headline = &*found;
  }
  if (headline) {
    if (models.size() > 1) page.add(paragraph(strong(headline->label)));
    page.add(headline_cards(*headline));
  }
  page.section("What was protected");
  page.add(opening(evaluation, models));
  if (const auto notes = evaluation["notes"].strings_if(); !notes.empty())
    page.add(heading(3, "Remarks on this run") + bullets(notes));
  page.section("Who the attacker is");
  page.add(threat_model(models));
  page.section("Accuracy");
  page.add(accuracy_table(evaluation, models));
  page.section("What leaks");
  page.add(leak_tables(models));
  page.add(box_plots(models));
  if (const auto curve = trade_off(models); !curve.html.empty()) {
    page.section("Accuracy against protection");
    page.add(curve);
  }
  const bool shown = !pictures.empty() && !pictures[0].plain.empty();
  if (shown && models.size() > 1) {
    page.section("Protected pictures");
    page.add(alpha_grid(models, pictures));
  } else if (shown && pictures[0].reconstructed.empty()) {
    page.section("Protected pictures");
    page.add(attack_grid(pictures[0]));
  }
  if (attacked) {
    page.section(models.size() == 1 ? "Protected and reconstructed pictures"
                                    : "Reconstructed pictures");
    page.add(attack_section(models, pictures));
  }
  page.section("What is not covered");
  page.add(not_covered());
  page.section("How to run it again");
  page.add(rerun(evaluation));
  page.footer(strong("Provenance") + provenance(evaluation, models));
  return page.str();
}

void write_pictures(const std::filesystem::path& folder, std::span<const ModelPictures> pictures,
                    Overwrite overwrite) {
  check_pictures(pictures, pictures.size());
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto& p = pictures[i];
    for (std::size_t k = 0; k < p.plain.size(); ++k) {
      image::write_png(picture_path(folder, i, "plain", k), p.plain[k], overwrite);
      image::write_png(picture_path(folder, i, "protected", k), p.protected_pictures[k], overwrite);
      if (!p.reconstructed.empty())
        image::write_png(picture_path(folder, i, "reconstructed", k), p.reconstructed[k],
                         overwrite);
    }
    // Written last: its count is what read_pictures goes by.
    const json index = {{"count", p.plain.size()},
                        {"reconstructed", !p.reconstructed.empty()},
                        {"labels", p.labels}};
    write_file(folder / ("model-" + std::to_string(i)) / "labels.json", index.dump(2) + "\n",
               overwrite);
  }
}

std::vector<ModelPictures> read_pictures(const std::filesystem::path& folder, std::size_t models) {
  std::vector<ModelPictures> out(models);
  for (std::size_t i = 0; i < models; ++i) {
    const auto path = folder / ("model-" + std::to_string(i)) / "labels.json";
    const auto index = read_json(path);
    const JsonReader node(&index, path.string());
    const auto count = node["count"].maybe(&JsonReader::count);
    if (!count || !index.value("reconstructed", json()).is_boolean())
      throw Error(ErrorCode::BadData, path.string() +
                                          ": expected {\"count\": number, \"reconstructed\": true "
                                          "or false, \"labels\": [...]}");
    for (std::size_t k = 0; k < *count; ++k) {
      out[i].plain.push_back(image::read_image(picture_path(folder, i, "plain", k)));
      out[i].protected_pictures.push_back(
          image::read_image(picture_path(folder, i, "protected", k)));
      if (index["reconstructed"])
        out[i].reconstructed.push_back(
            image::read_image(picture_path(folder, i, "reconstructed", k)));
    }
    out[i].labels = node["labels"].strings_if();
  }
  check_pictures(out, models);
  return out;
}

}  // namespace veilnet::eval
