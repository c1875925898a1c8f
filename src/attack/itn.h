// The ITN-Attack (arXiv 2008.03143, section on robustness): an inverse transformation network
// trained on exact pairs.
#pragma once

#include "attack/pairs.h"
#include "attack/threat_model.h"
#include "train/loop.h"

namespace veilnet::attack {

/// The transformation network is public, so exact pairs are to be had without limit.
inline constexpr ThreatModel kItnThreatModel{Method::Public, Access::PublicTransform, Keys::None,
                                             Auxiliary::SameDistribution};

/// Minimises the mean squared error between the plain picture and sigmoid(inverse(protected)), both
/// in [0, 1], plus, where phi is given, kPerceptualWeight times the feature distance of arXiv
/// 2008.03143 between them.
class InverseTask : public train::Task {
 public:
  static constexpr double kPerceptualWeight = 0.005;
  explicit InverseTask(nn::Model inverse, std::shared_ptr<nn::FeatureExtractor> phi = nullptr)
      : inverse_(std::move(inverse)), phi_(std::move(phi)) {}
  nn::Model& model() override { return inverse_; }
  /// pictures: [N, 3, 2H, W], as stack_pairs makes them.
  train::Losses training_losses(const torch::Tensor& pictures, const torch::Tensor& labels,
                                const train::StepInfo& info) override;
  std::vector<std::pair<std::string, double>> validation_means(
      const torch::Tensor& pictures, const torch::Tensor& labels,
      const train::StepInfo& info) override;

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

/// Trains the network that `card` describes (role Inverse) on stacked pairs, which are made when
/// the training starts; `split` says which of them validate. The epoch of lowest validation error
/// is kept. Recipe as for h (`paper`) or ours (`quick`); only joint horizontal flips augment.
/// @throws as train::run_training.
nn::Model train_inverse(const TrainingPlan& plan, const model::Card& card,
                        const std::function<data::Dataset()>& make_pairs, const data::Split& split,
                        const std::shared_ptr<nn::FeatureExtractor>& phi = nullptr);

}  // namespace veilnet::attack
