// The GAN-based transformation, after Sirichotedumrong and Kiya (arXiv 2006.01342).
#pragma once

#include "core/settings.h"
#include "nn/vgg.h"
#include "train/task.h"

namespace veilnet::train {

/// Weights of the generators' loss terms. The paper's layers, target domain and weights are not
/// public; these are our choices, so this is "after" the paper and no reproduction of it.
struct GanOptions {
  int64_t discriminator_width = 32;
  double adversarial_weight = 1;
  double classification_weight = 1;  ///< cross entropy of the frozen psi on protected pictures
  double pixel_weight = 10;         ///< mean squared error of the cycle plain -> protected -> plain
  double perceptual_weight = 0.02;  ///< mean squared distance of phi's features over the same cycle

  template <class Visit>
  void fields(Visit&& visit) {
    visit("discriminator_width", discriminator_width, 1, 512);
    visit("adversarial_weight", adversarial_weight, 0, 1e4);
    visit("classification_weight", classification_weight, 0, 1e4);
    visit("pixel_weight", pixel_weight, 0, 1e4);
    visit("perceptual_weight", perceptual_weight, 0, 1e4);
  }
};

/// A CycleGAN: G turns plain pictures into pictures that a discriminator cannot tell from
/// noise-like ones (here: other pictures of the batch under pixel-based encryption with a fresh key
/// each), F turns them back, and a second discriminator judges F's output against plain pictures.
/// Least-squares adversarial losses. Generators and discriminators take one joint step: each
/// discriminator's parameters are held constant in the generators' loss, and its input in its own.
///
/// The cycle teaches G to keep what F needs, so the scheme is invertible by construction for
/// whoever trains an F.
class GanTask : public Task {
 public:
  /// @param g a U-Net. @param psi frozen, evaluation mode, on the compute device, as is phi.
  GanTask(nn::Model g, nn::Model psi, std::shared_ptr<nn::FeatureExtractor> phi,
          const GanOptions& options);

  nn::Model& model() override { return g_; }
  std::shared_ptr<torch::nn::Module> auxiliary() override;
  std::string indivisible() const override {
    return "the GAN-based transformation mixes the pictures of a batch";
  }
  Losses training_losses(const Batch& batch, const StepInfo& info) override;
  /// "loss" is psi's cross entropy on the protected pictures; also its accuracy and the cycle's
  /// PSNR in dB.
  std::vector<std::pair<std::string, double>> validation_means(const Batch& batch,
                                                               const StepInfo& info) override;

 private:
  struct Adversaries;
  nn::Model g_, psi_;
  std::shared_ptr<nn::FeatureExtractor> phi_;
  GanOptions options_;
  std::shared_ptr<Adversaries> adversaries_;
};

}  // namespace veilnet::train
