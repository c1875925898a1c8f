// Adaptation networks: small learned front ends that let a classifier work on conventionally
// encrypted pictures.
#pragma once

#include <memory>
#include <string>
#include <torch/nn/modules/batchnorm.h>

#include "nn/network.h"

namespace veilnet::nn {

/// A front end that keeps height and width.
///
/// forward: [N, 3, H, W], sides multiples of the block size -> [N, out_channels, H, W].
class AdaptationNetwork : public Network {
 public:
  virtual int64_t out_channels() const = 0;
  /// What is added to the cross entropy for the latest output; undefined where the network has no
  /// such term.
  virtual torch::Tensor regularisation(const torch::Tensor& /*output*/) const { return {}; }
};

/// "tanaka" (Tanaka 2018): BN, BxB convolution of stride B to 3BB channels, ReLU, BN, 1x1, ReLU,
/// BN, 1x1 to 32BB, pixel shuffle: 32 channels.
///
/// "le" (LE-AdaptNet as Madono et al. 2020 rebuilt it): BxB convolution of stride B to 16BB
/// channels, BN, leaky ReLU 0.1, pixel shuffle: 16 channels.
///
/// "ele" (ELE-AdaptNet, Madono et al. 2020): a spectrally normalised BxB convolution of its own for
/// every block position (to 16BB channels, BN, leaky ReLU 0.2), a learned matrix U over block
/// positions, pixel shuffle: 16 channels. Its regularisation is 1e-3 times the permutation penalty
/// of U (L1 minus L2 norm of rows and columns, over positions squared) plus 1e-1 times the total
/// variation of the first three channels.
///
/// "pixel" (for pixel-based encryption; Sirichotedumrong et al. 2019): 1x1 convolutions with batch
/// normalisation and ReLU. The papers do not say how many; here two, with 32 channels.
///
/// @param block_size B, the scheme's. @param height, width of the pictures; "ele" depends on them.
/// @throws Error{InvalidArgument} for another kind, or sides that are not multiples of the block
/// size.
std::shared_ptr<AdaptationNetwork> make_adaptation(const std::string& kind, int64_t block_size,
                                                   int64_t height, int64_t width);

/// A classifier behind an adaptation network; keys "adaptation.*" and "classifier.*".
class AdaptedClassifier : public Network {
 public:
  AdaptedClassifier(std::shared_ptr<AdaptationNetwork> adaptation,
                    std::shared_ptr<Network> classifier);
  torch::Tensor forward(torch::Tensor input) override;
  /// The adaptation network's term for the latest forward; undefined where there is none.
  torch::Tensor regularisation() const { return regularisation_; }

 private:
  std::shared_ptr<AdaptationNetwork> adaptation_;
  std::shared_ptr<Network> classifier_;
  torch::Tensor regularisation_;
};

}  // namespace veilnet::nn
