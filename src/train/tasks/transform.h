// Training the transformation network h against a frozen classifier psi.
#pragma once

#include <functional>
#include <optional>
#include <torch/nn/modules/linear.h>

#include "core/settings.h"
#include "nn/unet.h"
#include "train/task.h"

namespace veilnet::train {

/// The loss is L = L_class - alpha L_feat (arXiv 2008.03143 eq. 3). The other options are the
/// `quick` recipe's; with their neutral values, which are the `paper` recipe's, nothing is added to
/// the published loss.
struct TransformOptions {
  double alpha = 0.005;
  /// alpha in force for the first `alpha_start_share` of all steps. Equal to alpha in the paper.
  double alpha_start = 0.005;
  double alpha_start_share = 0;
  /// Epochs for which the U-Net's encoder is first trained as a classifier of plain pictures
  /// (nn::UNetEncoder); h starts from it. 0 in the paper.
  int64_t encoder_epochs = 0;
  /// Weight of the cross entropy of a linear classifier on the U-Net's pooled deepest level, or on
  /// a coded h's code (deep supervision: the encoder learns the classes directly instead of through
  /// psi). The linear classifier is dropped after training. 0 in the paper.
  double bottleneck_weight = 0;
  /// Leaves the encoder as it was pre-trained, running statistics too, and trains the rest alone.
  /// bottleneck_weight then has nothing to do in a U-Net. False in the paper.
  bool freeze_encoder = false;
  /// Standard deviation of Gaussian noise on what psi is shown in the first `alpha_start_share` of
  /// all steps. Without it a decoder easily stays where two classes share one pattern, since psi's
  /// gradient there leads nowhere. 0 in the paper.
  double start_noise = 0;
  /// Of a coded h: how many times faster the code learns than the rest, and with it the linear
  /// classifier on it. 1 in the paper, which has no code.
  double code_rate = 1;
  /// Share of each batch on which L_feat is computed: an unbiased estimate at that share of phi's
  /// cost. 1 in the paper.
  double feature_share = 1;
  /// "steps": alpha is as above. "protection": alpha_start is where it begins; it is doubled, up to
  /// 1, at a look that finds h's pictures hardly hidden, and no better than the look before, and
  /// lowered, not below `alpha`, where they are hidden by a margin (docs/recipes.md).
  /// TransformTask::Judge says what a look is.
  std::string drive = "steps";
  /// Weight with which h works against an inverse network that learns beside it to rebuild the
  /// plain picture (a U-Net, mean squared error): min-max training, DeepObfuscator, arXiv
  /// 1909.04126, and ResSFL, arXiv 2205.04007. 0 in the paper.
  double adversary_weight = 0;
  /// Weight of the distance correlation between the plain and the protected pictures of a batch:
  /// NoPeek, arXiv 2008.09161. 0 in the paper.
  double correlation_weight = 0;

  /// Apart from `fields`: added_settings_of.
  template <class Visit>
  void additions(Visit&& visit) {
    visit("adversary_weight", adversary_weight, 0, 1000);
    visit("correlation_weight", correlation_weight, 0, 1000);
    visit("start_noise", start_noise, 0, 1);
    visit("code_rate", code_rate, 0.01, 1000);
    visit("drive", drive, {"steps", "protection"});
  }

  template <class Visit>
  void fields(Visit&& visit) {
    visit("alpha", alpha, 0, 10);
    visit("alpha_start", alpha_start, 0, 10);
    visit("alpha_start_share", alpha_start_share, 0, 1);
    visit("encoder_epochs", encoder_epochs, 0, 100'000);
    visit("bottleneck_weight", bottleneck_weight, 0, 100);
    visit("freeze_encoder", freeze_encoder);
    visit("feature_share", feature_share, 0.01, 1);
  }
};

/// Reads [transform] with the defaults of the recipe. @throws Error{InvalidArgument} for a value
/// out of range.
TransformOptions read_transform_options(Config& config, const std::string& recipe);

/// The same options for another alpha: the starting alpha follows the rule of the recipe.
TransformOptions transform_options_for(TransformOptions options, const std::string& recipe,
                                       double alpha);

class TransformTask : public Task {
 public:
  /// @param h an nn::TransformNetwork. @param psi frozen, evaluation mode, on the compute device,
  /// as is phi. @param encoder what h starts from, or null. @param further other classifiers that
  /// are to say of protected pictures what they say of plain ones, frozen likewise: L_class is the
  /// mean over all of them.
  TransformTask(nn::Model h, nn::Model psi, std::shared_ptr<nn::FeatureExtractor> phi,
                const TransformOptions& options, const nn::UNetEncoder* encoder = nullptr,
                std::vector<nn::Model> further = {});

  /// How well h hides pictures that it does not learn from: measure::Hiding::margin.
  using Judge = std::function<double(const nn::Model& h)>;
  /// Of the way in which alpha follows the judge: raised when the same looks lead to another alpha.
  static constexpr int kDriverVersion = 3;
  /// What drives alpha; needed with drive "protection", and used by it alone.
  void judge_by(Judge judge) { judge_ = std::move(judge); }

  /// alpha as it is now, where it is driven.
  std::optional<double> driven_alpha() const;

  nn::Model& model() override { return h_; }
  std::shared_ptr<torch::nn::Module> auxiliary() override;
  Faster faster() override;
  std::string indivisible() const override;
  Losses training_losses(const Batch& batch, const StepInfo& info) override;
  /// "loss" is L at the final alpha; also L_class, L_feat and psi's accuracy on the protected
  /// pictures.
  std::vector<std::pair<std::string, double>> validation_means(const Batch& batch,
                                                               const StepInfo& info) override;

 private:
  bool is_start(const StepInfo& info) const;
  double alpha_at(const StepInfo& info);

  /// What each classifier is to say: the labels, then the answers of `further_` to plain pictures.
  std::vector<torch::Tensor> answers_to(const torch::Tensor& plain, const torch::Tensor& labels);
  /// L_class: the mean over the classifiers.
  torch::Tensor class_loss_of(const torch::Tensor& shown,
                              const std::vector<torch::Tensor>& answers);

  nn::Model h_, psi_;
  std::vector<nn::Model> further_;
  std::shared_ptr<nn::TransformNetwork> net_;
  std::shared_ptr<nn::FeatureExtractor> phi_;
  TransformOptions options_;
  torch::nn::Linear bottleneck_classifier_{nullptr};
  std::shared_ptr<nn::UNet> adversary_;
  Judge judge_;
  torch::Tensor driven_;                          // alpha and the margin of the last look, [2]
  std::shared_ptr<torch::nn::Module> auxiliary_;  // holds the three above; a checkpoint keeps it
  double alpha_ = 0;                              // of driven_, as of step alpha_step_
  int64_t alpha_step_ = -2;
};

}  // namespace veilnet::train
