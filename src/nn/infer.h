// Networks over many pictures, in batches: the one place where evaluation meets LibTorch.
//
// All compute in float32, without gradients, on the device that holds the network's weights.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "image/batch.h"
#include "nn/model.h"
#include "nn/vgg.h"

namespace veilnet::nn {

/// Pictures that go through a network at once.
constexpr int64_t kInferenceBatch = 256;

/// Logits [pictures, classes] of a classifier, on the CPU. @throws Error{BadData} if one is not
/// finite.
torch::Tensor logits(const Model& psi, const image::Batch& pictures);

/// Share of pictures whose largest logit is their label's. 0 to 1. @throws as logits.
double accuracy(const Model& psi, const image::Batch& pictures, std::span<const int32_t> labels);

/// The mean over pictures of the largest probability (softmax). 0 to 1. @throws as logits.
double confidence(const Model& psi, const image::Batch& pictures);

/// Protected (of an Inverse: reconstructed) pictures, rounded to 8 bits. @throws Error{BadData} if
/// an output is not finite.
image::Batch transform(const Model& h, const image::Batch& pictures);

/// The codes of pictures under a coded transformation, and the protected pictures of codes, of that
/// size: transform is the second of the first. @throws Error{InvalidArgument} for a network that is
/// none.
std::vector<std::uint64_t> codes(const Model& h, const image::Batch& pictures);
image::Batch pictures_of(const Model& h, std::span<const std::uint64_t> codes);

/// For each i the mean squared difference of phi's features of a's and b's picture i. `card` holds
/// the normalisation that phi expects. a and b are of the same size and number.
std::vector<double> feature_distances(FeatureExtractor& phi, const model::Card& card,
                                      const image::Batch& a, const image::Batch& b);

/// Calls fn(pictures, labels, first) for consecutive batches of the data set's pictures at these
/// indices: float NCHW in [0, 1] and int64, on `device`.
template <class Fn>
void for_each_batch(const data::Dataset& dataset, std::span<const uint32_t> indices,
                    int64_t batch_size, const torch::Device& device, Fn&& fn) {
  std::vector<uint8_t> bytes;
  for (size_t begin = 0; begin < indices.size(); begin += static_cast<size_t>(batch_size)) {
    const size_t count = std::min(static_cast<size_t>(batch_size), indices.size() - begin);
    bytes.clear();
    std::vector<int64_t> labels;
    for (const auto i : indices.subspan(begin, count)) {
      const auto image = dataset.image(i);
      bytes.insert(bytes.end(), image.begin(), image.end());
      labels.push_back(dataset.labels[i]);
    }
    fn(to_tensor(bytes, static_cast<int64_t>(count), dataset.pictures.height(),
                 dataset.pictures.width(), device),
       torch::tensor(labels, torch::kLong).to(device), begin);
  }
}

}  // namespace veilnet::nn
