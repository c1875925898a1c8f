#include "eval/attacks.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/version.h"
#include "eval/attack_bench.h"
#include "eval/attack_extras.h"
#include "eval/evaluate.h"
#include "eval/json_reader.h"
#include "eval/record.h"

namespace veilnet::eval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kNotCovered[] = {
    "Attackers who train longer, with larger networks or with more pictures than this budget.",
    "Attackers who have several protected versions of one picture.",
    "The classifier itself: what its answers say, and membership in its training set.",
    "Side channels: picture sizes, timing, metadata outside the pixels.",
    "Theft of keys, which this audit takes as secret."};

// Figures that are kept in `file` of a stage's folder; `make` is called for those that are not
// there or were made from something else.
json kept_json(const AttackBench& bench, const attack::Victim& victim, const std::string& name,
               experiment::Stage stage, const std::string& file,
               const std::function<json()>& make) {
  using namespace experiment;
  StageFolder place(bench.folder(victim, name), std::move(stage), {file},
                    machine_of(bench.e.compute), Mode::Complete);
  const auto path = place.folder() / file;
  if (place.finished()) {
    if (sha256_of(read_text(path, 1ull << 30)) != place.result())
      fail(ErrorCode::BadData, "{}: is not what {} records; delete both to measure again",
           path.string(), (place.folder() / "run.json").string());
    return read_json(path);
  }
  const auto figures = make();
  const auto text = figures.dump(1) + "\n";
  write_file(path, text, Overwrite::Yes);
  place.finish(sha256_of(text));
  return figures;
}

// The entries of what is measured besides the cells.
json in_file(const AttackBench& bench, const attack::Victim& victim, const std::string& name,
             const std::function<json()>& make) {
  constexpr int kVersion = 1;
  auto stage = bench.measuring_stage(victim, name, kVersion);
  stage.settings["attacks.only"] = json(bench.e.attacks.only).dump();
  stage.settings["attacks.transports"] = json(bench.e.attacks.transports).dump();
  if (const auto service = bench.service(victim))
    stage.inputs["service"] = experiment::content_hash(*service);
  return kept_json(bench, victim, name, std::move(stage), "entries.json", make);
}

json describe(const AttackBench& bench, const attack::Victim& victim) {
  constexpr std::array<const char*, 3> kKeys{"none", "same", "independent"};
  json out = {{"label", victim.label},
              {"text", victim.text()},
              {"keys", kKeys[static_cast<size_t>(victim.keys)]}};
  const auto& attacked = bench.sets.attacked;
  const auto& id = victim.scheme.options.id;
  if (!id.empty() && cipher::scheme_spec(id).keyed()) {
    out["key_space_bits"] =
        cipher::make_scheme(victim.scheme.options, {}, attacked.pictures.height(),
                            attacked.pictures.width())
            ->key_space_bits();
  }
  if (const auto service = bench.service(victim))
    out["accuracy"] =
        accuracy_on_bytes(*service, attacked, bench.protected_pictures(victim), bench.e.compute);
  return out;
}

// The pictures that leaked most by SSIM.
void keep_pictures(const AttackBench& bench, const attack::Victim& victim,
                   const std::string& attack, std::span<const uint8_t> recovered,
                   const json& cell) {
  const auto values = cell.at("ssim_values").get<std::vector<double>>();
  auto order = positions(values.size(), values.size());
  std::ranges::stable_sort(order, [&](uint32_t a, uint32_t b) { return values[a] > values[b]; });
  order.resize(std::min<size_t>(order.size(), 8));
  const auto& attacked = bench.sets.attacked;
  const auto seen = bench.protected_pictures(victim);
  CellPictures pictures;
  pictures.scheme = victim.label;
  pictures.attack = attack;
  for (const auto i : order) {
    pictures.plain.push_back(picture_at(attacked, attacked.pictures.pixels(), i));
    pictures.protected_pictures.push_back(picture_at(attacked, seen, i));
    pictures.recovered.push_back(picture_at(attacked, recovered, i));
    pictures.labels.push_back(attacked.class_names[static_cast<size_t>(attacked.labels[i])]);
  }
  write_cell_pictures(bench.root / "pictures", pictures, Overwrite::Yes);
}

