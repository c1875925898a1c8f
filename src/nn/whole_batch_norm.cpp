#include "nn/whole_batch_norm.h"

#include <ATen/ops/batch_norm_update_stats_native.h>
#include <ATen/ops/native_batch_norm_backward_native.h>
#include <ATen/ops/native_batch_norm_native.h>
#include <memory>
#include <torch/library.h>
#include <torch/version.h>
#include <tuple>
#include <utility>

namespace veilnet::nn {
namespace {

using Given = c10::optional<at::Tensor>;
#if TORCH_VERSION_MAJOR >= 2
using c10::WarningUtils::WarningHandlerGuard;
#else
using c10::Warning::WarningHandlerGuard;
#endif
using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

std::function<void(const torch::Tensor&)> sum_over_processes;

int64_t values_per_channel(const at::Tensor& input) { return input.numel() / input.size(1); }

// Of bfloat16 values statistics are float32 as well.
at::ScalarType statistics_type(const at::Tensor& input) {
  return input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

// [C] as what goes with [N, C, ...].
at::Tensor along(const at::Tensor& channels, const at::Tensor& like) {
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[1] = -1;
  return channels.to(statistics_type(like)).view(shape);
}

bool is_there(const Given& tensor) { return tensor && tensor->defined(); }

Three forward(const at::Tensor& input, const Given& weight, const Given& bias,
              const Given& running_mean, const Given& running_var, bool training, double momentum,
              double eps) {
  if (!training || !sum_over_processes)
    return at::native::batch_norm_cpu(input, weight, bias, running_mean, running_var, training,
                                      momentum, eps);
  const auto channels = input.size(1);
  const auto type = statistics_type(input);
  const auto scratch = at::zeros({channels}, type);
  auto [here_mean, here_var] =
      at::native::batch_norm_update_stats_cpu(input, scratch, scratch.clone(), 0);
  here_mean = here_mean.to(at::kDouble);
  here_var = here_var.to(at::kDouble);
  const auto here = static_cast<double>(values_per_channel(input));
  const auto sums = at::cat(
      {at::full({1}, here, at::kDouble), here * here_mean, here * (here_var + here_mean.square())});
  sum_over_processes(sums);
  const double count = sums[0].item<double>();
  const auto mean = sums.slice(0, 1, 1 + channels) / count;
  const auto var = (sums.slice(0, 1 + channels) / count - mean.square()).clamp_min(0);
  if (is_there(running_mean)) running_mean->lerp_(mean.to(running_mean->scalar_type()), momentum);
  if (is_there(running_var))
    running_var->lerp_((var * (count / (count - 1))).to(running_var->scalar_type()), momentum);
  const auto used_mean = mean.to(type), used_var = var.to(type);
  auto output = std::get<0>(at::native::batch_norm_cpu(input, weight, bias, used_mean, used_var,
                                                       /*training=*/false, 0, eps));
  return {output, used_mean, (var + eps).rsqrt().to(type)};
}

Three backward(const at::Tensor& gradient, const at::Tensor& input, const Given& weight,
               const Given& running_mean, const Given& running_var, const Given& saved_mean,
               const Given& saved_invstd, bool train, double eps, std::array<bool, 3> wanted) {
  if (!train || !sum_over_processes)
    return at::native::batch_norm_backward_cpu(gradient, input, weight, running_mean, running_var,
                                               saved_mean, saved_invstd, train, eps, wanted);
  // Sums over this process's pictures: the gradient itself, and times the normalised input.
  auto [unused, of_weight, of_bias] = at::native::batch_norm_backward_cpu(
      gradient, input, weight, running_mean, running_var, saved_mean, saved_invstd, train, eps,
      {false, true, true});
  // All take part whether or not this gradient is wanted here: it is wanted on all or on none.
  at::Tensor of_input;
  if (wanted[0]) {
    const auto channels = input.size(1);
    const auto sums =
        at::cat({at::full({1}, static_cast<double>(values_per_channel(input)), at::kDouble),
                 of_bias.to(at::kDouble), of_weight.to(at::kDouble)});
    sum_over_processes(sums);
    const auto count = sums[0];
    const auto mean_bias = sums.slice(0, 1, 1 + channels) / count,
               mean_weight = sums.slice(0, 1 + channels) / count;
    auto scale = saved_invstd->to(at::kDouble);
    const auto slope = -scale * mean_weight;  // of the input less its mean, before `scale`
    if (is_there(weight)) scale = scale * weight->to(at::kDouble);
    of_input = (input.to(statistics_type(input)) - along(*saved_mean, input))
                   .mul_(along(slope, input))
                   .sub_(along(mean_bias, input))
                   .add_(gradient)
                   .mul_(along(scale, input))
                   .to(input.scalar_type());
  }
  return {of_input, wanted[1] ? of_weight : at::Tensor(), wanted[2] ? of_bias : at::Tensor()};
}

// Says nothing: LibTorch warns of every kernel that takes the place of one of its own.
struct Silent : c10::WarningHandler {
#if TORCH_VERSION_MAJOR >= 2
  void process(const c10::Warning&) override {}
#else
  void process(const c10::SourceLocation&, const std::string&, bool) override {}
#endif
};

void register_once() {
  static const auto library = [] {
    Silent silent;
    const WarningHandlerGuard quiet(&silent);
    auto own = std::make_unique<torch::Library>(torch::Library::IMPL, "aten",
                                                c10::make_optional(c10::DispatchKey::CPU), __FILE__,
                                                __LINE__);
    own->impl("native_batch_norm", &forward);
    own->impl("native_batch_norm_backward", &backward);
    return own;
  }();
}

}  // namespace

WholeBatchNorm::WholeBatchNorm(std::function<void(const torch::Tensor&)> sum) {
  register_once();
  sum_over_processes = std::move(sum);
}

WholeBatchNorm::~WholeBatchNorm() { sum_over_processes = nullptr; }

bool WholeBatchNorm::lives() { return sum_over_processes != nullptr; }

}  // namespace veilnet::nn
