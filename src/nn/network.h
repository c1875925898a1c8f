// The interface every trainable network shares, and small building blocks.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>

namespace veilnet::nn {

/// A module with one input and one output tensor.
///
/// Submodules are registered under the names of the reference PyTorch code, so that parameter names
/// equal its state-dict keys. Inputs and outputs are float32 NCHW (logits: [N, classes]).
class Network : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(torch::Tensor input) = 0;
};

/// Parameters and floating-point buffers by state-dict key, in registration order; the integer
/// counter `num_batches_tracked` of batch normalisation is left out because nothing reads it.
std::vector<std::pair<std::string, torch::Tensor>> state_tensors(const torch::nn::Module& module);

/// Number of trainable scalars.
int64_t parameter_count(const torch::nn::Module& module);

/// Moves weights to a device, convolution weights in channels-last memory, which the convolution
/// kernels prefer.
void move_to(torch::nn::Module& module, const torch::Device& device);

}  // namespace veilnet::nn
