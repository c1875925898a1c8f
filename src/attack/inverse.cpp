#include "attack/inverse.h"

#include <cmath>
#include <torch/utils.h>

#include "core/error.h"
#include "core/version.h"
#include "nn/infer.h"
#include "train/tasks/losses.h"

namespace veilnet::attack {

train::Losses InverseTask::training_losses(const train::Batch& pairs, const train::StepInfo&) {
  const auto guess = nn::transform(inverse_, pairs.pictures);
  const auto mse = torch::mse_loss(guess, pairs.plain);
  if (!phi_) return {mse, {{"mse", mse.detach()}}};
  const auto distance = train::feature_loss(*phi_, phi_->card, guess, pairs.plain);
  return {mse + kPerceptualWeight * distance,
          {{"mse", mse.detach()}, {"feature_distance", distance.detach()}}};
}

std::vector<std::pair<std::string, double>> InverseTask::validation_means(const train::Batch& pairs,
                                                                          const train::StepInfo&) {
  const auto guess = nn::transform(inverse_, pairs.pictures);
  const double mse = torch::mse_loss(guess, pairs.plain).item<double>();
  double loss = mse;
  if (phi_) {
    loss += kPerceptualWeight *
            train::feature_loss(*phi_, phi_->card, guess, pairs.plain).item<double>();
  }
  return {{"loss", loss}, {"psnr_db", -10.0 * std::log10(std::max(mse, 1e-12))}};
}

nn::Model train_inverse(const TrainingPlan& plan, const model::Card& card,
                        const std::function<data::Pairs()>& make_pairs, const data::Split& split,
                        const std::shared_ptr<nn::FeatureExtractor>& phi) {
  if (auto model = train::finished_model(plan.run, model::Role::Inverse, plan.compute.device))
    return std::move(*model);
  torch::manual_seed(plan.recipe.seed);
  InverseTask task(nn::make_model(card), phi);
  const auto pairs = make_pairs();
  run_training(task, {pairs, split}, plan.recipe, plan.compute, plan.run);
  return task.model();
}

model::Card inverse_card(const Materials& m, const Setting& s, const std::string& architecture) {
  model::Card card;
  card.role = model::Role::Inverse;
  card.architecture = architecture;
  card.height = m.attacked.height();
  card.width = m.attacked.width();
  if (architecture == "unet" || architecture == "position_inverse")
    card.base_width = s.budget.width;
  const bool blocks = !m.scheme.id.empty() && cipher::scheme_spec(m.scheme.id).blocks;
  if (architecture == "block_inverse") card.block_size = m.scheme.block_size;
  if (architecture == "position_inverse") card.block_size = blocks ? m.scheme.block_size : 1;
  card.notes = {{"commit", commit()}, {"threat_model", to_text(m.granted)}};
  return card;
}

nn::Model inverse_from_pairs(const Materials& m, const Setting& s, const std::string& architecture,
                             const std::shared_ptr<nn::FeatureExtractor>& phi) {
  auto recipe = s.recipe;
  // A flipped pair is one of the same transformation where neither key nor weights know positions.
  recipe.flip = recipe.flip && architecture == "unet";
  const auto pairs = [&] {
    return m.pairs ? *m.pairs : data::Pairs(m.run(*m.auxiliary), m.auxiliary->pictures);
  };
  return train_inverse({s.run, recipe, s.compute}, inverse_card(m, s, architecture), pairs,
                       split_known(m), phi);
}

Outcome outcome_of(const nn::Model& model, const Materials& m, const Setting& s, size_t count,
                   const std::string& what) {
  return {nn::transform(model, m.attacked),
          {{"network", model::describe(model.card)},
           {what, static_cast<int64_t>(count)},
           {"recipe", train::describe(s.recipe)}},
          true};
}

std::string small_network(const Materials& m) {
  return cipher::scheme_spec(m.scheme.id).blocks ? "block_inverse" : "pixel_inverse";
}

size_t count_known(const Materials& m) { return m.pairs ? m.pairs->count() : m.auxiliary->size(); }

data::Split split_known(const Materials& m) {
  if (m.split) return *m.split;
  const auto count = static_cast<uint32_t>(count_known(m));
  if (count < 20)
    fail(ErrorCode::InvalidArgument,
         "a trained attack has {} pictures to learn from; allowed: 20 or more (attacks.known)",
         count);
  data::Split split;
  for (uint32_t i = 0; i < count; ++i) (i % 10 == 9 ? split.validation : split.train).push_back(i);
  return split;
}

}  // namespace veilnet::attack
