#include "attack/gan.h"

#include <torch/nn/functional/activation.h>
#include <torch/utils.h>

#include "attack/table.h"
#include "nn/discriminator.h"

namespace veilnet::attack {
namespace {

torch::Tensor generator_loss(GanKind kind, const torch::Tensor& scores) {
  return kind == GanKind::Sia ? -scores.to(torch::kFloat).mean()
                              : torch::softplus(-scores.to(torch::kFloat)).mean();
}

torch::Tensor discriminator_loss(GanKind kind, const torch::Tensor& real,
                                 const torch::Tensor& made) {
  const auto r = real.to(torch::kFloat), m = made.to(torch::kFloat);
  return kind == GanKind::Sia ? torch::relu(1 - r).mean() + torch::relu(1 + m).mean()
                              : torch::softplus(-r).mean() + torch::softplus(m).mean();
}

Outcome run(const Materials& m, const Setting& s, GanKind kind, const std::string& architecture) {
  const auto unpaired = [&] { return data::Pairs(m.ciphertexts, m.auxiliary->pictures); };
  const auto model =
      train_gan_attack({s.run, s.recipe, s.compute}, inverse_card(m, s, architecture), kind,
                       kind == GanKind::Sia ? 2 * s.budget.width : 64, unpaired, split_known(m));
  auto outcome = outcome_of(model, m, s, m.auxiliary->size(), "unpaired pictures of each kind");
  outcome.trained = false;  // adversarial losses do not say whether a training has ended
  return outcome;
}

}  // namespace

GanAttackTask::GanAttackTask(nn::Model generator, GanKind kind, int64_t discriminator_width)
    : generator_(std::move(generator)),
      kind_(kind),
      discriminator_(nn::make_attack_discriminator(kind == GanKind::Sia ? "sia" : "gan",
                                                   discriminator_width, generator_.card.height,
                                                   generator_.card.width)) {}

train::Losses GanAttackTask::training_losses(const train::Batch& pairs, const train::StepInfo&) {
  const auto made = nn::transform(generator_, pairs.pictures);
  // The graph keeps whether a parameter wanted a gradient when it was built: the discriminator is a
  // constant of this part.
  for (auto& p : discriminator_->parameters()) p.set_requires_grad(false);
  const auto deceive = generator_loss(kind_, discriminator_->forward(made));
  for (auto& p : discriminator_->parameters()) p.set_requires_grad(true);
  const auto judge = discriminator_loss(kind_, discriminator_->forward(pairs.plain),
                                        discriminator_->forward(made.detach()));
  return {deceive + judge,
          {{"generator_loss", deceive.detach()}, {"discriminator_loss", judge.detach()}}};
}

std::vector<std::pair<std::string, double>> GanAttackTask::validation_means(
    const train::Batch& pairs, const train::StepInfo&) {
  const auto made = nn::transform(generator_, pairs.pictures);
  discriminator_->eval();
  const double loss = generator_loss(kind_, discriminator_->forward(made)).item<double>();
  discriminator_->train();
  return {{"loss", loss}};
}

nn::Model train_gan_attack(const TrainingPlan& plan, const model::Card& card, GanKind kind,
                           int64_t discriminator_width,
                           const std::function<data::Pairs()>& make_unpaired,
                           const data::Split& split) {
  if (auto model = train::finished_model(plan.run, model::Role::Inverse, plan.compute.device))
    return std::move(*model);
  auto recipe = plan.recipe;
  recipe.optimizer = "adamw";
  recipe.lr = 2e-4;
  recipe.beta1 = kind == GanKind::Sia ? 0 : 0.5;
  recipe.weight_decay = 0;
  recipe.schedule = "step";
  recipe.milestones.clear();
  recipe.select = "last";
  recipe.flip = false;  // keys belong to positions
  torch::manual_seed(recipe.seed);
  GanAttackTask task(nn::make_model(card), kind, discriminator_width);
  const auto pictures = make_unpaired();
  run_training(task, {pictures, split}, recipe, plan.compute, plan.run);
  return task.model();
}

Attack gan() {
  return {
      "gan",
      "Trains the published small network so that its output cannot be told from plain pictures "
      "(GAN-Attack).",
      [](const Target& t) -> Against {
        if (!t.keyed())
          return "the published networks are for keyed schemes; exact pairs are to be had here, "
                 "see itn";
        return ciphertext_only(t, Auxiliary::SameDistribution);
      },
      [](Materials& m, const Setting& s) {
        return run(m, s, GanKind::Published, small_network(m));
      },
      "gan",
      25};
}

Attack sia_gan() {
  return {
      "sia-gan",
      "The same with weights for every position, a stronger discriminator and hinge losses "
      "(after SIA-GAN).",
      [](const Target& t) -> Against {
        if (t.keys == Keys::None || t.drawn_anew())
          return "exact pairs are to be had here, see itn";
        return ciphertext_only(t, Auxiliary::SameDistribution);
      },
      [](Materials& m, const Setting& s) { return run(m, s, GanKind::Sia, "position_inverse"); },
      "sia-gan",
      100};
}

}  // namespace veilnet::attack
