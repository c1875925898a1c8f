// Convolutions by oneDNN, versions 2.6 to 3.x.
#pragma once

#include <memory>

#include "runtime/convolve.h"

namespace veilnet::runtime {

/// Several sources are first copied together and an enlarged input is first written.
/// @throws Error{Unsupported} if oneDNN has no implementation.
std::unique_ptr<Step> make_onednn_convolution(const ConvolutionJob& job,
                                              const std::shared_ptr<Scratch>& scratch,
                                              PackedWeights& weights);

/// "2.6.3"
std::string onednn_version();

}  // namespace veilnet::runtime
