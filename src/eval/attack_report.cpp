#include "eval/attack_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>

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

constexpr Words kMethodWords[] = {{"unknown", "does not know how pictures are protected"},
                                  {"public", "knows how pictures are protected"}};
constexpr Words kAccessWords[] = {
    {"ciphertext_only", "sees protected pictures only"},
    {"exact_pairs", "has some plain pictures together with their protected versions"},
    {"chosen_plaintext", "can have pictures of his choice protected"},
    {"public_transform", "can run the whole method on any picture"}};
constexpr Words kKeyWords[] = {{"none", "No key is involved"},
                               {"same", "One key protects all pictures"},
                               {"independent", "Every picture has a key of its own"}};
constexpr Words kAuxiliaryWords[] = {
    {"none", "has no other plain pictures"},
    {"unrelated", "has plain pictures of another kind"},
    {"same_distribution", "has plain pictures of the same kind, none of them attacked"},
    {"candidates",
     "has a set of plain pictures that holds the attacked ones, not knowing which is which"}};

/// What an attack, or a guess without one, shows of the pictures.
struct Shown {
  std::string text;
  Summary psnr_db, ssim;
  std::optional<Summary> ssim_gaussian, ms_ssim, feature_distance;
};

struct MatrixCell : Shown {
  std::string scheme, attack, refused;  ///< nothing below where refused is not empty
  std::string attacker;                 ///< the threat model in words
  bool picks = false;                   ///< among candidates
  std::string budget;
  std::uint64_t n = 0, candidates = 0;
  double exact = 0;
  std::optional<double> reidentified, named;
  std::vector<std::string> flags;
  bool only_a_lower_bound =
      true;  ///< all that its flags say is that more training would recover more
  std::vector<double> ssim_values;

  bool trusted() const { return refused.empty() && only_a_lower_bound; }
};

struct MatrixScheme {
  std::string label, text, keys;
  std::optional<double> key_space_bits, accuracy;
  bool keyless = false;
};

struct Matrix {
  std::vector<MatrixScheme> schemes;
  std::vector<std::string> attacks;  ///< in the order of the cells
  std::vector<MatrixCell> cells;
  std::vector<std::pair<std::string, Shown>> baselines;  ///< by name
  std::optional<double> chance, plain_accuracy;

  const MatrixScheme* scheme(const std::string& label) const {
    const auto it = std::ranges::find(schemes, label, &MatrixScheme::label);
    return it == schemes.end() ? nullptr : &*it;
  }
  const MatrixCell* cell(const std::string& scheme, const std::string& attack) const {
    const auto it = std::ranges::find_if(
        cells, [&](const auto& c) { return c.scheme == scheme && c.attack == attack; });
    return it == cells.end() ? nullptr : &*it;
  }
  bool one_scheme() const { return schemes.size() == 1; }
};

