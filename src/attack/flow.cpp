#include "attack/flow.h"

#include <cmath>
#include <filesystem>
#include <torch/utils.h>

#include "attack/inverse.h"
#include "attack/table.h"
#include "core/error.h"
#include "nn/infer.h"
#include "train/tasks/losses.h"

namespace veilnet::attack {
namespace {

torch::Tensor velocity(const nn::Model& flow, const torch::Tensor& at) {
  return nn::at_least_float32(flow.net->forward(at));
}

}  // namespace

train::Losses FlowTask::training_losses(const train::Batch& pairs, const train::StepInfo&) {
  torch::Tensor guess;
  {
    torch::NoGradGuard no_grad;
    guess = nn::transform(guess_, pairs.pictures);
  }
  const auto way = pairs.plain - guess;
  const auto t = torch::rand({guess.size(0), 1, 1, 1}).to(guess.device());
  const auto at = guess + t * way;
  const auto v = velocity(flow_, at);
  const auto mse = torch::mse_loss(v, way);
  const auto distance =
      train::feature_loss(*phi_, phi_->card, (at + (1 - t) * v).clamp(0, 1), pairs.plain);
  return {mse + InverseTask::kPerceptualWeight * distance,
          {{"mse", mse.detach()}, {"feature_distance", distance.detach()}}};
}

std::vector<std::pair<std::string, double>> FlowTask::validation_means(const train::Batch& pairs,
                                                                       const train::StepInfo&) {
  const auto found = flow_step(guess_, flow_, pairs.pictures);
  const double mse = torch::mse_loss(found, pairs.plain).item<double>();
  const double distance = train::feature_loss(*phi_, phi_->card, found, pairs.plain).item<double>();
  return {{"loss", mse + InverseTask::kPerceptualWeight * distance},
          {"psnr_db", -10.0 * std::log10(std::max(mse, 1e-12))}};
}

torch::Tensor flow_step(const nn::Model& guess, const nn::Model& flow, const torch::Tensor& seen) {
  const auto from = nn::transform(guess, seen);
  return (from + velocity(flow, from)).clamp(0, 1);
}

namespace {

// The inverse network is trained in a folder within that of the flow.
Outcome run_flow(const Materials& m, const Setting& s) {
  auto setting = s;
  setting.run.folder /= "member-1";
  setting.run.key += "-1";
  setting.run.resume = std::filesystem::exists(setting.run.folder / "checkpoint" / "state.pt");
  auto guess = inverse_from_pairs(m, setting, "unet");
  nn::move_to(*guess.net, s.compute.device);
  auto flow = train::finished_model(s.run, model::Role::Inverse, s.compute.device);
  if (!flow) {
    torch::manual_seed(s.recipe.seed);
    FlowTask task(nn::make_model(inverse_card(m, s, "unet")), guess, s.phi);
    const data::Pairs pairs(m.run(*m.auxiliary), m.auxiliary->pictures);
    run_training(task, {pairs, split_known(m)}, s.recipe, s.compute, s.run);
    flow = task.model();
  }
  nn::move_to(*flow->net, s.compute.device);
  image::Batch found(m.attacked.height(), m.attacked.width());
  torch::NoGradGuard no_grad;
  const auto bytes = m.attacked.picture_bytes();
  for (size_t at = 0; at < m.attacked.count(); at += nn::kInferenceBatch) {
    const auto n = std::min<size_t>(nn::kInferenceBatch, m.attacked.count() - at);
    const auto pictures = flow_step(
        guess, *flow,
        nn::to_tensor(m.attacked.pixels().subspan(at * bytes, n * bytes), static_cast<int64_t>(n),
                      found.height(), found.width(), s.compute.device));
    if (!torch::isfinite(pictures).all().item<bool>())
      fail(ErrorCode::BadData, "flow: a picture that it found is not finite");
    found.append(nn::to_bytes(pictures));
  }
  return {std::move(found),
          {{"start", "itn"},
           {"training pairs", static_cast<int64_t>(count_known(m))},
           {"recipe", train::describe(s.recipe)}},
          true};
}

}  // namespace

Attack flow() {
  Attack attack{"flow",
                "Trains itn, then a second network for the step that leads from its guesses to "
                "pictures (one Euler step of a rectified flow).",
                [](const Target& t) -> Against {
                  if (!t.network) return "made for transformation networks";
                  return kPublicTransform;
                },
                [](Materials& m, const Setting& s) { return run_flow(m, s); }, "flow"};
  attack.needs_phi = true;
  return attack;
}

}  // namespace veilnet::attack
