#include "train/tasks/classifier.h"

#include <span>

#include "nn/adaptation.h"
#include "train/tasks/losses.h"

namespace veilnet::train {

double accuracy(const torch::Tensor& logits, const torch::Tensor& labels) {
  return logits.argmax(1).eq(labels).to(torch::kDouble).mean().item<double>();
}

namespace {

torch::Tensor answers_of(Teachers& teachers, const torch::Tensor& pictures) {
  torch::NoGradGuard no_grad;
  auto sum = nn::classify(teachers.models.front(), pictures);
  for (auto& model : std::span(teachers.models).subspan(1))
    sum = sum + nn::classify(model, pictures);
  return sum / static_cast<double>(teachers.models.size());
}

}  // namespace

Losses ClassifierTask::training_losses(const Batch& batch, const StepInfo&) {
  const auto& [pictures, labels, plain] = batch;
  const auto logits = nn::classify(model_, pictures);
  auto loss = classification_loss(logits, labels, label_smoothing_);
  Losses losses{loss, {{"class_loss", loss.detach()}}};
  if (!teachers_.models.empty()) {
    const auto taught =
        distillation_loss(logits, answers_of(teachers_, pictures), teachers_.temperature);
    losses.parts.emplace_back("distillation_loss", taught.detach());
    loss = (1 - teachers_.weight) * loss + teachers_.weight * taught;
    losses.total = loss;
  }
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
