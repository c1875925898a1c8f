// How LibTorch computes convolutions on the processor.
#pragma once

namespace veilnet::nn {

/// From here on, on the CPU:
///
/// - 3x3 convolutions of stride 1 and padding 1 in float32, weights or input channels-last, are
///   computed in the runtime's way (runtime/train_convolve.h), sums and gradients, where that is
///   expected to be faster: errors of 2e-5 of the largest value at most, instead of 1e-6.
/// - Of all others, every thread computes the gradient of the weights over pictures of its own, and
///   the parts are added in a fixed order. Threads that oneDNN divides this work among wait for
///   each other spinning and without end, so that beside other work of the machine a training all
///   but stands still, however OpenMP is told to wait (docs/performance.md).
///
/// Results depend on the number of threads, as oneDNN's do, and on the instruction set.
/// May be called again, and from several threads.
void use_own_convolutions();

}  // namespace veilnet::nn
