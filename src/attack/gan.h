// GAN-Attacks: reconstruction from ciphertexts alone, with the help of unpaired plain pictures.
#pragma once

#include "attack/inverse.h"

namespace veilnet::attack {

enum class GanKind {
  Published,  ///< repository learnable_encryption_robustness: small network, its discriminator,
              ///< non-saturating cross-entropy losses
  Sia  ///< after SIA-GAN (IEEE Access 2021): position-aware network, its discriminator, hinge
       ///< losses
};

/// A generator turns protected pictures into ones that a discriminator cannot tell from plain ones.
/// Both take one joint step: the discriminator's weights are constants of the generator's loss, the
/// generator's output one of the discriminator's.
///
/// Where this differs from the papers: one learning rate for both; SIA-GAN's classifier, which
/// needs the labels of the attacked pictures, is left out, and its generator is
/// nn::PositionInverse.
class GanAttackTask : public train::Task {
 public:
  GanAttackTask(nn::Model generator, GanKind kind, int64_t discriminator_width);
  nn::Model& model() override { return generator_; }
  std::shared_ptr<torch::nn::Module> auxiliary() override { return discriminator_; }
  /// Pairs of pictures that have nothing to do with each other.
  train::Losses training_losses(const train::Batch& pairs, const train::StepInfo& info) override;
  /// "loss" is the generator's.
  std::vector<std::pair<std::string, double>> validation_means(
      const train::Batch& pairs, const train::StepInfo& info) override;

 private:
  nn::Model generator_;
  GanKind kind_;
  std::shared_ptr<nn::Network> discriminator_;
};

/// As train_inverse; the last epoch is kept, because the losses of different epochs do not compare.
nn::Model train_gan_attack(const TrainingPlan& plan, const model::Card& card, GanKind kind,
                           int64_t discriminator_width,
                           const std::function<data::Pairs()>& make_unpaired,
                           const data::Split& split);

}  // namespace veilnet::attack