json measure_cell(const AttackBench& bench, const attack::Victim& victim,
                  const attack::Attack& attack, const attack::ThreatModel& model, json cell) {
  spdlog::info("{}: {}", victim.label, attack.id);
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = bench.attack(victim, attack, model);
  cell["threat_model"] = to_json(model);
  cell["budget"] = outcome.spent;
  cell["budget"]["seconds"] =
      std::round(10 *
                 std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()) /
      10;
  cell.update(measure_leak(bench.sets.attacked, outcome.recovered, bench.judges, bench.e.compute));
  std::vector<CellTraining> trainings;
  if (outcome.trained)
    trainings.push_back(read_training(bench.folder(victim, attack.training) / "training"));
  cell["training_flags"] = training_flags(trainings);
  if (bench.budget.epochs < attack.published_epochs) {
    cell["training_flags"].push_back(
        {{"id", "under_trained"},
         {"text", fmt::format("trained for {} of the published {} epochs", bench.budget.epochs,
                              attack.published_epochs)}});
  }
  cell["commit"] = commit();
  keep_pictures(bench, victim, attack.id, outcome.recovered, cell);
  spdlog::info("{}: {}: median SSIM {:.3f}, mean PSNR {:.2f} dB, {:.1f} % exact", victim.label,
               attack.id, number_from_json(cell["ssim"]["median"], "ssim"),
               number_from_json(cell["psnr_db"]["mean"], "psnr"),
               100 * cell["exact"].get<double>());
  return cell;
}

json attack_cell(const AttackBench& bench, const attack::Victim& victim,
                 const attack::Attack& attack) {
  json cell = {{"scheme", victim.label}, {"attack", attack.id}, {"text", attack.text}};
  const auto against = bench.against(victim, attack);
  if (const auto* reason = std::get_if<std::string>(&against)) {
    cell["refused"] = *reason;
    return cell;
  }
  const auto& model = std::get<attack::ThreatModel>(against);
  auto stage = bench.measuring_stage(victim, "cell", attack.version);
  stage.settings["attack"] = attack.id;
  stage.settings["threat model"] = attack::to_text(model);
  return kept_json(bench, victim, attack.id, std::move(stage), "cell.json",
                   [&] { return measure_cell(bench, victim, attack, model, std::move(cell)); });
}

std::vector<CellPictures> kept_pictures(const AttackBench& bench) {
  std::vector<CellPictures> out;
  for (const auto& victim : bench.victims) {
    for (const auto& attack : bench.attacks) {
      if (fs::exists(bench.root / "pictures" / victim.label / attack.id))
        out.push_back(read_cell_pictures(bench.root / "pictures", victim.label, attack.id));
    }
  }
  return out;
}

json make_matrix(const AttackBench& bench) {
  const auto& attacks = bench.e.attacks;
  auto cells = json::array(), schemes = json::array(), transport = json::array(),
       attributes = json::array(), curve = json::array();
  const auto append = [](json& to, const json& entries) {
    to.insert(to.end(), entries.begin(), entries.end());
  };
  for (const auto& victim : bench.victims) {
    schemes.push_back(describe(bench, victim));
    for (const auto& attack : bench.attacks) cells.push_back(attack_cell(bench, victim, attack));
    append(transport, in_file(bench, victim, "transport",
                              [&] { return transport_entries(bench, victim, cells); }));
    if (attacks.attributes)
      append(attributes, in_file(bench, victim, "attributes",
                                 [&] { return attribute_entries(bench, victim); }));
    if (attacks.curve)
      append(curve, in_file(bench, victim, "curve", [&] { return curve_entries(bench, victim); }));
  }
  const auto mean = mean_picture(bench.sets.auxiliary, bench.sets.attacked.size());
  json baseline = measure_leak(bench.sets.attacked, mean, bench.judges, bench.e.compute);
  baseline["name"] = "mean picture";
  baseline["text"] = "The mean of the attacker's own pictures, whatever the protected picture is.";
  for (const char* key : {"ssim_values", "psnr_db_values"}) baseline.erase(key);
  const json baselines = json::array({baseline});
  set_flags(cells, baselines);
  auto dataset = dataset_json(bench.w);
  if (bench.psi) {
    dataset["plain_accuracy"] = accuracy_on_bytes(
        *bench.psi, bench.sets.attacked, bench.sets.attacked.pictures.pixels(), bench.e.compute);
  }
  json matrix = {{"title", "Veilnet: attacks on " + bench.w.data.train.name},
                 {"dataset", dataset},
                 {"budget", to_json(bench.budget)},
                 {"schemes", schemes},
                 {"baselines", baselines},
                 {"cells", cells},
                 {"transport", transport},
                 {"attributes", attributes},
                 {"curve", curve},
                 {"not_covered", json(kNotCovered)},
                 {"provenance", record_of(bench.e, "attacks-" + bench.e.data.source)}};
  if (!bench.phi.description.empty()) matrix["phi"] = bench.phi.description;
  return matrix;
}

