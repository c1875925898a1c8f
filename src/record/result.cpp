#include "record/result.h"

#include <fmt/format.h>

#include "core/error.h"

namespace veilnet::record {
namespace {

Metric metric(const Summary& s) { return {s.mean, s.standard_deviation, std::nullopt, s.n}; }

// Values of single pictures stay in the run folder.
void drop_values(Matrix& matrix) {
  for (auto& cell : matrix.cells) cell.values.clear();
}

double required(const std::optional<double>& value, const Protection& p, const char* key) {
  if (!value) fail(ErrorCode::BadData, "{}: {} is missing", p.label, key);
  return *value;
}

// The pictures as they leave the client.
const Cell* seen(const Matrix& m) { return m.cell(m.protections.front().label, "look"); }

const Summary& required(const Cell& cell, const char* id) {
  const auto* s = distribution(cell.measures, id);
  if (!s)
    fail(ErrorCode::BadData, "{} on {}: measures.{} is missing", cell.attack, cell.protection, id);
  return *s;
}

}  // namespace

Result experiment_result(std::string experiment, Matrix matrix) {
  check(matrix);
  drop_values(matrix);
  const auto& h = matrix.protections.front();
  const auto* look = seen(matrix);
  if (!look) fail(ErrorCode::BadData, "{}: the cell of look is missing", h.label);
  const double plain = required(h.plain_accuracy, h, "plain_accuracy"),
               on_png = required(h.accuracy, h, "accuracy"),
               on_float = h.accuracy_float.value_or(on_png);  // none where chance decides
  std::map<std::string, Metric> metrics{
      {"plain_accuracy", {plain}},
      {"protected_accuracy", {on_float}},
      {"protected_accuracy_png8", {on_png}},
      {"accuracy_gap_points", {100 * (plain - on_float)}},
      {"ssim_plain_protected_mean", metric(required(*look, "ssim"))},
      {"ssim_plain_protected_p99", {required(*look, "ssim").p99}},
      {"psnr_plain_protected_db_mean", metric(required(*look, "psnr_db"))}};
  if (h.paper) metrics["protected_accuracy"].paper = h.paper->accuracy;
  if (matrix.plain_paper) metrics["plain_accuracy"].paper = matrix.plain_paper->accuracy;
  if (const auto* itn = matrix.cell(h.label, "itn"); itn && itn->refused.empty()) {
    metrics["itn_images"] = {static_cast<double>(itn->n)};
    for (const char* id : {"psnr_db", "ssim"}) {
      const auto& s = required(*itn, id);
      const auto name = "itn_" + std::string(id);
      metrics[name + "_mean"] = metric(s);
      metrics[name + "_median"] = {s.median};
      metrics[name + "_p99"] = {s.p99};
    }
    if (const auto named = share(itn->measures, "named"))
      metrics["itn_reconstruction_accuracy"] = {*named};
    for (const auto& b : matrix.baselines)
      if (const auto* s = distribution(b.measures, "psnr_db"); s && b.name == "mean picture")
        metrics["mean_image_psnr_db"] = {s->mean};
  }
  return {std::move(experiment), std::move(metrics), std::move(matrix)};
}

Result row_result(std::string experiment, Matrix matrix) {
  check(matrix);
  drop_values(matrix);
  const auto& p = matrix.protections.front();
  std::map<std::string, Metric> metrics;
  metrics["accuracy"] = {required(p.accuracy, p, "accuracy")};
  if (p.paper) metrics["accuracy"].paper = p.paper->accuracy;
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) metrics[name] = {*value};
  };
  add("accuracy_float", p.accuracy_float);
  add("plain_accuracy", p.plain_accuracy);
  add("key_space_bits", p.key_space_bits);
  if (const auto* look = seen(matrix)) {
    metrics["ssim_mean"] = metric(required(*look, "ssim"));
    metrics["psnr_db_mean"] = metric(required(*look, "psnr_db"));
  }
  return {std::move(experiment), std::move(metrics), std::move(matrix)};
}

