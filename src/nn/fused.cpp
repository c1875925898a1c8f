#include "nn/fused.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <omp.h>
#include <torch/autograd.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include "core/error.h"
#include "nn/whole_batch_norm.h"
#include "runtime/train_convolve.h"
#include "runtime/train_norm.h"
#include "runtime/train_pool.h"

namespace veilnet::nn {
namespace {

constexpr auto kNhwc = torch::MemoryFormat::ChannelsLast;

runtime::NormSize size_of(const torch::Tensor& x) {
  return {x.size(0) * x.size(2) * x.size(3), x.size(1),
          omp_in_parallel() ? 1 : at::get_num_threads()};
}

std::vector<double> doubles(const torch::Tensor& t) {
  const auto whole = t.detach().to(torch::kDouble).contiguous();
  const auto* begin = whole.data_ptr<double>();
  return {begin, begin + whole.numel()};
}

torch::Tensor floats(const std::vector<double>& values) {
  return torch::tensor(values, torch::kDouble).to(torch::kFloat);
}

bool is_picture(const torch::Tensor& t) {
  return t.dim() == 4 && t.is_cpu() && t.scalar_type() == torch::kFloat && t.numel() > 0 &&
         t.is_contiguous(kNhwc);
}

// An undefined tensor cannot be the argument of a function of autograd.
c10::optional<torch::Tensor> if_defined(const torch::Tensor& t) {
  return t.defined() ? c10::make_optional(t) : c10::nullopt;
}

void refuse_second_derivatives() {
  if (torch::GradMode::is_enabled())
    fail(ErrorCode::Unsupported, "second derivatives of layers that are computed at once");
}

class FusedNorm : public torch::autograd::Function<FusedNorm> {
 public:
  // With `moments` those of x, otherwise of the running statistics.
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const c10::optional<torch::Tensor>& added,
                               const runtime::Moments& moments, double eps, bool of_batch) {
    const auto gamma = doubles(weight), beta = doubles(bias);
    std::vector<double> scale(gamma.size()), shift(gamma.size()), inverse(gamma.size());
    for (size_t c = 0; c < gamma.size(); ++c) {
      inverse[c] = 1 / std::sqrt(moments.variance[c] + eps);
      scale[c] = gamma[c] * inverse[c];
      shift[c] = beta[c] - moments.mean[c] * scale[c];
    }
    const auto a = floats(scale), b = floats(shift);
    auto y = torch::empty_like(x, x.options().memory_format(kNhwc));
    runtime::norm_relu(size_of(x), x.data_ptr<float>(), a.data_ptr<float>(), b.data_ptr<float>(),
                       added ? added->data_ptr<float>() : nullptr, y.data_ptr<float>());
    context->save_for_backward(
        {x, a, b, floats(moments.mean), floats(inverse), added ? y : torch::Tensor()});
    context->saved_data["of_batch"] = of_batch;
    context->saved_data["added"] = added && added->requires_grad();
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &y = saved[5];
    const auto dy = gradients[0].contiguous(kNhwc);
    const auto size = size_of(x);
    const runtime::NormInputs inputs{x.data_ptr<float>(), saved[1].data_ptr<float>(),
                                     saved[2].data_ptr<float>(),
                                     y.defined() ? y.data_ptr<float>() : nullptr};
    const auto channels = static_cast<size_t>(size.channels);
    const auto scale = doubles(saved[1]), mean = doubles(saved[3]), inverse = doubles(saved[4]);
    std::vector<double> by_x(channels), constant(channels);
    torch::Tensor weight_gradient, bias_gradient;
    if (context->saved_data["of_batch"].toBool()) {
      const auto sums =
          runtime::gradient_sums(size, inputs, dy.data_ptr<float>(), saved[3].data_ptr<float>());
      const auto n = static_cast<double>(size.pixels);
      std::vector<double> of_weight(channels);
      for (size_t c = 0; c < channels; ++c) {
        of_weight[c] = sums.product[c] * inverse[c];
        by_x[c] = -scale[c] * inverse[c] * of_weight[c] / n;
        constant[c] = -scale[c] * sums.gradient[c] / n - by_x[c] * mean[c];
      }
      weight_gradient = floats(of_weight);
      bias_gradient = floats(sums.gradient);
    }
    auto dx = torch::empty_like(x);
    const bool of_added = context->saved_data["added"].toBool();
    const auto added = of_added ? torch::empty_like(x) : torch::Tensor();
    const auto k1 = floats(by_x), k2 = floats(constant);
    runtime::norm_relu_gradient(size, inputs, dy.data_ptr<float>(), saved[1].data_ptr<float>(),
                                k1.data_ptr<float>(), k2.data_ptr<float>(), dx.data_ptr<float>(),
                                of_added ? added.data_ptr<float>() : nullptr);
    return {dx, weight_gradient, bias_gradient, added, {}, {}, {}};
  }
};

// A convolution whose weights learn nothing, and the ReLU behind it.
class FrozenConvolution : public torch::autograd::Function<FrozenConvolution> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const runtime::Convolution3x3& shape, const torch::Tensor& weight,
                               const c10::optional<torch::Tensor>& bias) {
    auto y = torch::empty({shape.count, shape.out, shape.height, shape.width},
                          x.options().memory_format(kNhwc));
    const auto w = weight.contiguous();
    runtime::convolve(shape, x.data_ptr<float>(), w.data_ptr<float>(),
                      bias ? bias->data_ptr<float>() : nullptr, true, y.data_ptr<float>());
    context->save_for_backward({w, y});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    const auto &w = saved[0], &y = saved[1];
    const auto dy = torch::threshold_backward(gradients[0].contiguous(kNhwc), y, 0);
    auto dx = torch::empty({y.size(0), w.size(1), y.size(2), y.size(3)},
                           y.options().memory_format(kNhwc));
    const auto shape = shape_of(dx, w);
    if (!runtime::winograd_pays(shape.reversed())) {
      const auto input = std::get<0>(
          at::convolution_backward(dy, dx, w.contiguous(kNhwc), c10::nullopt, {1, 1}, {1, 1},
                                   {1, 1}, false, {0, 0}, 1, {true, false, false}));
      return {input, {}, {}, {}};
    }
    runtime::input_gradient(shape, dy.data_ptr<float>(), w.data_ptr<float>(), dx.data_ptr<float>());
    return {dx, {}, {}, {}};
  }

  static runtime::Convolution3x3 shape_of(const torch::Tensor& x, const torch::Tensor& weight) {
    return {x.size(0), x.size(2),      x.size(3),
            x.size(1), weight.size(0), omp_in_parallel() ? 1 : at::get_num_threads()};
  }

  static bool fits(const torch::nn::Conv2dImpl& layer, const torch::Tensor& x) {
    const auto all = [](torch::IntArrayRef values, int64_t value) {
      return std::ranges::all_of(values, [&](int64_t v) { return v == value; });
    };
    const auto& o = layer.options;
    const auto* padding = get_if<torch::ExpandingArray<2>>(&o.padding());
    if (layer.weight.requires_grad() || !is_picture(x) || !all(*o.kernel_size(), 3) ||
        !all(*o.stride(), 1) || !padding || !all(**padding, 1) || !all(*o.dilation(), 1) ||
        o.groups() != 1 || x.size(1) != o.in_channels() ||
        layer.weight.scalar_type() != torch::kFloat)
      return false;
    const auto shape = shape_of(x, layer.weight);
    return runtime::own_way_pays(shape);
  }
};

