// Networks that turn protected pictures back, as several attacks train them.
#pragma once

#include <functional>
#include <string>

#include "attack/attack.h"
#include "train/loop.h"

namespace veilnet::attack {

/// Minimises the mean squared error between the plain picture and sigmoid(inverse(protected)), both
/// in [0, 1], plus, where phi is given, kPerceptualWeight times the feature distance of arXiv
/// 2008.03143 between them.
class InverseTask : public train::Task {
 public:
  static constexpr double kPerceptualWeight = 0.005;
  explicit InverseTask(nn::Model inverse, std::shared_ptr<nn::FeatureExtractor> phi = nullptr)
      : inverse_(std::move(inverse)), phi_(std::move(phi)) {}
  nn::Model& model() override { return inverse_; }
  train::Losses training_losses(const train::Batch& pairs, const train::StepInfo& info) override;
  std::vector<std::pair<std::string, double>> validation_means(
      const train::Batch& pairs, const train::StepInfo& info) override;

 private:
  nn::Model inverse_;
  std::shared_ptr<nn::FeatureExtractor> phi_;
};

/// Where and how an attacker's network is trained. A finished run of the same key is loaded.
struct TrainingPlan {
  const train::Run& run;
  const train::Recipe& recipe;
  const train::Compute& compute;
};

/// Trains the network that `card` describes (role Inverse) on pairs, which are made when the
/// training starts; `split` says which of them validate. The epoch of lowest validation error is
/// kept. Recipe as for h (`paper`) or ours (`quick`); only joint horizontal flips augment.
/// @throws as train::run_training.
nn::Model train_inverse(const TrainingPlan& plan, const model::Card& card,
                        const std::function<data::Pairs()>& make_pairs, const data::Split& split,
                        const std::shared_ptr<nn::FeatureExtractor>& phi = nullptr);

/// How many pairs or pictures of his own the attacker has.
size_t count_known(const Materials& materials);
/// Which of them train and which validate: every tenth unless the materials say otherwise.
/// @throws Error{InvalidArgument} for fewer than 20.
data::Split split_known(const Materials& materials);

/// The card of an attacker's network of this architecture (nn/inverse.h, or "unet").
model::Card inverse_card(const Materials& materials, const Setting& setting,
                         const std::string& architecture);

/// Trains such a network on what the threat model grants: the pairs, or pairs that the attacker
/// makes himself of his own pictures under keys of his own.
nn::Model inverse_from_pairs(const Materials& materials, const Setting& setting,
                             const std::string& architecture,
                             const std::shared_ptr<nn::FeatureExtractor>& phi = nullptr);

/// What the network makes of the attacked pictures, and what was spent: `count` of `what`.
Outcome outcome_of(const nn::Model& model, const Materials& materials, const Setting& setting,
                   size_t count, const std::string& what);

/// The published network for a scheme: "block_inverse" or "pixel_inverse".
std::string small_network(const Materials& materials);

}  // namespace veilnet::attack
