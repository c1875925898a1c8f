// Training a classifier: psi on plain pictures, or one that learns from encrypted pictures.
#pragma once

#include "train/task.h"

namespace veilnet::train {

/// Cross entropy on normalised pictures, plus the regularisation of an adaptation network that has
/// one; validation "loss" is the cross entropy without label smoothing, and "accuracy".
class ClassifierTask : public Task {
 public:
  ClassifierTask(nn::Model model, double label_smoothing)
      : model_(std::move(model)), label_smoothing_(label_smoothing) {}
  nn::Model& model() override { return model_; }
  Losses training_losses(const Batch& batch, const StepInfo& info) override;
  std::vector<std::pair<std::string, double>> validation_means(const Batch& batch,
                                                               const StepInfo& info) override;

 private:
  nn::Model model_;
  double label_smoothing_;
};

/// Share of rows of logits [N, classes] whose largest value is at the label, 0 to 1.
double accuracy(const torch::Tensor& logits, const torch::Tensor& labels);

}  // namespace veilnet::train
