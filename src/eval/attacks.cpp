#include "eval/attacks.h"

#include <algorithm>
#include <chrono>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "attack/attribute.h"
#include "attack/suite.h"
#include "core/error.h"
#include "core/version.h"
#include "eval/attack_report.h"
#include "eval/evaluate.h"
#include "eval/leak.h"
#include "eval/record.h"
#include "eval/summary.h"
#include "image/transport.h"
#include "train/scheme.h"

namespace veilnet::eval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

attack::Budget budget_of(const train::Experiment& e) {
  auto budget = attack::budget_named(e.attacks.budget);
  if (e.attacks.attacked > 0) budget.attacked = static_cast<size_t>(e.attacks.attacked);
  if (e.attacks.known > 0) budget.known = static_cast<size_t>(e.attacks.known);
  if (e.attacks.epochs > 0) budget.epochs = e.attacks.epochs;
  budget.width = e.attack.width;
  return budget;
}

json to_json(const attack::Budget& b) {
  return {{"name", b.name},     {"attacked pictures", b.attacked},       {"own pictures", b.known},
          {"epochs", b.epochs}, {"known pairs", b.known_pairs},          {"optimised pictures", b.optimised},
          {"width", b.width},   {"optimisation steps", b.optimise_steps}};
}

json to_json(const attack::ThreatModel& model) {
  json out;
  for (const auto& [field, value] : attack::fields(model)) out[std::string(field)] = value;
  return out;
}

data::Dataset subset(const data::Dataset& from, std::span<const uint32_t> indices) {
  auto out = from;
  out.images_nhwc.clear();
  out.labels.clear();
  for (const auto i : indices) {
    const auto image = from.image(i);
    out.images_nhwc.insert(out.images_nhwc.end(), image.begin(), image.end());
    out.labels.push_back(from.labels[i]);
  }
  return out;
}

std::vector<uint32_t> first(size_t count, size_t available, size_t step = 1, size_t start = 0) {
  std::vector<uint32_t> out;
  for (size_t i = start; i < available && out.size() < count; i += step) out.push_back(static_cast<uint32_t>(i));
  return out;
}

image::Image picture_at(const data::Dataset& like, std::span<const uint8_t> images_nhwc, size_t i) {
  const auto bytes = images_nhwc.subspan(i * like.image_bytes(), like.image_bytes());
  return {like.height, like.width, {bytes.begin(), bytes.end()}};
}

class Bench {
 public:
  explicit Bench(const train::Experiment& e)
      : e_(e), w_(train::open_workspace(e)), budget_(budget_of(e)), folder_(e.folder() / "attacks" / e.attacks.budget) {
    sets_.attacked = subset(w_.data.test, first(budget_.attacked, w_.data.test.size()));
    sets_.auxiliary = subset(w_.data.train, first(budget_.known, w_.data.train.size(), 2, 0));
    sets_.observed = subset(w_.data.train, first(budget_.known, w_.data.train.size(), 2, 1));
    e_.attack.recipe.epochs = budget_.epochs;
    if (train::is_finished(e.classifier_folder())) {
      psi_ = train::finished_model(e, e.classifier_folder(), nn::Role::Classifier);
      train::check_fits(*psi_, w_.data, e.classifier_folder() / "model.safetensors");
    } else {
      spdlog::info("{} is not trained: no classifier names the reconstructions", e.classifier_folder().string());
    }
    if (!e.phi.file.empty() || train::is_finished(e.phi_folder())) phi_ = train::open_phi(e, w_);
    judges_ = {psi_ ? &*psi_ : nullptr, phi_.net};
    for (const auto& text : e.attacks.transports) transports_.push_back(image::transport_from(text));
    for (const auto& label : e.attacks.schemes) victims_.push_back(attack::make_victim(e, label));
    for (const auto& attack : attack::attacks()) {
      if (e.attacks.only.empty() || std::ranges::find(e.attacks.only, attack.id) != e.attacks.only.end())
        attacks_.push_back(attack);
    }
    for (const auto& id : e.attacks.only) {
      if (std::ranges::find(attacks_, id, &attack::Attack::id) != attacks_.end()) continue;
      std::string known;
      for (const auto& attack : attack::attacks()) known += (known.empty() ? "" : ", ") + attack.id;
      throw Error(ErrorCode::InvalidArgument, "attacks.only has \"" + id + "\"; allowed: " + known);
    }
  }

