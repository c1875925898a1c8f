#include "attack/optimise.h"

#include <cmath>
#include <numbers>
#include <spdlog/spdlog.h>
#include <torch/autograd.h>
#include <torch/optim/adam.h>

#include "attack/pairs.h"
#include "core/error.h"
#include "core/progress.h"
#include "image/metrics.h"

namespace veilnet::attack {

std::vector<uint8_t> invert_by_optimisation(const nn::Model& h,
                                            std::span<const uint8_t> protected_nhwc,
                                            std::span<const uint8_t> start, int height, int width,
                                            const OptimiseOptions& options,
                                            const train::Compute& compute) {
  const auto bytes = 3 * static_cast<size_t>(height) * static_cast<size_t>(width);
  if (protected_nhwc.size() != start.size() || protected_nhwc.size() % bytes != 0) {
    throw Error(ErrorCode::InvalidArgument,
                "the protected pictures have " + std::to_string(protected_nhwc.size()) +
                    " bytes, the start " + std::to_string(start.size()) +
                    "; allowed are equal multiples of " + std::to_string(bytes));
  }
  constexpr size_t kBatch = 64;
  const size_t count = protected_nhwc.size() / bytes;
  Progress progress("optimise through h",
                    (count + kBatch - 1) / kBatch * static_cast<uint64_t>(options.steps), 0,
                    "steps");
  uint64_t done = 0;
  std::vector<uint8_t> out;
  for (size_t begin = 0; begin < count; begin += kBatch) {
    const auto n = std::min(kBatch, count - begin);
    const auto batch = [&](std::span<const uint8_t> all) {
      return nn::to_tensor(all.subspan(begin * bytes, n * bytes), static_cast<int64_t>(n), height,
                           width, compute.device);
    };
    const auto target = batch(protected_nhwc), origin = batch(start);
    auto logits = torch::logit(origin.clamp(0.02, 0.98)).detach().requires_grad_(true);
    torch::optim::Adam optimizer({logits}, torch::optim::AdamOptions(options.lr));
    for (int64_t step = 0; step < options.steps; ++step) {
      if (interrupted())
        throw Error(ErrorCode::Interrupted,
                    "interrupted while optimising through h; nothing was written");
      const double share = static_cast<double>(step) / static_cast<double>(options.steps);
      optimizer.param_groups()[0].options().set_lr(
          options.lr * (0.01 + 0.99 * 0.5 * (1 + std::cos(std::numbers::pi * share))));
      const auto x = torch::sigmoid(logits);
      const auto misfit = (nn::transform(h, x) - target).square().mean();
      const auto variation = (x.slice(2, 1) - x.slice(2, 0, -1)).abs().mean() +
                             (x.slice(3, 1) - x.slice(3, 0, -1)).abs().mean();
      const auto distance = (x - origin).square().mean();
      const auto loss = misfit + options.total_variation * variation + options.nearness * distance;
      // backward() would go on into h's weights.
      logits.mutable_grad() = torch::autograd::grad({loss * static_cast<double>(n)}, {logits})[0];
      optimizer.step();
      ++done;
      if (step % 20 == 19) progress.update(done, "misfit " + std::to_string(misfit.item<double>()));
    }
    torch::NoGradGuard no_grad;
    const auto found = nn::to_bytes(torch::sigmoid(logits));
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

OptimiseOptions tune_priors(const nn::Model& h, const data::Dataset& own,
                            std::span<const uint8_t> start, const OptimiseOptions& options,
                            const train::Compute& compute) {
  const auto protected_nhwc = transform_to_bytes(h, own, compute);
  OptimiseOptions best = options;
  double best_ssim = -2;
  for (const double total_variation : {0.0005, 0.01}) {
    for (const double nearness : {0.0, 3.0, 100.0}) {
      auto tried = options;
      tried.total_variation = total_variation;
      tried.nearness = nearness;
      const auto found = invert_by_optimisation(h, protected_nhwc, start, own.pictures.height(),
                                                own.pictures.width(), tried, compute);
      double ssim = 0;
      for (size_t i = 0; i < own.size(); ++i) {
        const auto one = std::span(found).subspan(i * own.image_bytes(), own.image_bytes());
        ssim += image::ssim(own.image(i), one, own.pictures.height(), own.pictures.width()) /
                static_cast<double>(own.size());
      }
      spdlog::info(
          "optimise: total variation {}, nearness {}: SSIM {:.3f} on the attacker's own pictures",
          total_variation, nearness, ssim);
      if (ssim <= best_ssim) continue;
      best_ssim = ssim;
      best = tried;
    }
  }
  return best;
}

}  // namespace veilnet::attack
