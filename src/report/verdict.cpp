#include "report/verdict.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "core/error.h"
#include "report/text.h"

namespace veilnet::report {
namespace {

using record::Cell;
using record::Matrix;
using record::Protection;

using Words = std::pair<std::string_view, std::string_view>;
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

std::string_view in_words(const char* what, const std::string& name, std::span<const Words> words) {
  std::string allowed;
  for (const auto& [known, meaning] : words) {
    if (name == known) return meaning;
    allowed += (allowed.empty() ? "" : ", ") + std::string(known);
  }
  fail(ErrorCode::BadData, "threat_model.{} is \"{}\"; allowed: {}", what, name, allowed);
}

constexpr Question kQuestions[] = {
    {"Can a person see it?", &Verdict::seen,
     "The protected picture as it is, and blurred. Yes: its median SSIM with the plain one is at "
     "least 0.5. Outlines: at least 0.2, or 0.5 for the worst hundredth of the pictures. No: "
     "neither."},
    {"Can it be rebuilt?", &Verdict::rebuilt,
     "By the strongest attack that recovers pictures. Yes: at least half of the pictures bit for "
     "bit, or a median SSIM of at least 0.9. Content: a median SSIM of at least 0.5, or a "
     "classifier of plain pictures names the results more often than half of the way from chance "
     "to what it reaches on plain pictures. Outlines: as above. Not by these attacks: none of "
     "these. Flagged figures do not count, but those that are flagged as under-trained only: they "
     "are lower bounds. Bounded: none of these, and no attack whatever comes closer on the mean "
     "than "
     "half a decibel beyond the mean picture of the true class."},
    {"Can it be recognised among candidates?", &Verdict::recognised,
     "By an attacker who has a set of 10 or more plain pictures, the right one among them; where "
     "there is a bound, by any that there can be. Yes: for at least half of the pictures. "
     "Sometimes: for a hundredth of them and ten times as often as by guessing. Hardly: less."},
    {"What can be inferred?", &Verdict::inferred,
     "By a classifier that reads from protected pictures what the service does not need. Much: it "
     "errs at most half as often as guessing. Some: at most nine tenths as often. Nothing "
     "measured: more."},
};

std::string per_cent(double share) { return fixed(100 * share, 1) + " %"; }

/// What one attack shows of the pictures.
struct Finding {
  int level = 0;  ///< 0 nothing, 1 outlines, 2 content, 3 all of it
  double exact = 0, ssim = 0;
  std::string what;
  const Cell* cell = nullptr;