  json run() {
    auto cells = json::array(), schemes = json::array(), transport = json::array(), attributes = json::array(),
         curve = json::array();
    for (const auto& victim : victims_) {
      schemes.push_back(describe(victim));
      for (const auto& attack : attacks_) {
        cells.push_back(cell(victim, attack));
        if (budget_.epochs < attack.published_epochs && !cells.back().contains("refused")) {
          cells.back()["training_flags"].push_back(
              {{"id", "under_trained"},
               {"text", "trained for " + std::to_string(budget_.epochs) + " of the published " +
                            std::to_string(attack.published_epochs) + " epochs"}});
        }
      }
      for (auto& entry : in_file(victim, "transport.json", [&] { return transported(victim, cells); }))
        transport.push_back(entry);
      if (e_.attacks.attributes) {
        for (auto& entry : in_file(victim, "attributes.json", [&] { return read_attributes(victim); }))
          attributes.push_back(entry);
      }
      if (e_.attacks.curve) {
        for (auto& entry : in_file(victim, "curve.json", [&] { return budget_curves(victim); })) curve.push_back(entry);
      }
    }
    const auto mean = mean_picture(sets_.auxiliary, sets_.attacked.size());
    json baseline = measure_leak(sets_.attacked, mean, judges_, e_.compute);
    baseline["name"] = "mean picture";
    baseline["text"] = "The mean of the attacker's own pictures, whatever the protected picture is.";
    for (const char* key : {"ssim_values", "psnr_db_values"}) baseline.erase(key);
    const json baselines = json::array({baseline});
    set_flags(cells, baselines);
    auto dataset = dataset_json(w_);
    if (psi_) dataset["plain_accuracy"] = accuracy_on_bytes(*psi_, sets_.attacked, sets_.attacked.images_nhwc, e_.compute);
    json matrix = {{"title", "Veilnet: attacks on " + w_.data.train.name},
                   {"dataset", dataset},
                   {"budget", to_json(budget_)},
                   {"schemes", schemes},
                   {"baselines", baselines},
                   {"cells", cells},
                   {"transport", transport},
                   {"attributes", attributes},
                   {"curve", curve},
                   {"not_covered", not_covered()},
                   {"provenance", record_of(e_, "attacks-" + e_.data.source)}};
    if (!phi_.description.empty()) matrix["phi"] = phi_.description;
    return matrix;
  }

  const fs::path& folder() const { return folder_; }
  std::vector<CellPictures> pictures() const {
    std::vector<CellPictures> out;
    for (const auto& victim : victims_) {
      for (const auto& attack : attacks_) {
        if (fs::exists(folder_ / "pictures" / victim.label / attack.id))
          out.push_back(read_cell_pictures(folder_ / "pictures", victim.label, attack.id));
      }
    }
    return out;
  }

 private:
  fs::path cell_folder(const attack::Victim& victim, const std::string& attack) const {
    return folder_ / victim.label / attack;
  }

  // What must be the same for a kept figure to stand.
  json setup() const {
    return {{"budget", to_json(budget_)}, {"data", w_.data_sha256}, {"recipe", train::describe(e_.attack.recipe)}};
  }

  // What was measured before, if it was measured in the same way.
  json in_file(const attack::Victim& victim, const std::string& name, const std::function<json()>& make) {
    auto how = setup();
    how["only"] = e_.attacks.only;
    how["transports"] = e_.attacks.transports;
    const auto path = folder_ / victim.label / name;
    if (fs::exists(path)) {
      const auto kept = json::parse(read_text(path, 1ull << 30));
      if (kept.at("setup") == how) return kept.at("entries");
    }
    auto entries = make();
    write_file(path, json{{"setup", how}, {"entries", entries}}.dump(1) + "\n", Overwrite::Yes);
    return entries;
  }

  json describe(const attack::Victim& victim) {
    constexpr std::array<const char*, 3> kKeys{"none", "same", "independent"};
    json out = {{"label", victim.label}, {"text", victim.text()}, {"keys", kKeys[static_cast<size_t>(victim.keys)]}};
    const auto& id = victim.scheme.options.id;
    if (!id.empty() && cipher::scheme_traits(id).keyed) {
      out["key_space_bits"] =
          cipher::make_scheme(victim.scheme.options, {}, sets_.attacked.height, sets_.attacked.width)->key_space_bits();
    }
    if (const auto service = classifier_of(victim)) {
      out["accuracy"] = accuracy_on_bytes(*service, sets_.attacked, protected_pictures(victim), e_.compute);
    }
    return out;
  }