Result attacks_result(std::string experiment, Matrix matrix) {
  check(matrix);
  drop_values(matrix);
  std::map<std::string, Metric> metrics;
  double attacked = 0, flagged = 0;
  for (const auto& cell : matrix.cells) {
    attacked += cell.refused.empty();
    flagged += !cell.flags.empty();
  }
  metrics["cells"] = {attacked};
  metrics["flagged_cells"] = {flagged};
  const auto exact = [&](const char* attack, const char* label) -> std::optional<double> {
    const auto* cell = matrix.cell(label, attack);
    return cell ? share(cell->measures, "exact") : std::nullopt;
  };
  constexpr struct {
    const char *metric, *attack, *label;
  } kExact[] = {{"chosen_plaintext_le_exact", "chosen-plaintext", "le"},
                {"chosen_plaintext_ele_exact", "chosen-plaintext", "ele"},
                {"chosen_plaintext_pe_exact", "chosen-plaintext", "pe-same"},
                {"known_plaintext_le_exact", "known-plaintext", "le"},
                {"known_plaintext_pe_exact", "known-plaintext", "pe-same"}};
  for (const auto& e : kExact)
    if (const auto s = exact(e.attack, e.label)) metrics[e.metric] = {*s};
  if (const auto s = exact("chosen-plaintext", "pe-same"))
    metrics["canary_broken"] = {*s == 1 ? 1.0 : 0.0};
  return {std::move(experiment), std::move(metrics), std::move(matrix)};
}

Result defences_result(std::string experiment, Matrix matrix) {
  check(matrix);
  std::map<std::string, Metric> metrics;
  const auto put = [&](const std::string& name, const std::optional<double>& value) {
    if (value) metrics[name] = {*value};
  };
  const auto strongest = [&](const Protection& p, auto&& reached) -> std::optional<double> {
    const auto of = [&](const Cell& cell) -> std::optional<Reached> {
      if (cell.looks() || cell.picks() || !cell.trusted()) return std::nullopt;
      return reached(cell);
    };
    const auto* best = leading(matrix, p.label, of);
    return best ? std::optional(of(*best)->leak) : std::nullopt;
  };
  const auto by_ssim = [](const Cell& cell) { return reached_by(cell, measure("ssim")); };
  const auto by_error = [](const Cell& cell) { return error_reached(cell); };
  for (const auto& p : matrix.protections) {
    const bool coded = p.bound.has_value();
    auto name = p.label.starts_with("transform") ? std::string("paper_h")
                                                 : p.label.substr(0, p.label.find('-'));
    if (coded && p.bound->epsilon) {  // of the bits that serve an epsilon best
      const auto eps = fmt::format("eps{}", *p.bound->epsilon);
      name = "coded_" + eps;
      const auto best = metrics.find(name + "_accuracy");
      if (!p.accuracy || (best != metrics.end() && best->second.value >= *p.accuracy)) continue;
      for (const char* figure : {"_best_attack_psnr_db", "_best_attack_ssim"})
        metrics.erase(name + figure);  // there for other bits, perhaps not for these
      put(name + "_bits", static_cast<double>(p.bound->bits));
      put(eps + "_audit_lower_bound", p.bound->epsilon_seen);
    }
    put(name + "_accuracy", p.accuracy);
    put("local_classifier_accuracy", p.local_accuracy);
    put(name + "_best_attack_psnr_db", strongest(p, by_error));
    put(name + "_best_attack_ssim", strongest(p, by_ssim));
    if (!coded) continue;
    put(name + "_mmse_psnr_db", p.bound->psnr_db);
    if (const auto found = p.bound->reidentified.find("1000"); found != p.bound->reidentified.end())
      put(name + "_reid_1000", found->second);
  }
  drop_values(matrix);
  return {std::move(experiment), std::move(metrics), std::move(matrix)};
}

}  // namespace veilnet::record