  auto strength() const { return std::tuple(level, exact, ssim); }
};

// Half of the way from chance to what a classifier reaches on plain pictures.
double often_named(const Matrix& matrix) {
  const double chance = matrix.data.classes > 0 ? 1 / static_cast<double>(matrix.data.classes) : 0;
  return (chance + matrix.data.plain_accuracy.value_or(1)) / 2;
}

Finding finding(const Matrix& matrix, const Protection& protection, const Cell& cell) {
  Finding f;
  f.cell = &cell;
  const auto reach = [&](bool reached, int level, const std::string& what) {
    if (!reached || level <= f.level) return;
    f.level = level;
    f.what = what;
  };
  const auto& ssim = *record::distribution(cell.measures, "ssim");
  const auto median = "reaches a median SSIM of " + fixed(ssim.median, 2);
  f.what = median;
  f.exact = record::share(cell.measures, "exact").value_or(0);
  f.ssim = std::abs(ssim.median);
  reach(f.exact >= 0.5, 3, "recovers " + per_cent(f.exact) + " of the pictures exactly");
  reach(f.ssim >= 0.9, 3, median);
  reach(f.ssim >= 0.5, 2, median);
  if (const auto named = record::share(cell.measures, "named"); named && matrix.data.classes > 0) {
    const double chance = 1 / static_cast<double>(matrix.data.classes),
                 plain = matrix.data.plain_accuracy.value_or(1);
    reach(plain > chance && *named > often_named(matrix) && !made_to_be_named(matrix, protection),
          2,
          "gives pictures of which a classifier of plain pictures names " + per_cent(*named) +
              " correctly (chance: " + per_cent(chance) +
              (matrix.data.plain_accuracy ? ", plain pictures: " + per_cent(plain) : "") + ")");
  }
  reach(f.ssim >= 0.2, 1, median);
  const double worst = record::worst_hundredth(record::measure("ssim"), ssim);
  reach(std::abs(worst) >= 0.5, 1,
        "reaches an SSIM of " + fixed(worst, 2) + " on the worst hundredth of the pictures");
  return f;
}

/// The strongest of the cells that `counts` lets through; of equals the first, as attackers are
/// listed from the weakest on.
template <class Counts>
std::optional<Finding> strongest(const Matrix& matrix, const Protection& protection,
                                 Counts counts) {
  std::optional<Finding> best;
  for (const auto& cell : matrix.cells) {
    if (cell.protection != protection.label || !cell.refused.empty() || !counts(cell)) continue;
    auto f = finding(matrix, protection, cell);
    if (!best || f.strength() > best->strength()) best = std::move(f);
  }
  return best;
}

Answer seen(const Matrix& matrix, const Protection& protection) {
  const auto best = strongest(matrix, protection, [](const Cell& c) { return c.looks(); });
  if (!best) return {"Not measured", Severity::Unknown, "Nobody looked at it.", ""};
  constexpr std::pair<const char*, Severity> kLevels[] = {{"No", Severity::None},
                                                          {"Outlines", Severity::Some},
                                                          {"Yes", Severity::All},
                                                          {"Yes", Severity::All}};
  const auto& [level, severity] = kLevels[best->level];
  return {level, severity,
          "The protected picture " +
              std::string(best->cell->attack == "look" ? "as it is" : "blurred") + " " +
              best->what + ".",
          best->cell->attack};
}

Answer rebuilt(const Matrix& matrix, const Protection& protection) {
  const auto recovers = [](const Cell& c) { return !c.looks() && !c.picks(); };
  const auto best =
      strongest(matrix, protection, [&](const Cell& c) { return recovers(c) && c.trusted(); });
  const auto flagged =
      strongest(matrix, protection, [&](const Cell& c) { return recovers(c) && !c.trusted(); });
  constexpr std::pair<const char*, Severity> kLevels[] = {{"Not by these attacks", Severity::None},
                                                          {"Outlines", Severity::Some},
                                                          {"Content", Severity::Most},
                                                          {"Yes", Severity::All}};
  Answer out{"Not judged", Severity::Unknown, "No attack on it gave a figure to be trusted.", ""};
  if (best) {
    out.level = kLevels[best->level].first;
    out.severity = kLevels[best->level].second;
    out.attack = best->cell->attack;
    out.text = out.attack + " " + best->what + (best->level == 0 ? ", the most of these" : "") +
               ". " + attacker(best->cell->threat_model);
    if (std::ranges::find(best->cell->flags, record::kUnderTrained, &record::Flag::id) !=
        best->cell->flags.end())
      out.text += " More training would recover more.";
  }
  if (const auto* bound = standing_bound(matrix, protection)) {
    constexpr double kBeyondClass = 0.5;
    if ((!best || best->level == 0) &&
        bound->psnr_high_db <= bound->class_mean_psnr_db + kBeyondClass) {
      out.level = "Bounded";
      out.severity = Severity::None;
    }
    out.text += " Whatever the attack, its mean squared error is not below that of " +
                fixed(bound->psnr_db, 2) + " dB (95 % interval " + fixed(bound->psnr_low_db, 2) +
                " to " + fixed(bound->psnr_high_db, 2) +
                "; the mean picture of the true class: " + fixed(bound->class_mean_psnr_db, 2) +
                " dB, of all: " + fixed(bound->mean_psnr_db, 2) + " dB).";
  }
  if (flagged && flagged->level > (best ? best->level : 0)) {
    std::string why;
    for (const auto& flag : flagged->cell->flags) why += (why.empty() ? "" : ", ") + flag.text;
    out.text += " A flagged figure would say \"" + std::string(kLevels[flagged->level].first) +
                "\": " + flagged->cell->attack + " " + flagged->what + " (" + why + ").";
  }
  return out;
}

/// How often the right one of so many candidates is picked, in words: 0 hardly, 1 sometimes, 2 yes.
int picked_level(double share, double candidates) {
  if (share >= 0.5) return 2;
  return share >= std::max(0.01, 10 / candidates) ? 1 : 0;
}

Answer recognised(const Matrix& matrix, const Protection& protection) {
  const auto* bound = standing_bound(matrix, protection);
  const bool public_network = protection.keys == "none" && !protection.architecture.empty();
  const bool nobody_picked = std::ranges::none_of(
      matrix.cells, [&](const Cell& c) { return c.protection == protection.label && c.picks(); });
  if (!protection.bound && public_network && nobody_picked)
    return {"Yes", Severity::All,
            "This network is public and has neither key nor chance: whoever has it and the "
            "candidates protects each of them and compares. Nobody was asked to (retrieval).",
            ""};
  const Cell* best = nullptr;
  std::optional<double> limit;
  std::pair<int, double> most{-1,
                              -1};  // level, share: by a cell or by any attack that there can be
  for (const auto& cell : matrix.cells) {
    const auto share = record::share(cell.measures, "reidentified");
    if (cell.protection != protection.label || !share || cell.candidates < kFewestCandidates)
      continue;
    const auto at_most =
        bound ? record::reidentified_at_most(*bound, cell.candidates) : std::nullopt;
    const double reached = std::max(*share, at_most.value_or(0));
    const std::pair found(picked_level(reached, static_cast<double>(cell.candidates)), reached);
    if (best && found <= most) continue;
    best = &cell;
    limit = at_most;
    most = found;
  }
  if (!best) return {"Not measured", Severity::Unknown, "Nobody had candidates.", ""};
  constexpr const char* kLevels[] = {"Hardly", "Sometimes", "Yes"};
  constexpr Severity kSeverities[] = {Severity::None, Severity::Some, Severity::Most};
  const auto [level, share] = most;
  Answer out{kLevels[level], share >= 0.99 ? Severity::All : kSeverities[level],
             best->attack + " picks the plain picture of " +
                 per_cent(*record::share(best->measures, "reidentified")) + " of them among " +
                 grouped(best->candidates) +
                 " candidates (guessing: " + fixed(100 / static_cast<double>(best->candidates), 2) +
                 " %). " + attacker(best->threat_model),
             best->attack};
  if (limit)
    out.text += " On the mean over sets of candidates drawn at random no attack picks more than " +
                per_cent(*limit) + ".";
  return out;
}

Answer inferred(const Matrix& matrix, const Protection& protection) {
  double most = -1;
  std::string list;
  const record::Attribute* best = nullptr;
  for (const auto& a : matrix.attributes) {
    if (a.protection != protection.label) continue;
    list += (list.empty() ? "" : ", ") + a.attribute + " " + per_cent(a.accuracy) +
            " (guessing: " + per_cent(a.chance) + ")";
    const double gain = a.chance < 1 ? (a.accuracy - a.chance) / (1 - a.chance) : 0;
    if (best && gain <= most) continue;
    best = &a;
    most = gain;
  }
  if (!best) return {"Not measured", Severity::Unknown, "No attribute was read.", ""};
  Answer out{"Nothing measured", Severity::None, "", "reading " + best->attribute};
  if (most >= 0.1) {
    out.level = "Some";
    out.severity = Severity::Some;
  }
  if (most >= 0.5) {
    out.level = "Much";
    out.severity = Severity::Most;
  }
  out.text = "A classifier reads " + list + ". " + attacker(best->threat_model);
  if (protection.bound) out.text += " No bound speaks of attributes.";
  return out;
}

}  // namespace

std::span<const Question> questions() { return kQuestions; }

bool made_to_be_named(const Matrix& matrix, const Protection& protection) {
  return !protection.architecture.empty() && protection.keys == "none" &&
         protection.accuracy.value_or(0) > often_named(matrix);
}

const record::Bound* standing_bound(const Matrix& matrix, const Protection& protection) {
  const auto refutes = [&](const Cell& c) {
    return c.protection == protection.label &&
           std::ranges::find(c.flags, record::kBeatsBound, &record::Flag::id) != c.flags.end();
  };
  return protection.bound && std::ranges::none_of(matrix.cells, refutes) ? &*protection.bound
                                                                         : nullptr;
}

std::string attacker(const record::ThreatModel& m, bool with_keys) {
  const auto keys = with_keys ? " " + std::string(in_words("keys", m.keys, kKeyWords)) + "." : "";
  return "The attacker " + std::string(in_words("method", m.method, kMethodWords)) + ", " +
         std::string(in_words("access", m.access, kAccessWords)) + ", and " +
         std::string(in_words("auxiliary", m.auxiliary, kAuxiliaryWords)) + "." + keys;
}

Verdict verdict(const Matrix& matrix, const std::string& label) {
  if (const auto* p = matrix.protection(label))
    return {seen(matrix, *p), rebuilt(matrix, *p), recognised(matrix, *p), inferred(matrix, *p)};
  std::string labels;
  for (const auto& p : matrix.protections) labels += (labels.empty() ? "" : ", ") + p.label;
  fail(ErrorCode::InvalidArgument, "verdict: there is no protection '{}'; allowed: {}", label,
       labels);
}

std::string to_text(const Verdict& v) {
  std::string out;
  for (const auto& q : kQuestions) {
    const auto& answer = v.*q.answer;
    out += std::string(q.text) + " " + answer.level + ". " + answer.text + "\n";
  }
  return out;
}

}  // namespace veilnet::report