class MaxPool : public torch::autograd::Function<MaxPool> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x) {
    auto y = torch::empty({x.size(0), x.size(1), x.size(2) / 2, x.size(3) / 2},
                          x.options().memory_format(kNhwc));
    runtime::max_pool(size_of(x), x.data_ptr<float>(), y.data_ptr<float>());
    context->save_for_backward({x, y});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &y = saved[1];
    const auto dy = gradients[0].contiguous(kNhwc);
    auto dx = torch::empty_like(x);
    runtime::max_pool_gradient(size_of(x), x.data_ptr<float>(), y.data_ptr<float>(),
                               dy.data_ptr<float>(), dx.data_ptr<float>());
    return {dx};
  }

  static bool fits(const torch::Tensor& x) {
    return is_picture(x) && x.size(1) % runtime::vector_lanes() == 0 && x.size(2) % 2 == 0 &&
           x.size(3) % 2 == 0;
  }

 private:
  static runtime::PoolSize size_of(const torch::Tensor& x) {
    return {x.size(0), x.size(2), x.size(3), x.size(1),
            omp_in_parallel() ? 1 : at::get_num_threads()};
  }
};

bool fits(const torch::nn::BatchNorm2dImpl& norm, const torch::Tensor& x,
          const torch::Tensor& added) {
  const bool known = norm.options.affine() && norm.options.track_running_stats() &&
                     norm.options.momentum().has_value() &&
                     norm.weight.scalar_type() == torch::kFloat;
  if (!known || !is_picture(x) || x.size(1) != norm.options.num_features()) return false;
  if (x.size(1) % runtime::vector_lanes() != 0) return false;
  if (added.defined() && (!is_picture(added) || !added.sizes().equals(x.sizes()))) return false;
  // Of one pixel there is no variance: an error of LibTorch's.
  if (norm.is_training()) return x.numel() > x.size(1) && !WholeBatchNorm::lives();
  return !norm.weight.requires_grad() && !norm.bias.requires_grad();
}