  // The service's classifier: psi for networks, the one that learned from the scheme's pictures else.
  std::optional<nn::Model> classifier_of(const attack::Victim& victim) const {
    if (victim.network) return psi_;
    auto point = e_;
    point.scheme = victim.scheme;
    if (victim.scheme.options.id.empty() || !train::is_finished(point.scheme_folder())) return std::nullopt;
    return train::finished_model(e_, point.scheme_folder(), nn::Role::Classifier);
  }

  std::vector<uint8_t> protected_pictures(const attack::Victim& victim) const {
    return attack::protect(victim, sets_.attacked, train::kFirstTestKey, e_.compute);
  }

  attack::Outcome attack_once(const attack::Victim& victim, const attack::Attack& attack, const attack::ThreatModel& model,
                              const std::vector<uint8_t>* attacked = nullptr, const attack::Sets* sets = nullptr,
                              const fs::path& training = {}) {
    auto materials = attack::grant(victim, sets ? *sets : sets_, model, e_.compute);
    if (attacked) materials.attacked = *attacked;
    // Optimisation starts from the same network that itn trains.
    const auto place = attack.id == "optimise" ? "itn" : attack.id;
    const attack::Setting setting{e_, budget_, training.empty() ? cell_folder(victim, place) / "training" : training, phi_.net};
    return attack.run(materials, setting);
  }

  json cell(const attack::Victim& victim, const attack::Attack& attack) {
    json cell = {{"scheme", victim.label}, {"attack", attack.id}, {"text", attack.text}};
    const auto against = attack.against(victim);
    if (const auto* reason = std::get_if<std::string>(&against)) {
      cell["refused"] = *reason;
      return cell;
    }
    if (attack.id == "itn-perceptual" && !phi_.net) {
      cell["refused"] = "phi is not there (phi.file)";
      return cell;
    }
    const auto path = cell_folder(victim, attack.id) / "cell.json";
    if (fs::exists(path)) {
      auto kept = json::parse(read_text(path, 1ull << 30));
      if (kept.at("setup") != setup()) {
        throw Error(ErrorCode::InvalidArgument, path.string() + " was made with " + kept.at("setup").dump() + "; now it is " +
                                                    setup().dump() + ". Delete it to attack again");
      }
      return kept;
    }
    spdlog::info("{}: {}", victim.label, attack.id);
    const auto& model = std::get<attack::ThreatModel>(against);
    const auto begin = std::chrono::steady_clock::now();
    const auto outcome = attack_once(victim, attack, model);
    cell["threat_model"] = to_json(model);
    cell["budget"] = outcome.spent;
    cell["budget"]["seconds"] =
        std::round(10 * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()) / 10;
    cell.update(measure_leak(sets_.attacked, outcome.recovered, judges_, e_.compute));
    std::vector<CellTraining> trainings;
    for (const auto& folder : outcome.trained) trainings.push_back(read_training(folder));
    cell["training_flags"] = training_flags(trainings);
    cell["setup"] = setup();
    cell["commit"] = commit();
    keep_pictures(victim, attack.id, outcome.recovered, cell);
    write_file(path, cell.dump(1) + "\n", Overwrite::No);
    spdlog::info("{}: {}: median SSIM {:.3f}, mean PSNR {:.2f} dB, {:.1f} % exact", victim.label, attack.id,
                 number_from_json(cell["ssim"]["median"], "ssim"), number_from_json(cell["psnr_db"]["mean"], "psnr"),
                 100 * cell["exact"].get<double>());
    return cell;
  }

  // The pictures that leaked most by SSIM.
  void keep_pictures(const attack::Victim& victim, const std::string& attack, std::span<const uint8_t> recovered,
                     const json& cell) {
    const auto values = cell.at("ssim_values").get<std::vector<double>>();
    auto order = first(values.size(), values.size());
    std::ranges::stable_sort(order, [&](uint32_t a, uint32_t b) { return values[a] > values[b]; });
    order.resize(std::min<size_t>(order.size(), 8));
    const auto seen = protected_pictures(victim);
    CellPictures pictures;
    pictures.scheme = victim.label;
    pictures.attack = attack;
    for (const auto i : order) {
      pictures.plain.push_back(picture_at(sets_.attacked, sets_.attacked.images_nhwc, i));
      pictures.protected_pictures.push_back(picture_at(sets_.attacked, seen, i));
      pictures.recovered.push_back(picture_at(sets_.attacked, recovered, i));
      pictures.labels.push_back(sets_.attacked.class_names[static_cast<size_t>(sets_.attacked.labels[i])]);
    }
    write_cell_pictures(folder_ / "pictures", pictures, Overwrite::Yes);
  }

