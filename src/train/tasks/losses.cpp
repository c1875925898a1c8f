#include "train/tasks/losses.h"

#include <torch/nn/functional/loss.h>

namespace veilnet::train {

torch::Tensor classification_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                                  double label_smoothing) {
  return torch::nn::functional::cross_entropy(
      nn::at_least_float32(logits), labels,
      torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(label_smoothing));
}

torch::Tensor distillation_loss(const torch::Tensor& logits, const torch::Tensor& answers,
                                double temperature) {
  const auto said = torch::log_softmax(nn::at_least_float32(logits) / temperature, 1);
  const auto taught = torch::log_softmax(nn::at_least_float32(answers.detach()) / temperature, 1);
  return temperature * temperature * (taught.exp() * (taught - said)).sum(1).mean();
}

torch::Tensor feature_loss(nn::FeatureExtractor& phi, const model::Card& psi_card,
                           const torch::Tensor& protected_pictures,
                           const torch::Tensor& plain_pictures) {
  torch::Tensor plain_features;
  {
    torch::NoGradGuard no_grad;
    plain_features = nn::at_least_float32(phi.forward(nn::normalise(plain_pictures, psi_card)));
  }
  return torch::mse_loss(
      nn::at_least_float32(phi.forward(nn::normalise(protected_pictures, psi_card))),
      plain_features);
}

torch::Tensor distance_correlation(const torch::Tensor& a, const torch::Tensor& b) {
  const auto centred = [](const torch::Tensor& x) {
    // From the products, whose gradient is finite where two pictures are the same; in float64,
    // which autocast leaves alone: the products of near pictures cancel.
    const auto rows = x.flatten(1).to(torch::kDouble);
    const auto squares = rows.square().sum(1);
    const auto distances =
        (squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * torch::mm(rows, rows.t()))
            .clamp_min(1e-6)
            .sqrt();
    const auto centred =
        distances - distances.mean(0, true) - distances.mean(1, true) + distances.mean();
    return centred.to(torch::kFloat);
  };
  const auto x = centred(a), y = centred(b);
  const auto variances = (x.square().mean() * y.square().mean()).clamp_min(1e-12).sqrt();
  return ((x * y).mean().clamp_min(1e-12) / variances).sqrt();
}

TransformLoss transform_loss(const nn::Model& psi, nn::FeatureExtractor& phi,
                             const torch::Tensor& unet_output, const torch::Tensor& plain_pictures,
                             const torch::Tensor& labels, double alpha) {
  TransformLoss loss;
  const auto protected_pictures = torch::sigmoid(nn::at_least_float32(unet_output));
  loss.logits = nn::classify(psi, protected_pictures);
  loss.class_loss = classification_loss(loss.logits, labels);
  loss.feature_loss = feature_loss(phi, psi.card, protected_pictures, plain_pictures);
  loss.total = loss.class_loss - alpha * loss.feature_loss;
  return loss;
}

}  // namespace veilnet::train
