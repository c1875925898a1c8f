// What the U-Net and the networks that share its encoder are put together from.
#pragma once

#include <string>
#include <torch/nn/modules/container/sequential.h>
#include <vector>

namespace veilnet::nn {

/// 3x3 convolution, batch normalisation, ReLU, twice.
torch::nn::Sequential double_conv(int64_t in, int64_t out);

/// Nearest-neighbour up-sampling by two, 3x3 convolution, batch normalisation, ReLU.
torch::nn::Sequential up_conv(int64_t in, int64_t out);

/// Registers `body` as <name>.<key>, the names of the reference code. @return body.
torch::nn::Sequential add_part(torch::nn::Module& parent, const std::string& name, const char* key,
                               const torch::nn::Sequential& body);

/// The encoder's five levels, conv1 to conv5, of width, 2 width, ... 16 width channels.
/// @throws Error{InvalidArgument} unless width is 1 to 256.
std::vector<torch::nn::Sequential> add_unet_encoder(torch::nn::Module& parent, int64_t width);

/// Outputs of all levels, the deepest last: [N, 16 width, H/16, W/16].
/// @param learns false: without gradients, and with the statistics that are there, whatever mode
/// the levels are in; they are left in evaluation mode.
std::vector<torch::Tensor> encode(const std::vector<torch::nn::Sequential>& levels,
                                  torch::Tensor pictures, bool learns = true);

}  // namespace veilnet::nn