  // Accuracy and leak after what happens to protected pictures on their way: by the strongest attack of the matrix that opens
  // pictures one by one.
  json transported(const attack::Victim& victim, const json& cells) {
    auto entries = json::array();
    const attack::Attack* strongest = nullptr;
    double best = -2;
    for (const auto& cell : cells) {
      if (cell.at("scheme") != victim.label || cell.contains("refused")) continue;
      const auto& id = cell.at("attack");
      if (id == "retrieval" || id == "optimise" || id == "look" || id == "look-blurred") continue;
      const double median = number_from_json(cell.at("ssim").at("median"), "ssim.median");
      if (median <= best) continue;
      best = median;
      for (const auto& attack : attacks_) {
        if (attack.id == id) strongest = &attack;
      }
    }
    const auto service = classifier_of(victim);
    const auto plain = protected_pictures(victim);
    for (const auto& transport : transports_) {
      std::vector<uint8_t> arrived;
      for (size_t i = 0; i < sets_.attacked.size(); ++i) {
        const auto picture = image::apply(transport, picture_at(sets_.attacked, plain, i));
        arrived.insert(arrived.end(), picture.rgb.begin(), picture.rgb.end());
      }
      json entry = {{"scheme", victim.label}, {"transport", image::to_text(transport)}};
      if (service) entry["accuracy"] = accuracy_on_bytes(*service, sets_.attacked, arrived, e_.compute);
      if (strongest) {
        const auto outcome =
            attack_once(victim, *strongest, std::get<attack::ThreatModel>(strongest->against(victim)), &arrived);
        const auto leak = measure_leak(sets_.attacked, outcome.recovered, {}, e_.compute);
        entry["psnr_db"] = leak.at("psnr_db");
        entry["ssim"] = leak.at("ssim");
        entry["text"] = "leak by " + strongest->id;
      }
      entries.push_back(entry);
    }
    return entries;
  }

  json read_attributes(const attack::Victim& victim) {
    // What the attacker knows the plain versions of: pictures protected by himself, or exact pairs under the one key.
    const auto model =
        victim.keys == Keys::Same
            ? attack::ThreatModel{attack::Method::Public, attack::Access::ExactPairs, Keys::Same, attack::Auxiliary::None}
        : victim.keys == Keys::None ? attack::ThreatModel{attack::Method::Public, attack::Access::PublicTransform, Keys::None,
                                                          attack::Auxiliary::SameDistribution}
                                    : attack::ThreatModel{attack::Method::Public, attack::Access::CiphertextOnly,
                                                          Keys::Independent, attack::Auxiliary::SameDistribution};
    const auto materials = attack::grant(victim, sets_, model, e_.compute);
    const auto known =
        materials.pairs ? *materials.pairs : attack::stack_pairs(materials.run(*materials.auxiliary), *materials.auxiliary);
    const auto attacked = attack::stack_pairs(materials.attacked, sets_.attacked);
    const auto split = attack::tenth_validates(known.size());
    auto entries = json::array();
    for (const auto& name : attack::attribute_names()) {
      const auto read = attack::infer_attribute({e_, cell_folder(victim, "attribute-" + name), victim.label + ": " + name},
                                                name, known, split, attacked);
      spdlog::info("{}: attribute {} named right for {:.1f} % (chance {:.1f} %)", victim.label, name, 100 * read.accuracy,
                   100 * read.chance);
      entries.push_back({{"scheme", victim.label},
                         {"attribute", name},
                         {"accuracy", read.accuracy},
                         {"chance", read.chance},
                         {"threat_model", to_json(model)}});
    }
    return entries;
  }

