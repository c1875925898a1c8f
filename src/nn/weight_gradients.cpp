#include "nn/weight_gradients.h"

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/convolution_backward_native.h>
#include <exception>
#include <memory>
#include <omp.h>
#include <torch/library.h>
#include <torch/types.h>
#include <vector>

namespace veilnet::nn {
namespace {

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

struct Convolution {
  at::IntArrayRef stride, padding, dilation;
  bool transposed;
  at::IntArrayRef output_padding;
  int64_t groups;

  Gradients backward(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                     at::OptionalIntArrayRef bias_sizes, std::array<bool, 3> wanted) const {
    return at::native::convolution_backward(gradient, input, weight, bias_sizes, stride, padding,
                                            dilation, transposed, output_padding, groups, wanted);
  }
};

// The gradient of the weights, every thread's over an equal share of the pictures.
at::Tensor divided(const Convolution& convolution, int threads, const at::Tensor& gradient,
                   const at::Tensor& input, const at::Tensor& weight) {
  std::vector<at::Tensor> parts(static_cast<size_t>(threads));
  std::vector<std::exception_ptr> failures(parts.size());
  const auto pictures = input.size(0);
#pragma omp parallel num_threads(threads)
  {
    const auto thread = omp_get_thread_num();
    // Of this thread only: oneDNN plans with it.
    omp_set_num_threads(1);
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    try {
      for (int part = thread; part < threads; part += omp_get_num_threads()) {
        const auto first = pictures * part / threads, end = pictures * (part + 1) / threads;
        const auto of = [&](const at::Tensor& t) { return t.narrow(0, first, end - first); };
        parts[static_cast<size_t>(part)] = std::get<1>(convolution.backward(
            of(gradient), of(input), weight, at::nullopt, {false, true, false}));
      }
    } catch (...) {
      failures[static_cast<size_t>(thread)] = std::current_exception();
    }
  }
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
  for (size_t i = 1; i < parts.size(); ++i) parts[0].add_(parts[i]);
  return parts[0];
}

Gradients convolution_backward(const at::Tensor& gradient, const at::Tensor& input,
                               const at::Tensor& weight, at::OptionalIntArrayRef bias_sizes,
                               at::IntArrayRef stride, at::IntArrayRef padding,
                               at::IntArrayRef dilation, bool transposed,
                               at::IntArrayRef output_padding, int64_t groups,
                               std::array<bool, 3> wanted) {
  const Convolution convolution{stride, padding, dilation, transposed, output_padding, groups};
  const auto threads = at::get_num_threads();
  if (!wanted[1] || threads < 2 || omp_in_parallel() || input.dim() != 4 || input.size(0) < threads)
    return convolution.backward(gradient, input, weight, bias_sizes, wanted);
  Gradients gradients;
  if (wanted[0] || wanted[2])
    gradients =
        convolution.backward(gradient, input, weight, bias_sizes, {wanted[0], false, wanted[2]});
  std::get<1>(gradients) = divided(convolution, threads, gradient, input, weight);
  return gradients;
}

}  // namespace

void divide_weight_gradients() {
  static const auto library = [] {
    auto own = std::make_unique<torch::Library>(torch::Library::IMPL, "aten",
                                                c10::make_optional(c10::DispatchKey::CPU), __FILE__,
                                                __LINE__);
    own->impl("convolution_backward", &convolution_backward);
    return own;
  }();
}

}  // namespace veilnet::nn
