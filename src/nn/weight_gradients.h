// How the gradients of convolutions' weights are divided among the processor's threads.
#pragma once

namespace veilnet::nn {

/// From here on every thread computes the gradient of a convolution's weights over pictures of its
/// own, and the parts are added in a fixed order; results depend on the number of threads, as
/// oneDNN's do. Threads that oneDNN divides this work among wait for each other spinning and
/// without end, so that beside other work of the machine a training all but stands still, however
/// OpenMP is told to wait (docs/performance.md). Changes nothing on other devices.
/// May be called again, and from several threads.
void divide_weight_gradients();

}  // namespace veilnet::nn
