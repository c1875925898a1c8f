// Training a classifier: psi on plain pictures, or one that learns from encrypted pictures.
#pragma once

#include <utility>
#include <vector>

#include "train/task.h"

namespace veilnet::train {

/// Frozen classifiers of the same classes, in evaluation mode on the compute device, whose answers
/// (the mean of their logits) another learns (distillation, arXiv 1503.02531): `weight` of the loss
/// is T^2 times the Kullback-Leibler divergence of both answers at temperature T, the rest the
/// cross entropy with the labels.
struct Teachers {
  std::vector<nn::Model> models;  ///< empty: nobody teaches
  double weight = 0;              ///< 0 to 1
  double temperature = 1;         ///< T, above 0
};

/// Cross entropy on normalised pictures, plus the regularisation of an adaptation network that has
/// one; validation "loss" is the cross entropy without label smoothing, and "accuracy".
class ClassifierTask : public Task {
 public:
  ClassifierTask(nn::Model model, double label_smoothing, Teachers teachers = {})
      : model_(std::move(model)),
        label_smoothing_(label_smoothing),
        teachers_(std::move(teachers)) {}
  nn::Model& model() override { return model_; }
  Losses training_losses(const Batch& batch, const StepInfo& info) override;
  std::vector<std::pair<std::string, double>> validation_means(const Batch& batch,
                                                               const StepInfo& info) override;

 private:
  nn::Model model_;
  double label_smoothing_;
  Teachers teachers_;
};

/// Share of rows of logits [N, classes] whose largest value is at the label, 0 to 1.
double accuracy(const torch::Tensor& logits, const torch::Tensor& labels);

}  // namespace veilnet::train
