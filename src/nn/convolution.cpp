#include "nn/convolution.h"

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/convolution_backward_native.h>
#include <ATen/ops/convolution_native.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sum.h>
#include <algorithm>
#include <exception>
#include <memory>
#include <omp.h>
#include <optional>
#include <torch/library.h>
#include <torch/types.h>
#include <vector>

#include "runtime/train_convolve.h"

namespace veilnet::nn {
namespace {

using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

struct Convolution {
  at::IntArrayRef stride, padding, dilation;
  bool transposed;
  at::IntArrayRef output_padding;
  int64_t groups;

  at::Tensor forward(const at::Tensor& input, const at::Tensor& weight,
                     const c10::optional<at::Tensor>& bias) const {
    return at::native::convolution(input, weight, bias, stride, padding, dilation, transposed,
                                   output_padding, groups);
  }
  Gradients backward(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
                     at::OptionalIntArrayRef bias_sizes, std::array<bool, 3> wanted) const {
    return at::native::convolution_backward(gradient, input, weight, bias_sizes, stride, padding,
                                            dilation, transposed, output_padding, groups, wanted);
  }

  // As the runtime's, where it is one of its kind and the tensors lie as that reads them.
  std::optional<runtime::Convolution3x3> as_3x3(const at::Tensor& input,
                                                const at::Tensor& weight) const {
    const auto all = [](at::IntArrayRef values, int64_t value) {
      return std::ranges::all_of(values, [&](int64_t v) { return v == value; });
    };
    const bool one =
        input.dim() == 4 && weight.dim() == 4 && input.numel() > 0 &&
        input.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat &&
        weight.size(2) == 3 && weight.size(3) == 3 && all(stride, 1) && all(padding, 1) &&
        all(dilation, 1) && !transposed && groups == 1 && input.layout() == at::kStrided &&
        input.size(1) == weight.size(1) &&
        (input.suggest_memory_format() == kLast || weight.suggest_memory_format() == kLast);
    if (!one) return std::nullopt;
    return runtime::Convolution3x3{input.size(0),  input.size(2),
                                   input.size(3),  input.size(1),
                                   weight.size(0), omp_in_parallel() ? 1 : at::get_num_threads()};
  }
};

at::Tensor empty_pictures(int64_t count, int64_t channels, int64_t height, int64_t width,
                          const at::Tensor& like) {
  return at::empty({count, channels, height, width}, like.options().memory_format(kLast));
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight,
                       const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, int64_t groups) {
  const Convolution plain{stride, padding, dilation, transposed, output_padding, groups};
  const auto own = plain.as_3x3(input, weight);
  const bool biased = bias && bias->defined();
  if (!own || (biased && bias->scalar_type() != at::kFloat) || !runtime::winograd_pays(*own))
    return plain.forward(input, weight, bias);
  const auto x = input.contiguous(kLast), w = weight.contiguous();
  const auto b = biased ? bias->contiguous() : at::Tensor();
  auto y = empty_pictures(own->count, own->out, own->height, own->width, input);
  runtime::convolve(*own, x.data_ptr<float>(), w.data_ptr<float>(),
                    biased ? b.data_ptr<float>() : nullptr, false, y.data_ptr<float>());
  return y;
}
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
  const Convolution plain{stride, padding, dilation, transposed, output_padding, groups};
  const auto own = plain.as_3x3(input, weight);
  Gradients gradients;
  const auto take = [&](const Gradients& more, std::array<bool, 3> which) {
    if (which[0]) std::get<0>(gradients) = std::get<0>(more);
    if (which[1]) std::get<1>(gradients) = std::get<1>(more);
    if (which[2]) std::get<2>(gradients) = std::get<2>(more);
  };
  if (own && gradient.scalar_type() == at::kFloat) {
    const auto dy = gradient.contiguous(kLast);
    if (wanted[0] && runtime::winograd_pays(own->reversed())) {
      auto dx = empty_pictures(own->count, own->in, own->height, own->width, input);
      const auto w = weight.contiguous();
      runtime::input_gradient(*own, dy.data_ptr<float>(), w.data_ptr<float>(),
                              dx.data_ptr<float>());
      std::get<0>(gradients) = dx;
      wanted[0] = false;
    }
    if (wanted[1] && runtime::winograd_pays_for_weights(*own)) {
      auto dw = at::empty(weight.sizes(), weight.options());
      const auto x = input.contiguous(kLast);
      runtime::weight_gradient(*own, x.data_ptr<float>(), dy.data_ptr<float>(),
                               dw.data_ptr<float>());
      std::get<1>(gradients) = dw;
      wanted[1] = false;
    }
  }
  // Asked for it alone, LibTorch would compute the gradient of the weights with it.
  if (wanted[2] && gradient.dim() == 4) {
    std::get<2>(gradients) = gradient.sum({0, 2, 3});
    wanted[2] = false;
  }
  const auto threads = at::get_num_threads();
  const bool divide = wanted[1] && threads > 1 && !omp_in_parallel() && input.dim() == 4 &&
                      input.size(0) >= threads;
  if (divide) {
    std::get<1>(gradients) = divided(plain, threads, gradient, input, weight);
    wanted[1] = false;
  }
  if (wanted[0] || wanted[1] || wanted[2])
    take(plain.backward(gradient, input, weight, bias_sizes, wanted), wanted);
  return gradients;
}

}  // namespace

void use_own_convolutions() {
  static const auto library = [] {
    auto own = std::make_unique<torch::Library>(torch::Library::IMPL, "aten",
                                                c10::make_optional(c10::DispatchKey::CPU), __FILE__,
                                                __LINE__);
    own->impl("convolution", &convolution);
    own->impl("convolution_backward", &convolution_backward);
    return own;
  }();
}

}  // namespace veilnet::nn
