#include "attack/itn.h"

#include <torch/utils.h>

#include "core/error.h"
#include "core/version.h"
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
  const auto& e = plan.experiment;
  if (plan.mode == train::RunMode::Complete && train::is_finished(plan.folder))
    return train::finished_model(e, plan.folder, model::Role::Inverse);
  const auto options = train::start_run(e, plan.folder, plan.title, plan.mode);
  torch::manual_seed(e.attack.recipe.seed);
  InverseTask task(nn::make_model(card), phi);
  run_training(task, make_pairs(), split, e.attack.recipe, e.compute, options);
  return task.model();
}

nn::Model train_itn(const train::Experiment& e, const train::Workspace& w, const nn::Model& h,
                    train::RunMode mode) {
  const auto folder = e.transform_folder() / "attack-itn";
  if (mode == train::RunMode::Complete && train::is_finished(folder))
    return train::finished_model(e, folder, model::Role::Inverse);
  if (h.card.height != w.data.train.height || h.card.width != w.data.train.width) {
    throw Error(ErrorCode::InvalidArgument,
                "the attacked model was trained on " + std::to_string(h.card.height) + "x" +
                    std::to_string(h.card.width) + " pictures; the data set " + w.data.train.name +
                    " has " + std::to_string(w.data.train.height) + "x" +
                    std::to_string(w.data.train.width));
  }
  model::Card card = h.card;
  card.role = model::Role::Inverse;
  card.base_width = e.attack.width;
  card.notes = {{"config_sha256", e.config_sha256},
                {"data_sha256", w.data_sha256},
                {"commit", commit()},
                {"attacks_alpha", h.card.notes.at("alpha")}};
  return train_inverse(
      {e, folder, "ITN-Attack, alpha " + train::alpha_text(e.transform.options.alpha), mode}, card,
      [&] { return stack_pairs(transform_to_bytes(h, w.data.train, e.compute), w.data.train); },
      w.split);
}

}  // namespace veilnet::attack
