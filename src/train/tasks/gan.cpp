#include "train/tasks/gan.h"

#include <cmath>

#include "nn/discriminator.h"
#include "nn/unet.h"
#include "train/tasks/classifier.h"
#include "train/tasks/losses.h"

namespace veilnet::train {
namespace {

void set_trainable(torch::nn::Module& module, bool trainable) {
  for (auto& p : module.parameters()) p.set_requires_grad(trainable);
}

torch::Tensor distance_to(const torch::Tensor& scores, double target) {
  return (scores.to(torch::kFloat) - target).square().mean();
}

// The target domain: other pictures of the batch, each value complemented with probability 1/2.
torch::Tensor noise_like(const torch::Tensor& pictures) {
  const auto others = pictures.roll(1, 0);
  return torch::where(torch::rand_like(others) < 0.5, others, 1 - others);
}

}  // namespace

struct GanTask::Adversaries : torch::nn::Module {
  Adversaries(int64_t width, int64_t discriminator_width)
      : back(register_module("back", std::make_shared<nn::UNet>(width))),
        judge_protected(register_module(
            "judge_protected", std::make_shared<nn::PatchDiscriminator>(discriminator_width))),
        judge_plain(register_module(
            "judge_plain", std::make_shared<nn::PatchDiscriminator>(discriminator_width))) {}
  std::shared_ptr<nn::UNet> back;  // F
  std::shared_ptr<nn::PatchDiscriminator> judge_protected, judge_plain;
};

GanTask::GanTask(nn::Model g, nn::Model psi, std::shared_ptr<nn::FeatureExtractor> phi,
                 const GanOptions& options)
    : g_(std::move(g)),
      psi_(std::move(psi)),
      phi_(std::move(phi)),
      options_(options),
      adversaries_(std::make_shared<Adversaries>(g_.card.base_width, options.discriminator_width)) {
}

std::shared_ptr<torch::nn::Module> GanTask::auxiliary() { return adversaries_; }

Losses GanTask::training_losses(const Batch& batch, const StepInfo&) {
  const auto& [pictures, labels, plain] = batch;
  auto& a = *adversaries_;
  const auto protected_pictures = nn::transform(g_, pictures);
  const auto back = torch::sigmoid(a.back->forward(protected_pictures));

  // The graph keeps whether a parameter wanted a gradient when it was built: discriminators are
  // constants of this part.
  set_trainable(*a.judge_protected, false);
  set_trainable(*a.judge_plain, false);
  const auto adversarial = distance_to(a.judge_protected->forward(protected_pictures), 1) +
                           distance_to(a.judge_plain->forward(back), 1);
  set_trainable(*a.judge_protected, true);
  set_trainable(*a.judge_plain, true);

  const auto class_loss = classification_loss(nn::classify(psi_, protected_pictures), labels);
  const auto pixel_loss = torch::mse_loss(back, pictures);
  const auto perceptual_loss = feature_loss(*phi_, psi_.card, back, pictures);
  const auto judges = distance_to(a.judge_protected->forward(noise_like(pictures)), 1) +
                      distance_to(a.judge_protected->forward(protected_pictures.detach()), 0) +
                      distance_to(a.judge_plain->forward(pictures), 1) +
                      distance_to(a.judge_plain->forward(back.detach()), 0);
  const auto total = options_.adversarial_weight * adversarial +
                     options_.classification_weight * class_loss +
                     options_.pixel_weight * pixel_loss +
                     options_.perceptual_weight * perceptual_loss + 0.5 * judges;
  return {total,
          {{"class_loss", class_loss.detach()},
           {"pixel_loss", pixel_loss.detach()},
           {"perceptual_loss", perceptual_loss.detach()},
           {"adversarial_loss", adversarial.detach()},
           {"discriminator_loss", judges.detach()}}};
}

std::vector<std::pair<std::string, double>> GanTask::validation_means(const Batch& batch,
                                                                      const StepInfo&) {
  const auto& [pictures, labels, plain] = batch;
  const auto protected_pictures = nn::transform(g_, pictures);
  const auto logits = nn::classify(psi_, protected_pictures);
  adversaries_->back->eval();
  const double mse =
      torch::mse_loss(torch::sigmoid(adversaries_->back->forward(protected_pictures)), pictures)
          .item<double>();
  adversaries_->back->train();
  return {{"loss", classification_loss(logits, labels).item<double>()},
          {"accuracy", accuracy(logits, labels)},
          {"cycle_psnr_db", -10.0 * std::log10(std::max(mse, 1e-12))}};
}

}  // namespace veilnet::train
