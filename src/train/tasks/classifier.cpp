#include "train/tasks/classifier.h"

#include "nn/adaptation.h"
#include "train/tasks/losses.h"

namespace veilnet::train {

double accuracy(const torch::Tensor& logits, const torch::Tensor& labels) {
  return logits.argmax(1).eq(labels).to(torch::kDouble).mean().item<double>();
}

Losses ClassifierTask::training_losses(const Batch& batch, const StepInfo&) {
  const auto& [pictures, labels, plain] = batch;
  const auto loss = classification_loss(nn::classify(model_, pictures), labels, label_smoothing_);
  Losses losses{loss, {{"class_loss", loss.detach()}}};
  const auto* adapted = dynamic_cast<const nn::AdaptedClassifier*>(model_.net.get());
  if (adapted && adapted->regularisation().defined()) {
    losses.parts.emplace_back("adaptation_loss", adapted->regularisation().detach());
    losses.total = loss + adapted->regularisation();
  }
  return losses;
}

std::vector<std::pair<std::string, double>> ClassifierTask::validation_means(const Batch& batch,
                                                                             const StepInfo&) {
  const auto& [pictures, labels, plain] = batch;
  const auto logits = nn::classify(model_, pictures);
  return {{"loss", classification_loss(logits, labels).item<double>()},
          {"accuracy", accuracy(logits, labels)}};
}

}  // namespace veilnet::train