bool is_pool_of_two(const torch::nn::MaxPool2dImpl* pool) {
  const auto all = [](torch::IntArrayRef values, int64_t value) {
    return std::ranges::all_of(values, [&](int64_t v) { return v == value; });
  };
  if (!pool) return false;
  const auto& o = pool->options;
  return all(*o.kernel_size(), 2) && all(*o.stride(), 2) && all(*o.padding(), 0) &&
         all(*o.dilation(), 1) && !o.ceil_mode();
}

}  // namespace

torch::Tensor norm_relu(torch::nn::BatchNorm2dImpl& norm, const torch::Tensor& x,
                        const torch::Tensor& added) {
  if (!fits(norm, x, added)) {
    const auto y = norm.forward(x);
    return torch::relu(added.defined() ? y + added : y);
  }
  runtime::Moments moments;
  if (norm.is_training()) {
    const auto size = size_of(x);
    moments = runtime::moments(size, x.data_ptr<float>());
    torch::NoGradGuard no_grad;
    const double momentum = *norm.options.momentum();
    const auto n = static_cast<double>(size.pixels);
    norm.running_mean.mul_(1 - momentum).add_(floats(moments.mean), momentum);
    norm.running_var.mul_(1 - momentum).add_(floats(moments.variance), momentum * n / (n - 1));
    norm.num_batches_tracked += 1;
  } else {
    moments = {doubles(norm.running_mean), doubles(norm.running_var)};
  }
  return FusedNorm::apply(x, norm.weight, norm.bias, if_defined(added), moments, norm.options.eps(),
                          norm.is_training());
}

torch::Tensor max_pool(const torch::Tensor& x) {
  return MaxPool::fits(x) ? MaxPool::apply(x) : torch::max_pool2d(x, 2, 2);
}

torch::Tensor run_fused(torch::nn::SequentialImpl& layers, torch::Tensor x) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto* next = i + 1 < layers.size() ? layers.ptr(i + 1)->as<torch::nn::ReLU>() : nullptr;
    auto* norm = layers.ptr(i)->as<torch::nn::BatchNorm2d>();
    const auto* layer = layers.ptr(i)->as<torch::nn::Conv2d>();
    if (next && norm) {
      x = norm_relu(*norm, x);
      ++i;
    } else if (next && layer && FrozenConvolution::fits(*layer, x)) {
      x = FrozenConvolution::apply(x, FrozenConvolution::shape_of(x, layer->weight), layer->weight,
                                   if_defined(layer->bias));
      ++i;
    } else if (is_pool_of_two(layers.ptr(i)->as<torch::nn::MaxPool2d>())) {
      x = max_pool(x);
    } else {
      x = (layers.begin() + static_cast<std::ptrdiff_t>(i))->forward<torch::Tensor>(x);
    }
  }
  return x;
}

}  // namespace veilnet::nn
