#include "attack/itn.h"

#include <torch/utils.h>

#include "train/losses.h"

namespace veilnet::attack {
train::Losses InverseTask::training_losses(const torch::Tensor& pictures, const torch::Tensor&,
                                           const train::StepInfo&) {
  const auto [guess, plain] = guess_upper(inverse_, pictures);
  const auto mse = torch::mse_loss(guess, plain);
  if (!phi_) return {mse, {{"mse", mse.detach()}}};
  const auto distance = train::feature_loss(*phi_, model::Card(), guess, plain);
  return {mse + kPerceptualWeight * distance,
          {{"mse", mse.detach()}, {"feature_distance", distance.detach()}}};
}

std::vector<std::pair<std::string, double>> InverseTask::validation_means(
    const torch::Tensor& pictures, const torch::Tensor&, const train::StepInfo&) {
  const auto [guess, plain] = guess_upper(inverse_, pictures);
  const double mse = torch::mse_loss(guess, plain).item<double>();
  double loss = mse;
  if (phi_) {
    loss +=
        kPerceptualWeight * train::feature_loss(*phi_, model::Card(), guess, plain).item<double>();
  }
  return {{"loss", loss}, {"psnr_db", -10.0 * std::log10(std::max(mse, 1e-12))}};
}

nn::Model train_inverse(const TrainingPlan& plan, const model::Card& card,
                        const std::function<data::Dataset()>& make_pairs, const data::Split& split,
                        const std::shared_ptr<nn::FeatureExtractor>& phi) {
  if (auto model = train::finished_model(plan.run, model::Role::Inverse, plan.compute.device))
    return std::move(*model);
  torch::manual_seed(plan.recipe.seed);
  InverseTask task(nn::make_model(card), phi);
  const auto pairs = make_pairs();
  run_training(task, {pairs, split, {}}, plan.recipe, plan.compute, plan.run);
  return task.model();
}

}  // namespace veilnet::attack
