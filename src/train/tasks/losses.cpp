#include "train/tasks/losses.h"

#include <torch/nn/functional/loss.h>

namespace veilnet::train {

torch::Tensor classification_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                                  double label_smoothing) {
  return torch::nn::functional::cross_entropy(
      logits.to(torch::kFloat), labels,
      torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(label_smoothing));
}

torch::Tensor feature_loss(nn::FeatureExtractor& phi, const model::Card& psi_card,
                           const torch::Tensor& protected_pictures,
                           const torch::Tensor& plain_pictures) {
  torch::Tensor plain_features;
  {
    torch::NoGradGuard no_grad;
    plain_features = phi.forward(nn::normalise(plain_pictures, psi_card)).to(torch::kFloat);
  }
  return torch::mse_loss(phi.forward(nn::normalise(protected_pictures, psi_card)).to(torch::kFloat),
                         plain_features);
}

TransformLoss transform_loss(const nn::Model& psi, nn::FeatureExtractor& phi,
                             const torch::Tensor& unet_output, const torch::Tensor& plain_pictures,
                             const torch::Tensor& labels, double alpha) {
  TransformLoss loss;
  const auto protected_pictures = torch::sigmoid(unet_output.to(torch::kFloat));
  loss.logits = nn::classify(psi, protected_pictures);
  loss.class_loss = classification_loss(loss.logits, labels);
  loss.feature_loss = feature_loss(phi, psi.card, protected_pictures, plain_pictures);
  loss.total = loss.class_loss - alpha * loss.feature_loss;
  return loss;
}

}  // namespace veilnet::train