// The share of pictures that an attack recovered exactly from one scheme; null when it is not in
// the matrix.
json exact_share(const json& matrix, const std::string& scheme, const std::string& attack) {
  for (const auto& cell : matrix.at("cells")) {
    if (cell.at("scheme") == scheme && cell.at("attack") == attack && cell.contains("exact"))
      return cell.at("exact");
  }
  return nullptr;
}

}  // namespace

json run_attacks(const experiment::Experiment& e) {
  const AttackBench bench(e);
  // Not a stage that is kept: its cells are. But the folder must be the program's own.
  const std::vector<std::string> files{"config.toml", "matrix.json", "report.html", "boxes-*.svg"};
  experiment::refuse_foreign(bench.root, files);
  auto matrix = make_matrix(bench);
  experiment::Stage stage{"matrix", 1, {}, {{"data", bench.w.data_sha256}}};
  experiment::StageFolder place(bench.root, stage, files, experiment::machine_of(e.compute),
                                experiment::Mode::Force);
  matrix["commands"] = {"build/release/veilnet reproduce attacks --config " +
                        (bench.root / "config.toml").string()};
  write_file(bench.root / "config.toml", e.resolved_toml, Overwrite::Yes);
  write_file(bench.root / "matrix.json", matrix.dump(1) + "\n", Overwrite::Yes);
  write_file(bench.root / "report.html", render_attack_report(matrix, kept_pictures(bench)),
             Overwrite::Yes);
  for (const auto& [scheme, svg] : attack_box_plots(matrix))
    write_file(bench.root / ("boxes-" + scheme + ".svg"), svg, Overwrite::Yes);
  place.finish(experiment::sha256_of(matrix.dump()));
  return matrix;
}

json attacks_record(const experiment::Experiment& e, const json& matrix) {
  auto record = record_of(e, "attacks-" + e.data.source);
  record["data"] = matrix.at("dataset");
  for (const char* key :
       {"phi", "budget", "schemes", "baselines", "cells", "transport", "attributes", "curve"}) {
    if (matrix.contains(key)) record[key] = matrix.at(key);
  }
  size_t attacked = 0, flagged = 0;
  for (auto& cell : record["cells"]) {
    for (const char* key : {"ssim_values", "psnr_db_values", "training_flags"}) cell.erase(key);
    if (cell.contains("refused")) continue;
    ++attacked;
    flagged += !cell.at("flags").empty();
  }
  json metrics = {{"cells", attacked}, {"flagged_cells", flagged}};
  const std::pair<const char*, std::pair<const char*, const char*>> kExact[] = {
      {"chosen_plaintext_le_exact", {"le", "chosen-plaintext"}},
      {"chosen_plaintext_ele_exact", {"ele", "chosen-plaintext"}},
      {"chosen_plaintext_pe_exact", {"pe-same", "chosen-plaintext"}},
      {"known_plaintext_le_exact", {"le", "known-plaintext"}},
      {"known_plaintext_pe_exact", {"pe-same", "known-plaintext"}}};
  for (const auto& [name, cell] : kExact) {
    const auto share = exact_share(matrix, cell.first, cell.second);
    if (!share.is_null()) metrics[name] = share;
  }
  const auto canary = exact_share(matrix, "pe-same", "chosen-plaintext");
  if (!canary.is_null()) metrics["canary_broken"] = canary.get<double>() == 1 ? 1 : 0;
  record["metrics"] = metrics;
  return record;
}

experiment::Experiment experiment_of_run(const fs::path& run,
                                         const std::vector<std::string>& overrides) {
  const auto folder = fs::weakly_canonical(run);
  const auto name = folder.filename().string();
  std::string victim;
  if (name.rfind("transform-a", 0) == 0) {
    victim = "transform";
  } else if (name.rfind("scheme-", 0) == 0) {
    victim = name.substr(7);
  } else {
    fail(ErrorCode::InvalidArgument,
         "{} is no run of a transformation network or a scheme; allowed: "
         "<experiment>/transform-a<alpha> or <experiment>/scheme-<name>",
         run.string());
  }
  auto config = Config::load(folder / "config.toml");
  for (const auto& assignment : overrides) config.set(assignment);
  config.set("runs=" + json(folder.parent_path().parent_path().string()).dump());
  config.set("name=" + json(folder.parent_path().filename().string()).dump());
  config.set("attacks.schemes=" + json::array({victim}).dump());
  return experiment::read_experiment(config);
}

}  // namespace veilnet::eval