/// "known pairs 256, epochs 2".
std::string listed(const std::vector<std::vector<std::string>>& rows) {
  std::string out;
  for (const auto& row : rows) out += (out.empty() ? "" : ", ") + row[0] + " " + row[1];
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

Shown read_shown(const JsonReader& entry) {
  return {entry["text"].string(),
          entry["psnr_db"].summary(),
          entry["ssim"].ssim(),
          entry["ssim_gaussian"].maybe(&JsonReader::summary),
          entry["ms_ssim"].maybe(&JsonReader::summary),
          entry["feature_distance"].maybe(&JsonReader::summary)};
}

MatrixCell read_matrix_cell(const JsonReader& entry) {
  MatrixCell cell;
  if (const auto refused = entry["refused"]; refused.present()) {
    cell.refused = refused.reason();
    cell.text = entry["text"].string();
  } else {
    static_cast<Shown&>(cell) = read_shown(entry);
    const auto model = entry["threat_model"];
    cell.attacker = "The attacker " + std::string(model["method"].among(kMethodWords)) + ", " +
                    std::string(model["access"].among(kAccessWords)) + ", and " +
                    std::string(model["auxiliary"].among(kAuxiliaryWords)) + ". " +
                    std::string(model["keys"].among(kKeyWords)) + ".";
    cell.picks = model["auxiliary"].string() == "candidates";
    cell.budget = listed(entry["budget"].rows());
    cell.n = entry["n"].at_least_one();
    cell.exact = entry["exact"].share();
    cell.reidentified = entry["reidentified"].maybe(&JsonReader::share);
    if (cell.reidentified) cell.candidates = entry["candidates"].at_least_one();
    cell.named = entry["reconstruction_accuracy"].maybe(&JsonReader::share);
    for (const auto& flag : entry["flags"].items()) {
      if (flag["id"].string() != "under_trained") cell.only_a_lower_bound = false;
      cell.flags.push_back(flag["text"].string());
    }
    cell.ssim_values = entry["ssim_values"].numbers_if();
  }
  cell.scheme = entry["scheme"].string();
  cell.attack = entry["attack"].string();
  return cell;
}

std::string known_scheme(const Matrix& matrix, const JsonReader& entry) {
  auto label = entry.string();
  if (!matrix.scheme(label))
    throw Error(ErrorCode::BadData,
                "matrix.schemes holds no '" + label + "', which an entry is about");
  return label;
}

Matrix read_matrix(const JsonReader& root) {
  Matrix matrix;
  for (const auto& entry : root["schemes"].some_items()) {
    MatrixScheme scheme{entry["label"].string(),
                        entry["text"].string(),
                        std::string(entry["keys"].among(kKeyWords)),
                        entry["key_space_bits"].maybe(&JsonReader::number),
                        entry["accuracy"].maybe(&JsonReader::share),
                        entry["keys"].string() == "none"};
    if (matrix.scheme(scheme.label))
      throw Error(ErrorCode::BadData, "matrix.schemes: the label '" + scheme.label +
                                          "' occurs twice; labels must be unique");
    matrix.schemes.push_back(std::move(scheme));
  }
  for (const auto& entry : root["cells"].some_items()) {
    auto cell = read_matrix_cell(entry);
    known_scheme(matrix, entry["scheme"]);
    if (matrix.cell(cell.scheme, cell.attack))
      throw Error(ErrorCode::BadData,
                  "matrix.cells: " + cell.attack + " on " + cell.scheme + " occurs twice");
    if (std::ranges::find(matrix.attacks, cell.attack) == matrix.attacks.end())
      matrix.attacks.push_back(cell.attack);
    matrix.cells.push_back(std::move(cell));
  }
  for (const auto& entry : root["baselines"].items_if())
    matrix.baselines.emplace_back(entry["name"].string(), read_shown(entry));
  const auto dataset = root["dataset"];
  matrix.plain_accuracy = dataset["plain_accuracy"].maybe(&JsonReader::share);
  if (const auto classes = dataset["classes"].maybe(&JsonReader::at_least_one))
    matrix.chance = 1 / static_cast<double>(*classes);
  return matrix;
}

std::string per_cent(double share) { return fixed(100 * share, 1) + " %"; }
std::string per_cent(std::optional<double> share) {
  return share ? per_cent(*share) : std::string(dash);
}

constexpr const char* kFlagMark = " (!)";

constexpr const char* kLevels[] = {"nothing recognisable", "leaks outlines", "leaks content",
                                   "broken"};

/// What one cell says about its scheme.
struct Finding {
  std::size_t level = 0;  ///< index into kLevels
  double exact = 0, ssim = 0, reidentified = 0;
  std::string what;
  const MatrixCell* cell = nullptr;

  auto strength() const { return std::tuple(level, exact, ssim, reidentified); }
};

Finding finding(const Matrix& matrix, const MatrixScheme& scheme, const MatrixCell& cell) {
  Finding f;
  f.cell = &cell;
  const auto reach = [&](bool reached, std::size_t level, const std::string& what) {
    if (!reached || level <= f.level) return;
    f.level = level;
    f.what = what;
  };
  f.reidentified = cell.reidentified.value_or(0);
  const std::string picked = "finds the plain picture of " + per_cent(f.reidentified) +
                             " of the protected pictures among " + grouped(cell.candidates) +
                             " candidates";
  const std::string median = "reaches a median SSIM of " + fixed(cell.ssim.median, 2);
  if (cell.picks) {
    f.what = picked;
  } else {
    f.exact = cell.exact;
    f.ssim = std::abs(cell.ssim.median);
    f.what = median;
    reach(f.exact >= 0.5, 3, "recovers " + per_cent(f.exact) + " of the pictures exactly");
    reach(f.ssim >= 0.9, 3, median);
    reach(f.ssim >= 0.5, 2, median);
    if (matrix.chance && cell.named) {
      const double plain = matrix.plain_accuracy.value_or(1), bound = (*matrix.chance + plain) / 2;
      const bool made_to_be_named = scheme.keyless && scheme.accuracy.value_or(0) > bound;
      reach(plain > *matrix.chance && *cell.named > bound && !made_to_be_named, 2,
            "gives pictures of which a classifier of plain pictures names " +
                per_cent(*cell.named) + " correctly (chance: " + per_cent(*matrix.chance) +
                (matrix.plain_accuracy ? ", plain pictures: " + per_cent(plain) : "") + ")");
    }
    reach(f.ssim >= 0.2, 1, median);
    const double worst = cell.ssim.p99 >= -cell.ssim.p01 ? cell.ssim.p99 : cell.ssim.p01;
    reach(std::abs(worst) >= 0.5, 1,
          "reaches an SSIM of " + fixed(worst, 2) + " on the worst hundredth of the pictures");
  }
  reach(f.reidentified >= 0.5 && cell.candidates >= 10, 2, picked);
  return f;
}

Verdict verdict_of(const Matrix& matrix, const MatrixScheme& scheme) {
  std::optional<Finding> worst, flagged;
  std::size_t trusted = 0;
  for (const auto& cell : matrix.cells) {
    if (cell.scheme != scheme.label || !cell.refused.empty()) continue;
    trusted += cell.trusted();
    auto& strongest = cell.trusted() ? worst : flagged;
    // Of equals the first: attackers are listed from the weakest on.
    const auto f = finding(matrix, scheme, cell);
    if (!strongest || f.strength() > strongest->strength()) strongest = f;
  }
  Verdict out;
  if (!worst) {
    out.level = "not judged";
    out.text = "Not judged: no attack on it gave a figure to be trusted.";
  } else {
    out.level = kLevels[worst->level];
    out.attack = worst->cell->attack;
    std::string what = out.attack + " " + worst->what;
    if (worst->level == 0) {
      out.text = "Nothing recognisable was recovered by these attacks. ";
      if (trusted > 1) what = "Of " + grouped(trusted) + ", " + what + ", the most";
    } else {
      out.text = out.level + ": ";
      out.text[0] = static_cast<char>(out.text[0] - 'a' + 'A');
    }
    out.text += what + ". " + worst->cell->attacker;
  }
  if (flagged && flagged->level > (worst ? worst->level : 0))
    out.text += " A flagged figure would say \"" + std::string(kLevels[flagged->level]) +
                "\": " + flagged->cell->attack + " " + flagged->what + " (" +
                joined(flagged->cell->flags) + ").";
  return out;
}

/// Why cells are flagged or refused: lines of "reason: attack on scheme, scheme; ...".
std::vector<std::string> reasons(const Matrix& matrix, bool refused) {
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>> by_reason;
  for (const auto& attack : matrix.attacks) {
    for (const auto& cell : matrix.cells) {
      if (cell.attack != attack) continue;
      for (const auto& reason :
           refused ? std::vector(cell.refused.empty() ? 0 : 1, cell.refused) : cell.flags) {
        auto group = std::ranges::find(by_reason, reason, [](const auto& g) { return g.first; });
        if (group == by_reason.end()) group = by_reason.insert(group, {reason, {}});
        auto& places = group->second;
        if (!places.empty() && places.back().first == attack) {
          places.back().second += ", " + cell.scheme;
        } else {
          places.emplace_back(attack, attack + " on " + cell.scheme);
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

std::string matrix_text(const MatrixCell* cell) {
  if (!cell) return "";
  if (!cell->refused.empty()) return std::string(dash);
  std::string out = fixed(cell->ssim.median, 2);
  if (cell->picks) {
    out = per_cent(cell->reidentified) + " picked";
  } else if (cell->exact > 0) {
    out += ", " + per_cent(cell->exact) + " exact";
  }
  return out + (cell->flags.empty() ? "" : kFlagMark);
}

std::vector<std::vector<std::string>> matrix_rows(const Matrix& matrix) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& scheme : matrix.schemes) {
    rows.push_back({scheme.label});
    for (const auto& attack : matrix.attacks)
      rows.back().push_back(matrix_text(matrix.cell(scheme.label, attack)));
  }
  return rows;
}

std::string matrix_legend(const Matrix& matrix) {
  std::string out =
      "Median SSIM of what each attack recovers: 1 is the plain picture, 0 is unrelated to it, "
      "below 0 inverted. Exact: share "
      "recovered bit for bit. Picked: share found among candidates that the attacker had.";
  for (const auto& [name, shown] : matrix.baselines)
    out += " Guessing the " + name + " gives " + fixed(shown.ssim.median, 2) + ".";
  return out + kFlagMark + " flagged: not to be trusted. " + std::string(dash) +
         " makes no sense on this scheme. Empty: not run.";
}

Markup opening_of(const JsonReader& root, const Matrix& matrix) {
  const auto dataset = root["dataset"];
  std::string what = "Pictures of the data set " + dataset["name"].string();
  const auto height = dataset["height"].maybe(&JsonReader::count),
             width = dataset["width"].maybe(&JsonReader::count),
             classes = dataset["classes"].maybe(&JsonReader::count);
  if (height && width)
    what += ", " + std::to_string(*width) + " x " + std::to_string(*height) + " pixels";
  if (classes) what += ", " + grouped(*classes) + " classes";
  what += matrix.one_scheme() ? ", were protected"
                              : ", were protected in " + grouped(matrix.schemes.size()) + " ways";
  what +=
      " so that a person should see nothing of them. Then " + grouped(matrix.attacks.size()) +
      (matrix.attacks.size() == 1 ? " attack" : " attacks") +
      " tried to get the plain pictures back from the protected ones. A verdict says what came of "
      "that. It speaks of these "
      "attacks and this budget only: that an attack failed does not mean that none can succeed.";
  return paragraph(what);
}

Markup verdict_section(const Matrix& matrix, const std::map<std::string, Verdict>& verdicts) {
  std::vector<Card> all;
  Table t;
  t.columns = {{"Scheme"}, {"Verdict and what decides it"}};
  for (const auto& scheme : matrix.schemes) {
    const auto& v = verdicts.at(scheme.label);
    all.push_back({scheme.label, v.level, v.attack.empty() ? "" : "decided by " + v.attack});
    t.rows.push_back({scheme.label, v.text});
  }
  // NOLINTBEGIN(bugprone-suspicious-missing-comma): sentences that take two lines
  const std::vector<std::string> rules = {
      "Broken: at least half of the pictures are recovered bit for bit, or the median SSIM is at "
      "least 0.9.",
      "Leaks content: the median SSIM is at least 0.5; or at least half of the pictures are found "
      "among 10 or more candidates; "
      "or a classifier of plain pictures names the reconstructions more often than half of the way "
      "from chance to what it "
      "reaches on plain pictures.",
      "Leaks outlines: the median SSIM is at least 0.2, or 0.5 on the worst hundredth of the "
      "pictures.",
      "Nothing recognisable: none of these.",
      "Not judged: every attack is refused or flagged.",
  };
  // NOLINTEND(bugprone-suspicious-missing-comma)
  return cards(all) + table(t) +
         details(
             "How a verdict is reached",
             paragraph("By the worst that some attack reaches whose figure is not flagged, or "
                       "flagged as under-trained only:") +
                 bullets(rules) +
                 paragraph(
                     "An inverted picture (SSIM below 0) shows as much as an upright one. An "
                     "attacker who picks among "
                     "candidates had the plain pictures before; what he picks counts as found, not "
                     "as recovered. "
                     "Named reconstructions do not count for a scheme without keys whose pictures "
                     "the service's "
                     "classifier names above that bound as they are: they are made to be named."));
}

Markup schemes_table(const Matrix& matrix) {
  Table t;
  t.caption =
      "Accuracy: of the service's classifier on protected pictures. The number of keys bounds a "
      "search through all of them; it "
      "says nothing about attacks that do not search.";
  t.columns = {{"Scheme"}, {"What it is"}, {"Keys"}, {"Key (bits)", true}, {"Accuracy", true}};
  for (const auto& s : matrix.schemes)
    t.rows.push_back({s.label, s.text, s.keys,
                      s.key_space_bits ? fixed(*s.key_space_bits, 0) : std::string(dash),
                      per_cent(s.accuracy)});
  return table(t);
}

Markup attackers_section(const JsonReader& root, const Matrix& matrix) {
  std::vector<std::pair<std::string, std::vector<std::string>>> attackers;
  Table methods;
  methods.caption = "What each attack does, in the order in which they stand in the tables.";
  methods.columns = {{"Attack"}, {"What it does"}};
  for (const auto& attack : matrix.attacks) {
    methods.rows.push_back(
        {attack, std::ranges::find(matrix.cells, attack, &MatrixCell::attack)->text});
    for (const auto& cell : matrix.cells) {
      if (cell.attack != attack || !cell.refused.empty()) continue;
      auto known =
          std::ranges::find(attackers, cell.attacker, [](const auto& a) { return a.first; });
      if (known == attackers.end()) known = attackers.insert(known, {cell.attacker, {}});
      if (std::ranges::find(known->second, attack) == known->second.end())
        known->second.push_back(attack);
    }
  }
  for (const auto& [name, shown] : matrix.baselines)
    methods.rows.push_back({"guess: " + name, shown.text});
  std::vector<std::string> lines;
  for (const auto& [words, attacks] : attackers)
    lines.push_back(words + " Attacks: " + joined(attacks) + ".");
  auto spent = root["budget"].rows();
  std::erase_if(spent, [](const auto& row) { return row[0] == "name"; });
  const std::string budget = "The attackers' budget is \"" + root["budget"]["name"].string() +
                             "\"" + (spent.empty() ? "" : ": " + listed(spent)) + ".";
  return paragraph(
             "Anyone who gets hold of protected pictures: the service, its staff, or whoever "
             "breaks in. What else an "
             "attacker knows and has decides what can be recovered, so every figure belongs to one "
             "of these attackers:") +
         bullets(lines) + paragraph(budget) + table(methods);
}

Markup matrix_section(const Matrix& matrix) {
  Table t;
  t.caption = matrix_legend(matrix);
  t.columns = {{"Attack"}};
  for (const auto& scheme : matrix.schemes) {
    t.columns.push_back({scheme.label});
    t.columns.back().whole_words = !matrix.one_scheme();
  }
  const auto by_scheme = matrix_rows(matrix);
  for (std::size_t i = 0; i < matrix.attacks.size(); ++i) {
    t.rows.push_back({matrix.attacks[i]});
    for (const auto& row : by_scheme) t.rows.back().push_back(row[i + 1]);
  }
  Markup out = table(t);
  const auto add = [&](const std::string& title, const std::vector<std::string>& lines) {
    if (!lines.empty()) out = out + details(title, bullets(lines));
  };
  add("Why figures are flagged (!)", reasons(matrix, false));
  add("Why attacks were not run (" + std::string(dash) + ")", reasons(matrix, true));
  return out;
}

std::vector<std::pair<std::string, std::string>> plots_of(const Matrix& matrix) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& scheme : matrix.schemes) {
    BoxPlot plot;
    plot.title = "What attacks recover from " + scheme.label;
    plot.y_label = "SSIM against the plain picture";
    plot.colour_names = {"attack", "attack, flagged" + std::string(kFlagMark)};
    for (const auto& cell : matrix.cells) {
      if (cell.scheme != scheme.label || cell.picks || cell.ssim_values.empty()) continue;
      BoxGroup group{cell.attack, cell.ssim_values, cell.flags.empty() ? 0u : 1u};
      // Names wrap at spaces only, and the long ones would run into each other.
      if (group.label.size() > 9) std::ranges::replace(group.label, '-', ' ');
      plot.groups.push_back(std::move(group));
    }
    if (plot.groups.empty()) continue;
    for (const auto& [name, shown] : matrix.baselines)
      plot.references.push_back({"guess: " + name, shown.ssim.median});
    out.emplace_back(scheme.label, box_plot(plot));
  }
  return out;
}

void check_cell_pictures(const CellPictures& p) {
  const auto name = "pictures of " + p.attack + " on " + p.scheme + ": ";
  const auto n = p.plain.size();
  if (p.protected_pictures.size() != n || p.recovered.size() != n || p.labels.size() != n)
    throw Error(ErrorCode::InvalidArgument,
                name + std::to_string(n) + " plain, " +
                    std::to_string(p.protected_pictures.size()) + " protected, " +
                    std::to_string(p.recovered.size()) + " recovered, " +
                    std::to_string(p.labels.size()) + " labels; allowed are equal numbers");
  for (std::size_t k = 0; k < n; ++k) {
    for (const auto* other : {&p.protected_pictures[k], &p.recovered[k]}) {
      if (other->height != p.plain[k].height || other->width != p.plain[k].width)
        throw Error(ErrorCode::InvalidArgument,
                    name + "plain picture " + std::to_string(k) + " is " +
                        std::to_string(p.plain[k].width) + " x " +
                        std::to_string(p.plain[k].height) + " and its counterpart " +
                        std::to_string(other->width) + " x " + std::to_string(other->height));
    }
  }
}

std::string similarity_caption(const image::Image& plain, const image::Image& other) {
  return plain.rgb == other.rgb
             ? "exact"
             : fixed(image::ssim(plain.rgb, other.rgb, plain.height, plain.width), 2);
}

/// Columns are pictures, as many as the page is wide, then the next block.
Markup cell_grid(const CellPictures& p) {
  constexpr std::size_t kColumns = 8;
  Markup out;
  for (std::size_t first = 0; first < p.plain.size(); first += kColumns) {
    PictureGrid grid;
    grid.row_headers = {"plain", "protected", "recovered"};
    grid.rows.resize(3);
    for (std::size_t k = first; k < std::min(first + kColumns, p.plain.size()); ++k) {
      grid.column_headers.push_back(p.labels[k]);
      grid.rows[0].push_back({p.plain[k], ""});
      grid.rows[1].push_back(
          {p.protected_pictures[k], similarity_caption(p.plain[k], p.protected_pictures[k])});
      grid.rows[2].push_back({p.recovered[k], similarity_caption(p.plain[k], p.recovered[k])});
    }
    out = out + picture_grid(grid);
  }
  return out;
}

/// Empty without pictures. Open is what decides the verdict.
Markup pictures_section(const Matrix& matrix, const std::map<std::string, Verdict>& verdicts,
                        std::span<const CellPictures> pictures) {
  for (const auto& p : pictures) {
    check_cell_pictures(p);
    if (!matrix.cell(p.scheme, p.attack))
      throw Error(ErrorCode::InvalidArgument, "pictures of " + p.attack + " on " + p.scheme +
                                                  ", which the matrix has no cell of");
  }
  Markup out;
  for (const auto& scheme : matrix.schemes) {
    Markup folds;
    for (const auto& p : pictures) {
      const auto* cell = matrix.cell(p.scheme, p.attack);
      if (p.scheme != scheme.label || !cell->refused.empty() || p.plain.empty()) continue;
      folds =
          folds + details(p.attack + ": " + matrix_text(cell), paragraph(cell->text) + cell_grid(p),
                          p.attack == verdicts.at(scheme.label).attack);
    }
    if (!folds.html.empty()) out = out + heading(3, scheme.label) + folds;
  }
  return out;
}

struct Measure {
  const char* name;
  int decimals;
  bool low_is_worst;
  std::optional<Summary> (*of)(const Shown&);
};

constexpr Measure kMeasures[] = {
    {"PSNR (dB)", 2, false, [](const Shown& s) { return std::optional(s.psnr_db); }},
    {"SSIM, 7 x 7", 3, false, [](const Shown& s) { return std::optional(s.ssim); }},
    {"SSIM, Gaussian", 3, false, [](const Shown& s) { return s.ssim_gaussian; }},
    {"MS-SSIM", 3, false, [](const Shown& s) { return s.ms_ssim; }},
    {"Feature distance", 3, true, [](const Shown& s) { return s.feature_distance; }},
};

Markup figures_table(const Matrix& matrix, const MatrixScheme& scheme) {
  Table t;
  t.caption = "All figures for " + scheme.label +
              ". Means are over finite values: the PSNR of a picture recovered exactly is "
              "infinite. Worst 1 %: the value that "
              "only a hundredth of the pictures pass towards the plain picture.";
  t.column_groups = {{"", 2}};
  t.columns = {{"Attack"}, {"n", true}};
  for (const auto& measure : kMeasures) {
    t.column_groups.emplace_back(measure.name, 3);
    for (const char* header : {"mean", "median", "worst 1 %"})
      t.columns.push_back({header, true, header[0] == 'w'});
  }
  t.column_groups.emplace_back("Share of pictures", 3);
  for (const char* header : {"exact", "re-identified", "named"})
    t.columns.push_back({header, true});
  Table spent;
  spent.columns = {{"Attack"}, {"Spent"}};
  const auto add = [&](std::vector<std::string> row, const Shown& shown,
                       const std::vector<std::string>& end) {
    for (const auto& measure : kMeasures) {
      const auto s = measure.of(shown);
      for (const auto value :
           {&Summary::mean, &Summary::median, measure.low_is_worst ? &Summary::p01 : &Summary::p99})
        row.push_back(s ? fixed((*s).*value, measure.decimals) : std::string(dash));
    }
    row.insert(row.end(), end.begin(), end.end());
    t.rows.push_back(std::move(row));
  };
  for (const auto& cell : matrix.cells) {
    if (cell.scheme != scheme.label || !cell.refused.empty()) continue;
    const std::string of = cell.reidentified ? " of " + grouped(cell.candidates) : "";
    add({cell.attack + (cell.flags.empty() ? "" : kFlagMark), grouped(cell.n)}, cell,
        {per_cent(cell.exact), per_cent(cell.reidentified) + of, per_cent(cell.named)});
    spent.rows.push_back({cell.attack, cell.budget});
  }
  const std::string none(dash);
  for (const auto& [name, shown] : matrix.baselines)
    add({"guess: " + name, grouped(shown.ssim.n)}, shown, {none, none, none});
  return table(t) + (spent.rows.empty() ? Markup{} : table(spent));
}

Markup figures_section(const Matrix& matrix) {
  Markup out = paragraph(
      "PSNR measures the pixel-wise difference in dB: 50 looks identical, 10 shares little more "
      "than brightness. SSIM and "
      "MS-SSIM compare local structure: 1 is the same picture. Feature distance compares what a "
      "network sees: 0 is the same "
      "picture. Re-identified: the plain picture was picked out of so many candidates. Named: a "
      "classifier trained on plain "
      "pictures names the reconstruction correctly.");
  for (const auto& scheme : matrix.schemes)
    out = out + details(scheme.label, figures_table(matrix, scheme));
  return out;
}

Markup transport_table(const JsonReader& root, const Matrix& matrix) {
  Table t;
  t.caption =
      "What is left after pictures were compressed or resized on their way: accuracy of the "
      "service's classifier, and what the "
      "strongest attack still recovers.";
  t.columns = {{"Scheme"},
               {"Transport"},
               {"Accuracy", true},
               {"PSNR, mean (dB)", true},
               {"SSIM, median", true},
               {"Remark"}};
  for (const auto& entry : root["transport"].items_if()) {
    const auto psnr = entry["psnr_db"].maybe(&JsonReader::summary),
               ssim = entry["ssim"].maybe(&JsonReader::ssim);
    t.rows.push_back({known_scheme(matrix, entry["scheme"]), entry["transport"].string(),
                      per_cent(entry["accuracy"].maybe(&JsonReader::share)),
                      psnr ? fixed(psnr->mean, 2) : std::string(dash),
                      ssim ? fixed(ssim->median, 3) : std::string(dash),
                      entry["text"].maybe(&JsonReader::string).value_or("")});
  }
  return t.rows.empty() ? Markup{} : table(t);
}

Markup attributes_table(const JsonReader& root, const Matrix& matrix) {
  Table t;
  t.caption =
      "What a classifier reads off protected pictures that the service does not need, against "
      "chance. No picture is recovered "
      "for this.";
  t.columns = {{"Scheme"}, {"Attribute"}, {"Named correctly", true, true}, {"Chance", true}};
  for (const auto& entry : root["attributes"].items_if())
    t.rows.push_back({known_scheme(matrix, entry["scheme"]), entry["attribute"].string(),
                      per_cent(entry["accuracy"].share()), per_cent(entry["chance"].share())});
  return t.rows.empty() ? Markup{} : table(t);
}

Markup curve_figure(const JsonReader& root, const Matrix& matrix) {
  std::map<std::string, std::pair<LineChart, LineChart>> by_budget;
  for (const auto& entry : root["curve"].items_if()) {
    const std::string label =
        known_scheme(matrix, entry["scheme"]) + ", " + entry["attack"].string();
    Series ssim{label, {}}, psnr{label, {}};
    for (const auto& point : entry["points"].some_items()) {
      ssim.points.emplace_back(point["budget"].positive(), point["ssim"].number());
      psnr.points.emplace_back(point["budget"].positive(), point["psnr_db"].number());
    }
    auto& [ssim_chart, psnr_chart] = by_budget[entry["budget_name"].string()];
    ssim_chart.series.push_back(std::move(ssim));
    psnr_chart.series.push_back(std::move(psnr));
  }
  std::vector<std::string> charts;
  for (auto& [budget, pair] : by_budget) {
    pair.first.title = "Structure recovered";
    pair.first.y_label = "SSIM";
    pair.second.title = "Pixels recovered";
    pair.second.y_label = "PSNR (dB)";
    for (auto* chart : {&pair.first, &pair.second}) {
      chart->x_label = budget;
      chart->x_scale = XScale::Logarithmic;
      charts.push_back(line_chart(*chart));
    }
  }
  return charts.empty() ? Markup{}
                        : figure(charts,
                                 "What more of the attacker's budget brings. A line that still "
                                 "rises at its right end "
                                 "says that a larger budget would recover more.");
}

Markup provenance_table(const JsonReader& root) {
  Table t;
  t.columns = {{"What"}, {"Value"}};
  const auto dataset = root["dataset"];
  t.rows.push_back({"data set", dataset["name"].string()});
  if (const auto hash = dataset["hash"].maybe(&JsonReader::string))
    t.rows.push_back({"data set hash", *hash});
  for (const auto& [key, what] :
       {std::pair("train", "training pictures"), {"test", "test pictures"}})
    if (const auto count = dataset[key].maybe(&JsonReader::count))
      t.rows.push_back({what, grouped(*count)});
  if (const auto plain = dataset["plain_accuracy"].maybe(&JsonReader::share))
    t.rows.push_back({"accuracy on plain pictures", per_cent(plain)});
  for (auto& row : root["provenance"].rows()) t.rows.push_back(std::move(row));
  return table(t);
}

/// In a cell of a Markdown table, or a line below it.
std::string markdown(const std::string& words) {
  std::string out;
  for (const char c : words) {
    if (c == '|' || c == '\\') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

/// Labels become folders, and must not lead out of theirs.
std::filesystem::path cell_pictures_folder(const std::filesystem::path& folder,
                                           const std::string& scheme, const std::string& attack) {
  for (const auto& name : {scheme, attack})
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      throw Error(ErrorCode::InvalidArgument,
                  "pictures of '" + attack + "' on '" + scheme +
                      "': allowed are names that can be names of a folder");
  return folder / scheme / attack;
}

std::filesystem::path numbered(const std::filesystem::path& folder, const std::string& kind,
                               std::size_t k) {
  return folder / (kind + "-" + std::to_string(k) + ".png");
}

}  // namespace

Verdict verdict(const json& matrix_json, const std::string& label) {
  const auto matrix = read_matrix({&matrix_json, "matrix"});
  if (const auto* scheme = matrix.scheme(label)) return verdict_of(matrix, *scheme);
  std::vector<std::string> labels;
  for (const auto& scheme : matrix.schemes) labels.push_back(scheme.label);
  throw Error(ErrorCode::InvalidArgument,
              "verdict: there is no scheme '" + label + "'; allowed: " + joined(labels));
}

std::string render_attack_report(const json& matrix_json, std::span<const CellPictures> pictures) {
  const JsonReader root(&matrix_json, "matrix");
  Page page(
      root["title"].string(),
      "Protected pictures under attack: what was recovered, by whom, and what was not tried.");
  root["baselines"].items();
  const auto matrix = read_matrix(root);
  std::map<std::string, Verdict> verdicts;
  for (const auto& scheme : matrix.schemes) verdicts[scheme.label] = verdict_of(matrix, scheme);

  page.section("Verdict");
  page.add(opening_of(root, matrix) + verdict_section(matrix, verdicts));
  page.section("What was protected");
  page.add(schemes_table(matrix));
  page.section("Who the attackers are");
  page.add(attackers_section(root, matrix));
  page.section("What leaked");
  page.add(matrix_section(matrix));
  if (const auto plots = plots_of(matrix); !plots.empty()) {
    std::vector<std::string> svgs;
    for (const auto& plot : plots) svgs.push_back(plot.second);
    const auto charts = figure(svgs,
                               "All attacked pictures. Box: quartiles; line: median; diamond: "
                               "mean; whiskers: outermost value within 1.5 times "
                               "the box's height; dots: pictures beyond (thinned). Dashed: the "
                               "median of a guess that does not look at the "
                               "protected picture. More is seen where SSIM is farther from 0.");
    page.add(matrix.one_scheme()
                 ? charts
                 : details("How SSIM spreads over the pictures, scheme by scheme", charts));
  }
  if (const auto shown = pictures_section(matrix, verdicts, pictures); !shown.html.empty()) {
    page.section("The worst cases");
    page.add(paragraph("The pictures of which each attack recovered most. Under each picture its "
                       "SSIM with the plain one above "
                       "it; these are not typical, see the median.") +
             shown);
  }
  const auto extra = [&](const char* title, const Markup& content) {
    if (content.html.empty()) return;
    page.section(title);
    page.add(content);
  };
  page.section("All figures");
  page.add(figures_section(matrix));
  extra("After transport", transport_table(root, matrix));
  extra("What can be read without a picture", attributes_table(root, matrix));
  extra("What a larger budget brings", curve_figure(root, matrix));
  page.section("What is not covered");
  root["not_covered"].some_items();
  page.add(bullets(root["not_covered"].strings()));
  page.section("How to run it again");
  std::string lines;
  for (const auto& command : root["commands"].strings()) lines += command + "\n";
  page.add(lines.empty() ? paragraph("No command was recorded.") : preformatted(lines));
  page.footer(strong("Provenance") + provenance_table(root));
  return page.str();
}

std::string attack_matrix_markdown(const json& matrix_json) {
  const auto matrix = read_matrix({&matrix_json, "matrix"});
  std::vector<std::string> header{"scheme"};
  header.insert(header.end(), matrix.attacks.begin(), matrix.attacks.end());
  auto rows = matrix_rows(matrix);
  rows.insert(rows.begin(), {header, std::vector<std::string>(header.size(), "---")});
  std::string out;
  for (const auto& row : rows) {
    for (const auto& cell : row) out += "| " + markdown(cell) + " ";
    out += "|\n";
  }
  out += "\n" + markdown(matrix_legend(matrix)) + "\n";
  const auto flags = reasons(matrix, false);
  if (!flags.empty()) out += "\n";
  for (const auto& flag : flags) out += "-" + std::string(kFlagMark) + " " + markdown(flag) + "\n";
  return out;
}

std::vector<std::pair<std::string, std::string>> attack_box_plots(const json& matrix_json) {
  return plots_of(read_matrix({&matrix_json, "matrix"}));
}

void write_cell_pictures(const std::filesystem::path& root, const CellPictures& p,
                         Overwrite overwrite) {
  check_cell_pictures(p);
  const auto folder = cell_pictures_folder(root, p.scheme, p.attack);
  for (std::size_t k = 0; k < p.plain.size(); ++k) {
    image::write_png(numbered(folder, "plain", k), p.plain[k], overwrite);
    image::write_png(numbered(folder, "protected", k), p.protected_pictures[k], overwrite);
    image::write_png(numbered(folder, "recovered", k), p.recovered[k], overwrite);
  }
  // Written last: its count is what read_cell_pictures goes by.
  write_file(folder / "labels.json", json(p.labels).dump(2) + "\n", overwrite);
}

CellPictures read_cell_pictures(const std::filesystem::path& root, const std::string& scheme,
                                const std::string& attack) {
  const auto folder = cell_pictures_folder(root, scheme, attack);
  const auto labels = read_json(folder / "labels.json");
  CellPictures p{scheme, attack, {},
                 {},     {},     JsonReader(&labels, (folder / "labels.json").string()).strings()};
  for (std::size_t k = 0; k < p.labels.size(); ++k) {
    p.plain.push_back(image::read_image(numbered(folder, "plain", k)));
    p.protected_pictures.push_back(image::read_image(numbered(folder, "protected", k)));
    p.recovered.push_back(image::read_image(numbered(folder, "recovered", k)));
  }
  check_cell_pictures(p);
  return p;
}

}  // namespace veilnet::eval
