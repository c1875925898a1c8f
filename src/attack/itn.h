// The ITN-Attack (arXiv 2008.03143, section on robustness): an inverse transformation network trained on exact pairs.
#pragma once

#include <filesystem>

#include "attack/threat_model.h"
#include "train/experiment.h"

namespace veilnet::attack {

/// The transformation network is public, so exact pairs are to be had without limit.
inline constexpr ThreatModel kItnThreatModel{Method::Public, Access::PublicTransform, Keys::None, Auxiliary::SameDistribution};

/// Both halves of a pair as one picture of twice the height, the 8-bit protected picture above the plain one, so that one flip
/// acts on both. The order of the pictures is kept.
data::Dataset make_pairs(const data::Dataset& plain, const nn::Model& h, const train::Compute& compute);

/// Minimises the mean squared error between the plain picture and sigmoid(unet(protected)), both in [0, 1].
class InverseTask : public train::Task {
 public:
  explicit InverseTask(nn::Model inverse) : inverse_(std::move(inverse)) {}
  nn::Model& model() override { return inverse_; }
  /// pictures: [N, 3, 2H, W], as make_pairs stacks them.
  train::Losses training_losses(const torch::Tensor& pictures, const torch::Tensor& labels,
                                const train::StepInfo& info) override;
  std::vector<std::pair<std::string, double>> validation_means(const torch::Tensor& pictures, const torch::Tensor& labels,
                                                               const train::StepInfo& info) override;

 private:
  nn::Model inverse_;
};

/// Trains the attacker's inverse network for h. The attacker has h (it is public), unlimited exact pairs made from training
/// pictures, and none of the test pictures. Recipe as for h (`paper`) or ours (`quick`); only joint horizontal flips augment;
/// the epoch of lowest validation error is kept.
///
/// The run lives in <run of h>/attack-itn. @throws as train::train_transform.
nn::Model train_itn(const train::Experiment& experiment, const train::Workspace& workspace, const nn::Model& h,
                    train::RunMode mode);

/// 8-bit protected pictures of a data set, NHWC, through a U-Net in evaluation mode; also used to reconstruct.
std::vector<uint8_t> transform_to_bytes(const nn::Model& model, const data::Dataset& pictures, const train::Compute& compute);

}  // namespace veilnet::attack
