// A step that leads from what an inverse network recovers to pictures.
#pragma once

#include <memory>

#include "nn/model.h"
#include "nn/vgg.h"
#include "train/task.h"

namespace veilnet::attack {

/// Learns the velocity of the straight way from a guess g = guess(protected) to the plain picture x
/// (rectified flow, Liu et al., arXiv 2209.03003): at x_t = (1 - t) g + t x, t uniform in [0, 1]
/// for every picture, it minimises the mean squared error of flow(x_t) against x - g, plus
/// InverseTask::kPerceptualWeight times phi's distance between x and where the rest of the way
/// leads.
class FlowTask : public train::Task {
 public:
  /// @param flow a U-Net that learns. @param guess the inverse network, frozen.
  FlowTask(nn::Model flow, nn::Model guess, std::shared_ptr<nn::FeatureExtractor> phi)
      : flow_(std::move(flow)), guess_(std::move(guess)), phi_(std::move(phi)) {}
  nn::Model& model() override { return flow_; }
  train::Losses training_losses(const train::Batch& pairs, const train::StepInfo& info) override;
  std::vector<std::pair<std::string, double>> validation_means(
      const train::Batch& pairs, const train::StepInfo& info) override;

 private:
  nn::Model flow_, guess_;
  std::shared_ptr<nn::FeatureExtractor> phi_;
};

/// One Euler step from g over the whole way: g + flow(g), clamped to [0, 1].
/// @param seen protected pictures, [N, 3, H, W] in [0, 1].
torch::Tensor flow_step(const nn::Model& guess, const nn::Model& flow, const torch::Tensor& seen);

}  // namespace veilnet::attack
