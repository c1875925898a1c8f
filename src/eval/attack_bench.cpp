#include "eval/attack_bench.h"

#include <algorithm>
#include <spdlog/spdlog.h>

#include "attack/pairs.h"
#include "core/error.h"
#include "data/sources.h"
#include "train/scheme.h"

namespace veilnet::eval {

using nlohmann::json;

namespace {

attack::Budget budget_of(const train::Experiment& e) {
  auto budget = attack::budget_named(e.attacks.budget);
  if (e.attacks.attacked > 0) budget.attacked = static_cast<size_t>(e.attacks.attacked);
  if (e.attacks.known > 0) budget.known = static_cast<size_t>(e.attacks.known);
  if (e.attacks.epochs > 0) budget.epochs = e.attacks.epochs;
  budget.width = e.attack.width;
  return budget;
}

}  // namespace

AttackBench::AttackBench(const train::Experiment& experiment)
    : e(experiment),
      w(train::open_workspace(e)),
      budget(budget_of(e)),
      root(e.folder() / "attacks" / e.attacks.budget) {
  sets.attacked = attack::subset(w.data.test, positions(budget.attacked, w.data.test.size()));
  sets.auxiliary = attack::subset(w.data.train, positions(budget.known, w.data.train.size(), 2, 0));
  sets.observed = attack::subset(w.data.train, positions(budget.known, w.data.train.size(), 2, 1));
  if (e.data.source != "synthetic") {
    data::SyntheticOptions options;
    options.train_size = std::max<size_t>(sets.auxiliary.size(), 10);
    auto pictures = data::make_synthetic(options).train;
    if (pictures.height == sets.attacked.height && pictures.width == sets.attacked.width)
      sets.unrelated = std::move(pictures);
  }
  e.attack.recipe.epochs = budget.epochs;
  if (train::is_finished(e.classifier_folder())) {
    psi = train::finished_model(e, e.classifier_folder(), model::Role::Classifier);
    train::check_fits(*psi, w.data, e.classifier_folder() / "model.safetensors");
  } else {
    spdlog::info("{} is not trained: no classifier names the reconstructions",
                 e.classifier_folder().string());
  }
  if (!e.phi.file.empty() || train::is_finished(e.phi_folder())) phi = train::open_phi(e, w);
  judges = {psi ? &*psi : nullptr, phi.net};
  for (const auto& text : e.attacks.transports) transports.push_back(image::transport_from(text));
  for (const auto& label : e.attacks.schemes) victims.push_back(attack::make_victim(e, label));
  for (const auto& attack : attack::attacks()) {
    if (e.attacks.only.empty() ||
        std::ranges::find(e.attacks.only, attack.id) != e.attacks.only.end())
      attacks.push_back(attack);
  }
  for (const auto& id : e.attacks.only) {
    if (std::ranges::find(attacks, id, &attack::Attack::id) != attacks.end()) continue;
    std::string known;
    for (const auto& attack : attack::attacks()) known += (known.empty() ? "" : ", ") + attack.id;
    throw Error(ErrorCode::InvalidArgument, "attacks.only has \"" + id + "\"; allowed: " + known);
  }
}

attack::Outcome AttackBench::attack(const attack::Victim& victim, const attack::Attack& attack,
                                    const attack::ThreatModel& model,
                                    const Variation& variation) const {
  auto materials = attack::grant(victim, variation.sets ? *variation.sets : sets, model, e.compute);
  if (variation.attacked) materials.attacked = *variation.attacked;
  auto experiment = e;
  if (variation.epochs > 0) experiment.attack.recipe.epochs = variation.epochs;
  // Optimisation starts from the same network that itn trains.
  const auto place = attack.id == "optimise" ? "itn" : attack.id;
  return attack.run(materials,
                    {experiment, budget, folder(victim, place) / variation.training, phi.net});
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
  auto point = e;
  point.scheme = victim.scheme;
  if (victim.scheme.options.id.empty() || !train::is_finished(point.scheme_folder()))
    return std::nullopt;
  return train::finished_model(e, point.scheme_folder(), model::Role::Classifier);
}

std::vector<uint8_t> AttackBench::protected_pictures(const attack::Victim& victim) const {
  return attack::protect(victim, sets.attacked, train::kFirstTestKey, e.compute);
}

json AttackBench::setup() const {
  return {{"budget", to_json(budget)},
          {"data", w.data_sha256},
          {"recipe", train::describe(e.attack.recipe)}};
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
  return {like.height, like.width, {bytes.begin(), bytes.end()}};
}

}  // namespace veilnet::eval
