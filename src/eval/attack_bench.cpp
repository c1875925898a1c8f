#include "eval/attack_bench.h"

#include <algorithm>
#include <spdlog/spdlog.h>

#include "attack/pairs.h"
#include "core/error.h"
#include "core/files.h"
#include "data/sources.h"
#include "train/scheme.h"

namespace veilnet::eval {

using nlohmann::json;

namespace {

attack::Budget budget_of(const experiment::Experiment& e) {
  auto budget = attack::budget_named(e.attacks.budget);
  if (e.attacks.attacked > 0) budget.attacked = static_cast<size_t>(e.attacks.attacked);
  if (e.attacks.known > 0) budget.known = static_cast<size_t>(e.attacks.known);
  if (e.attacks.epochs > 0) budget.epochs = e.attacks.epochs;
  budget.width = e.attack.width;
  return budget;
}

}  // namespace

AttackBench::AttackBench(const experiment::Experiment& experiment)
    : e(experiment),
      w(experiment::open_workspace(e)),
      budget(budget_of(e)),
      root(e.folder() / "attacks" / e.attacks.budget) {
  sets.attacked = attack::subset(w.data.test, positions(budget.attacked, w.data.test.size()));
  sets.auxiliary = attack::subset(w.data.train, positions(budget.known, w.data.train.size(), 2, 0));
  sets.observed = attack::subset(w.data.train, positions(budget.known, w.data.train.size(), 2, 1));
  if (e.data.source != "synthetic") {
    data::SyntheticOptions options;
    options.train_size = std::max<size_t>(sets.auxiliary.size(), 10);
    auto pictures = data::make_synthetic(options).train;
    if (pictures.pictures.height() == sets.attacked.pictures.height() &&
        pictures.pictures.width() == sets.attacked.pictures.width())
      sets.unrelated = std::move(pictures);
  }
  e.attack.recipe.epochs = budget.epochs;
  psi = experiment::finished_classifier(e, w);
  if (!psi)
    spdlog::info("{} is not trained: no classifier names the reconstructions",
                 e.classifier_folder().string());
  if (auto found = experiment::finished_phi(e, w)) phi = std::move(*found);
  judges = {psi ? &*psi : nullptr, phi.net};
  for (const auto& text : e.attacks.transports) transports.push_back(image::transport_from(text));
  for (const auto& label : e.attacks.schemes)
    victims.push_back(experiment::make_victim(e, w, label));
  for (const auto& attack : attack::attacks()) {
    if (e.attacks.only.empty() ||
        std::ranges::find(e.attacks.only, attack.id) != e.attacks.only.end())
      attacks.push_back(attack);
  }
  for (const auto& id : e.attacks.only) {
    if (std::ranges::find(attacks, id, &attack::Attack::id) != attacks.end()) continue;
    std::string known;
    for (const auto& attack : attack::attacks()) known += (known.empty() ? "" : ", ") + attack.id;
    fail(ErrorCode::InvalidArgument, "attacks.only has \"{}\"; allowed: {}", id, known);
  }
}

attack::Outcome AttackBench::attack(const attack::Victim& victim, const attack::Attack& attack,
                                    const attack::ThreatModel& model,
                                    const Variation& variation) const {
  auto materials = attack::grant(victim, variation.sets ? *variation.sets : sets, model, e.compute);
  if (variation.attacked) materials.attacked = *variation.attacked;
  attack::Setting setting{e.attack.recipe, e.compute, budget, {}, phi.net};
  if (variation.epochs > 0) setting.recipe.epochs = variation.epochs;
  if (attack.training.empty()) return attack.run(materials, setting);
  attack::Outcome outcome;
  in_training(victim, attack.training, variation.training,
              training_stage(victim, attack.training, model, setting, variation), setting.run,
              model::Role::Inverse, [&] { outcome = attack.run(materials, setting); });
  return outcome;
}

void AttackBench::in_training(const attack::Victim& victim, const std::string& place,
                              const std::string& training, const experiment::Stage& stage,
                              train::Run& run, model::Role role,
                              const std::function<void()>& work) const {
  using namespace experiment;
  StageFolder kept(folder(victim, place) / training, stage, training_files(), machine_of(e.compute),
                   Mode::Complete);
  write_file(kept.folder() / "config.toml", e.resolved_toml, Overwrite::Yes);
  run = {kept.folder(), victim.label + ": " + place, kept.key(), kept.resumes(),
         e.checkpoint_minutes};
  work();
  if (kept.finished()) return;
  kept.finish(content_hash(nn::load_model(kept.folder() / "model.safetensors", role)));
}

experiment::Stage AttackBench::training_stage(const attack::Victim& victim, const std::string& id,
                                              const attack::ThreatModel& model,
                                              const attack::Setting& setting,
                                              const Variation& variation) const {
  const auto& made_by = *std::ranges::find(attack::attacks(), id, &attack::Attack::id);
  const auto& used = variation.sets ? *variation.sets : sets;
  experiment::Stage stage{"attack-" + id, made_by.version,
                          train::settings_of(setting.recipe, "attack."), inputs(victim)};
  stage.settings.insert({{"compute.precision", e.compute.bf16 ? "bfloat16" : "float32"},
                         {"attack.width", std::to_string(budget.width)},
                         {"attacks.known", std::to_string(model.access == attack::Access::ExactPairs
                                                              ? used.observed.size()
                                                              : used.auxiliary.size())},
                         {"threat model", attack::to_text(model)}});
  if (id == "itn-perceptual") stage.inputs["phi"] = phi.sha256;
  return stage;
}

std::map<std::string, std::string> AttackBench::inputs(const attack::Victim& victim) const {
  return {{"data", w.data_sha256}, {"protection", experiment::protection_hash(victim)}};
}

experiment::Stage AttackBench::measuring_stage(const attack::Victim& victim,
                                               const std::string& name, int version) const {
  experiment::Stage stage{name, version, train::settings_of(e.attack.recipe, "attack."),
                          inputs(victim)};
  stage.settings.insert({{"compute.precision", e.compute.bf16 ? "bfloat16" : "float32"},
                         {"attacks.budget", budget.name},
                         {"attacks.attacked", std::to_string(sets.attacked.size())},
                         {"attacks.known", std::to_string(sets.auxiliary.size())},
                         {"attacks.known_pairs", std::to_string(budget.known_pairs)},
                         {"attacks.optimised", std::to_string(budget.optimised)},
                         {"attacks.optimise_steps", std::to_string(budget.optimise_steps)},
                         {"attack.width", std::to_string(budget.width)}});
  stage.inputs["classifier"] = psi ? experiment::content_hash(*psi) : "none";
  stage.inputs["phi"] = phi.net ? phi.sha256 : "none";
  return stage;
}

std::variant<attack::ThreatModel, std::string> AttackBench::against(
    const attack::Victim& victim, const attack::Attack& attack) const {
  auto against = attack.against(victim);
  if (const auto* model = std::get_if<attack::ThreatModel>(&against)) {
    if (attack.id == "itn-perceptual" && !phi.net) return "phi is not there (phi.file)";
    if (model->auxiliary == attack::Auxiliary::Unrelated && !sets.unrelated)
      return "there are no unrelated pictures: the synthetic ones are of another size, or are "
             "attacked themselves";
  }
  return against;
}

std::optional<nn::Model> AttackBench::service(const attack::Victim& victim) const {
  if (victim.network) return psi;
  if (victim.scheme.options.id.empty()) return std::nullopt;
  const auto point = e.at_scheme(victim.label);
  return experiment::finished_scheme(point, w);
}

std::vector<uint8_t> AttackBench::protected_pictures(const attack::Victim& victim) const {
  return attack::protect(victim, sets.attacked, train::kFirstTestKey, e.compute);
}

std::filesystem::path AttackBench::folder(const attack::Victim& victim,
                                          const std::string& name) const {
  return root / victim.label / name;
}

json to_json(const attack::Budget& b) {
  return {{"name", b.name},
          {"attacked pictures", b.attacked},
          {"own pictures", b.known},
          {"epochs", b.epochs},
          {"known pairs", b.known_pairs},
          {"optimised pictures", b.optimised},
          {"width", b.width},
          {"optimisation steps", b.optimise_steps}};
}

json to_json(const attack::ThreatModel& model) {
  json out;
  for (const auto& [field, value] : attack::fields(model)) out[std::string(field)] = value;
  return out;
}

std::vector<uint32_t> positions(size_t count, size_t available, size_t step, size_t start) {
  std::vector<uint32_t> out;
  for (size_t i = start; i < available && out.size() < count; i += step)
    out.push_back(static_cast<uint32_t>(i));
  return out;
}

image::Image picture_at(const data::Dataset& like, std::span<const uint8_t> images_nhwc, size_t i) {
  const auto bytes = images_nhwc.subspan(i * like.image_bytes(), like.image_bytes());
  return {like.pictures.height(), like.pictures.width(), {bytes.begin(), bytes.end()}};
}

}  // namespace veilnet::eval
