#include "eval/attack_extras.h"

#include <algorithm>
#include <set>
#include <spdlog/spdlog.h>

#include "attack/attribute.h"
#include "eval/evaluate.h"
#include "eval/summary.h"
#include "image/transport.h"

namespace veilnet::eval {

using attack::Keys;
using nlohmann::json;

namespace {

const attack::Attack* strongest_attack(const AttackBench& bench, const attack::Victim& victim,
                                       const json& cells) {
  const attack::Attack* strongest = nullptr;
  double best = -2;
  for (const auto& cell : cells) {
    if (cell.at("scheme") != victim.label || cell.contains("refused")) continue;
    const auto id = cell.at("attack").get<std::string>();
    if (id == "retrieval" || id == "optimise" || id == "look" || id == "look-blurred") continue;
    const double median = number_from_json(cell.at("ssim").at("median"), "ssim.median");
    if (median <= best) continue;
    best = median;
    for (const auto& attack : bench.attacks) {
      if (attack.id == id) strongest = &attack;
    }
  }
  return strongest;
}

// What the attacker knows the plain versions of: pictures protected by himself, or exact pairs
// under the one key.
attack::ThreatModel attribute_model(Keys keys) {
  using attack::Access, attack::Auxiliary, attack::Method;
  if (keys == Keys::Same) return {Method::Public, Access::ExactPairs, keys, Auxiliary::None};
  if (keys == Keys::None)
    return {Method::Public, Access::PublicTransform, keys, Auxiliary::SameDistribution};
  return {Method::Public, Access::CiphertextOnly, keys, Auxiliary::SameDistribution};
}

json point(const AttackBench& bench, const json& budget, const attack::Outcome& outcome) {
  const auto leak = measure_leak(bench.sets.attacked, outcome.recovered, {}, bench.e.compute);
  return {{"budget", budget},
          {"ssim", leak.at("ssim").at("median")},
          {"psnr_db", leak.at("psnr_db").at("median")},
          {"exact", leak.at("exact")}};
}

}  // namespace

json transport_entries(const AttackBench& bench, const attack::Victim& victim, const json& cells) {
  auto entries = json::array();
  const auto* strongest = strongest_attack(bench, victim, cells);
  const auto service = bench.service(victim);
  const auto sent = bench.protected_pictures(victim);
  for (const auto& transport : bench.transports) {
    std::vector<uint8_t> arrived;
    for (size_t i = 0; i < bench.sets.attacked.size(); ++i) {
      const auto picture = image::apply(transport, picture_at(bench.sets.attacked, sent, i));
      arrived.insert(arrived.end(), picture.rgb.begin(), picture.rgb.end());
    }
    json entry = {{"scheme", victim.label}, {"transport", image::to_text(transport)}};
    if (service)
      entry["accuracy"] =
          accuracy_on_bytes(*service, bench.sets.attacked, arrived, bench.e.compute);
    if (strongest) {
      const auto model = std::get<attack::ThreatModel>(strongest->against(victim));
      const auto outcome = bench.attack(victim, *strongest, model, {.attacked = &arrived});
      const auto leak = measure_leak(bench.sets.attacked, outcome.recovered, {}, bench.e.compute);
      entry["psnr_db"] = leak.at("psnr_db");
      entry["ssim"] = leak.at("ssim");
      entry["text"] = "leak by " + strongest->id;
    }
    entries.push_back(entry);
  }
  return entries;
}

json attribute_entries(const AttackBench& bench, const attack::Victim& victim) {
  const auto model = attribute_model(victim.keys);
  const auto materials = attack::grant(victim, bench.sets, model, bench.e.compute);
  const auto known = materials.pairs ? *materials.pairs
                                     : attack::stack_pairs(materials.run(*materials.auxiliary),
                                                           *materials.auxiliary);
  const auto attacked = attack::stack_pairs(materials.attacked, bench.sets.attacked);
  const auto split = attack::tenth_validates(known.size());
  auto entries = json::array();
  for (const auto& name : attack::attribute_names()) {
    constexpr int kVersion = 1;
    auto recipe = bench.e.classifier.recipe;
    recipe.epochs = bench.e.attack.recipe.epochs;
    experiment::Stage stage{"attribute-" + name, kVersion,
                            train::settings_of(recipe, "classifier."), bench.inputs(victim)};
    stage.settings["compute.precision"] = bench.e.compute.bf16 ? "bfloat16" : "float32";
    stage.settings["attacks.known"] = std::to_string(known.size());
    stage.settings["threat model"] = attack::to_text(model);
    attack::AttributeInference read;
    train::Run run;
    bench.in_training(
        victim, "attribute-" + name, "training", stage, run, model::Role::Classifier, [&] {
          read =
              attack::infer_attribute({run, recipe, bench.e.compute}, name, known, split, attacked);
        });
    spdlog::info("{}: attribute {} named right for {:.1f} % (chance {:.1f} %)", victim.label, name,
                 100 * read.accuracy, 100 * read.chance);
    entries.push_back({{"scheme", victim.label},
                       {"attribute", name},
                       {"accuracy", read.accuracy},
                       {"chance", read.chance},
                       {"threat_model", to_json(model)}});
  }
  return entries;
}

json curve_entries(const AttackBench& bench, const attack::Victim& victim) {
  auto curves = json::array();
  const auto keep = [&](const std::string& id, const std::string& budget, const json& points) {
    if (!points.empty())
      curves.push_back(
          {{"scheme", victim.label}, {"attack", id}, {"budget_name", budget}, {"points", points}});
  };
  const auto applies = [&](const std::string& id) -> const attack::Attack* {
    const auto found = std::ranges::find(bench.attacks, id, &attack::Attack::id);
    return found != bench.attacks.end() &&
                   std::holds_alternative<attack::ThreatModel>(found->against(victim))
               ? &*found
               : nullptr;
  };
  const auto fewer = [](const data::Dataset& all, size_t count) {
    return attack::subset(all, positions(count, all.size()));
  };

  if (const auto* known_plaintext = applies("known-plaintext")) {
    auto points = json::array();
    for (const size_t pairs : {1, 2, 4, 8, 16, 32, 64}) {
      if (pairs > bench.sets.observed.size()) break;
      auto sets = bench.sets;
      sets.observed = fewer(sets.observed, pairs);
      const auto model = std::get<attack::ThreatModel>(known_plaintext->against(victim));
      points.push_back(
          point(bench, pairs, bench.attack(victim, *known_plaintext, model, {.sets = &sets})));
    }
    keep(known_plaintext->id, "pairs", points);
  }

  const auto* itn = applies("itn");
  if (!itn || !victim.network) return curves;
  const auto model = std::get<attack::ThreatModel>(itn->against(victim));
  const size_t all = bench.sets.auxiliary.size();
  auto points = json::array();
  for (const size_t pairs : {all / 16, all / 4, all}) {
    if (pairs < 20) continue;
    auto sets = bench.sets;
    sets.auxiliary = fewer(sets.auxiliary, pairs);
    const auto training =
        pairs == all ? "training" : "training-" + std::to_string(pairs) + "-pairs";
    points.push_back(point(
        bench, pairs, bench.attack(victim, *itn, model, {.sets = &sets, .training = training})));
  }
  keep(itn->id, "pairs", points);
  points = json::array();
  const auto epochs_in_full = bench.budget.epochs;
  for (const auto epochs :
       std::set<int64_t>{1, std::max<int64_t>(epochs_in_full / 4, 1),
                         std::max<int64_t>(epochs_in_full / 2, 1), epochs_in_full}) {
    const auto training =
        epochs == epochs_in_full ? "training" : "training-" + std::to_string(epochs) + "-epochs";
    points.push_back(
        point(bench, epochs,
              bench.attack(victim, *itn, model, {.epochs = epochs, .training = training})));
  }
  keep(itn->id, "epochs", points);
  return curves;
}

}  // namespace veilnet::eval
