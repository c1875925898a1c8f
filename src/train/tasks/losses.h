// The loss of the transformation network.
#pragma once

#include <torch/types.h>

#include "nn/model.h"

namespace veilnet::train {

/// Cross entropy with label smoothing, mean over the batch. logits [N, classes], labels int64 [N].
torch::Tensor classification_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                                  double label_smoothing = 0);

/// T^2 times the mean over the batch of the Kullback-Leibler divergence of softmax(logits / T) from
/// softmax(answers / T) (arXiv 1503.02531). Both [N, classes]; gradients flow into `logits` only.
torch::Tensor distillation_loss(const torch::Tensor& logits, const torch::Tensor& answers,
                                double temperature);

/// L_feat of arXiv 2008.03143 eq. 6: mean over batch, channels and positions of (phi(n(protected))
/// - phi(n(plain)))^2. Both inputs are pictures in [0, 1]; n is psi's normalisation. Gradients flow
/// into `protected_pictures` only.
torch::Tensor feature_loss(nn::FeatureExtractor& phi, const model::Card& psi_card,
                           const torch::Tensor& protected_pictures,
                           const torch::Tensor& plain_pictures);

/// Distance correlation of two batches, [N, ...] each, N at least 2: 0 for independent ones, 1
/// where one is the other turned and scaled (Szekely et al. 2007). Scalar.
torch::Tensor distance_correlation(const torch::Tensor& a, const torch::Tensor& b);

/// L = L_class - alpha L_feat (eq. 3) for protected = sigmoid(unet_output).
struct TransformLoss {
  torch::Tensor total, class_loss, feature_loss, logits;
};
TransformLoss transform_loss(const nn::Model& psi, nn::FeatureExtractor& phi,
                             const torch::Tensor& unet_output, const torch::Tensor& plain_pictures,
                             const torch::Tensor& labels, double alpha);

}  // namespace veilnet::train