  // What fewer pairs give: to the known-plaintext attack under one key, to the ITN-Attack (in the same number of epochs) on a
  // network.
  json budget_curves(const attack::Victim& victim) {
    const auto curve = [&](const std::string& id, std::vector<size_t> counts) {
      const auto found = std::ranges::find(attacks_, id, &attack::Attack::id);
      if (found == attacks_.end()) return json();
      const auto& attack = *found;
      const auto against = attack.against(victim);
      const auto* model = std::get_if<attack::ThreatModel>(&against);
      if (!model || (id == "itn" && !victim.network)) return json();
      auto points = json::array();
      for (const size_t count : counts) {
        auto sets = sets_;
        auto& limited = id == "itn" ? sets.auxiliary : sets.observed;
        if (count > limited.size() || (id == "itn" && count < 20)) continue;
        limited = subset(limited, first(count, limited.size()));
        const auto training =
            cell_folder(victim, id) / (count == sets_.auxiliary.size() ? "training" : "training-" + std::to_string(count));
        const auto outcome = attack_once(victim, attack, *model, nullptr, &sets, training);
        const auto leak = measure_leak(sets_.attacked, outcome.recovered, {}, e_.compute);
        points.push_back({{"budget", count},
                          {"ssim", leak.at("ssim").at("median")},
                          {"psnr_db", leak.at("psnr_db").at("median")},
                          {"exact", leak.at("exact")}});
      }
      return json{{"scheme", victim.label}, {"attack", id}, {"budget_name", "pairs"}, {"points", points}};
    };
    const size_t all = sets_.auxiliary.size();
    auto curves = json::array();
    for (auto& one : {curve("known-plaintext", {1, 2, 4, 8, 16, 32, 64}), curve("itn", {all / 16, all / 4, all})}) {
      if (!one.is_null()) curves.push_back(one);
    }
    return curves;
  }

  static json not_covered() {
    return {"Attackers who train longer, with larger networks or with more pictures than this budget.",
            "Attackers who have several protected versions of one picture.",
            "The classifier itself: what its answers say about a picture, and membership in its training set.",
            "Side channels: picture sizes, timing, metadata outside the pixels.",
            "Theft of keys, which this audit takes as secret."};
  }

  using Keys = attack::Keys;
  train::Experiment e_;
  train::Workspace w_;
  attack::Budget budget_;
  fs::path folder_;
  attack::Sets sets_;
  std::optional<nn::Model> psi_;
  train::Phi phi_;
  Judges judges_;
  std::vector<image::Transport> transports_;
  std::vector<attack::Victim> victims_;
  std::vector<attack::Attack> attacks_;
};

// The share of pictures that an attack recovered exactly from one scheme; null when it is not in the matrix.
json exact_share(const json& matrix, const std::string& scheme, const std::string& attack) {
  for (const auto& cell : matrix.at("cells")) {
    if (cell.at("scheme") == scheme && cell.at("attack") == attack && cell.contains("exact")) return cell.at("exact");
  }
  return nullptr;
}

}  // namespace

json run_attacks(const train::Experiment& e) {
  Bench bench(e);
  auto matrix = bench.run();
  matrix["commands"] = {"build/release/veilnet reproduce attacks --config " + (bench.folder() / "config.toml").string()};
  write_file(bench.folder() / "config.toml", e.resolved_toml, Overwrite::Yes);
  write_file(bench.folder() / "matrix.json", matrix.dump(1) + "\n", Overwrite::Yes);
  write_file(bench.folder() / "report.html", render_attack_report(matrix, bench.pictures()), Overwrite::Yes);
  for (const auto& [scheme, svg] : attack_box_plots(matrix))
    write_file(bench.folder() / ("boxes-" + scheme + ".svg"), svg, Overwrite::Yes);
  return matrix;
}

json attacks_record(const train::Experiment& e, const json& matrix) {
  auto record = record_of(e, "attacks-" + e.data.source);
  record["data"] = matrix.at("dataset");
  for (const char* key : {"phi", "budget", "schemes", "baselines", "cells", "transport", "attributes", "curve"}) {
    if (matrix.contains(key)) record[key] = matrix.at(key);
  }
  size_t attacked = 0, flagged = 0;
  for (auto& cell : record["cells"]) {
    for (const char* key : {"ssim_values", "psnr_db_values", "setup", "training_flags"}) cell.erase(key);
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

train::Experiment experiment_of_run(const fs::path& run, const std::vector<std::string>& overrides) {
  const auto folder = fs::weakly_canonical(run);
  const auto name = folder.filename().string();
  std::string victim;
  if (name.rfind("transform-a", 0) == 0) {
    victim = "transform";
  } else if (name.rfind("scheme-", 0) == 0) {
    victim = name.substr(7);
  } else {
    throw Error(ErrorCode::InvalidArgument,
                run.string() +
                    " is no run of a transformation network or a scheme; allowed: <experiment>/transform-a<alpha> or "
                    "<experiment>/scheme-<name>");
  }
  auto config = Config::load(folder / "config.toml");
  for (const auto& assignment : overrides) config.set(assignment);
  config.set("runs=" + json(folder.parent_path().parent_path().string()).dump());
  config.set("name=" + json(folder.parent_path().filename().string()).dump());
  config.set("attacks.schemes=" + json::array({victim}).dump());
  return train::read_experiment(config);
}

}  // namespace veilnet::eval
