#include "attack/optimise.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <spdlog/spdlog.h>
#include <torch/autograd.h>
#include <torch/optim/adam.h>

#include "attack/inverse.h"
#include "attack/table.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/signals.h"
#include "image/metrics.h"
#include "nn/infer.h"

namespace veilnet::attack {

image::Batch invert_by_optimisation(const nn::Model& h, const image::Batch& protected_pictures,
                                    const image::Batch& start, const OptimiseOptions& options,
                                    const train::Compute& compute) {
  const size_t count = protected_pictures.count();
  if (!protected_pictures.same_size(start) || count != start.count())
    fail(ErrorCode::InvalidArgument,
         "{} protected pictures of {}x{} with {} of {}x{} to start from; allowed are as many of "
         "the same size",
         count, protected_pictures.height(), protected_pictures.width(), start.count(),
         start.height(), start.width());
  constexpr size_t kBatch = 64;
  const InterruptGuard guard;
  Progress progress("optimise through h",
                    (count + kBatch - 1) / kBatch * static_cast<uint64_t>(options.steps), 0,
                    "steps");
  uint64_t done = 0;
  image::Batch out(start.height(), start.width());
  for (size_t begin = 0; begin < count; begin += kBatch) {
    const auto n = std::min(kBatch, count - begin);
    const auto bytes = start.picture_bytes();
    const auto batch = [&](const image::Batch& all) {
      return nn::to_tensor(all.pixels().subspan(begin * bytes, n * bytes), static_cast<int64_t>(n),
                           all.height(), all.width(), compute.device);
    };
    const auto target = batch(protected_pictures), origin = batch(start);
    auto logits = torch::logit(origin.clamp(0.02, 0.98)).detach().requires_grad_(true);
    torch::optim::Adam optimizer({logits}, torch::optim::AdamOptions(options.lr));
    for (int64_t step = 0; step < options.steps; ++step) {
      if (interrupted())
        fail(ErrorCode::Interrupted, "interrupted while optimising through h; nothing was written");
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
    out.append(nn::to_bytes(torch::sigmoid(logits)));
  }
  return out;
}

OptimiseOptions tune_priors(const nn::Model& h, const image::Batch& own, const image::Batch& start,
                            const OptimiseOptions& options, const train::Compute& compute) {
  const auto seen = nn::transform(h, own);
  OptimiseOptions best = options;
  double best_ssim = -2;
  for (const double total_variation : {0.0005, 0.01}) {
    for (const double nearness : {0.0, 3.0, 100.0}) {
      auto tried = options;
      tried.total_variation = total_variation;
      tried.nearness = nearness;
      const auto found = invert_by_optimisation(h, seen, start, tried, compute);
      double ssim = 0;
      for (size_t i = 0; i < own.count(); ++i)
        ssim += image::ssim(own.picture(i), found.picture(i), own.height(), own.width()) /
                static_cast<double>(own.count());
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

namespace {

Outcome run_optimise(const Materials& m, const Setting& s) {
  const auto inverse = inverse_from_pairs(m, s, "unet");
  std::vector<uint32_t> first(std::min(s.budget.optimised, m.attacked.count()));
  std::iota(first.begin(), first.end(), 0u);
  const auto attacked = m.attacked.subset(first);

  auto held_out = split_known(m).validation;
  held_out.resize(std::min<size_t>(held_out.size(), 32));
  const auto own = m.auxiliary->pictures.subset(held_out);
  OptimiseOptions options;
  options.steps = s.budget.optimise_steps;
  options = tune_priors(*m.network, own, nn::transform(inverse, nn::transform(*m.network, own)),
                        options, s.compute);
  return {invert_by_optimisation(*m.network, attacked, nn::transform(inverse, attacked), options,
                                 s.compute),
          {{"start", "itn"},
           {"steps", options.steps},
           {"total_variation", options.total_variation},
           {"nearness", options.nearness},
           {"weights tuned on own pictures", static_cast<int64_t>(own.count())}}};
}

}  // namespace

Attack optimise() {
  Attack attack{
      "optimise",
      "Starts from what itn recovers and changes it until the public network turns it into the "
      "protected picture (gradient inversion; how smooth and how near to the start is tuned on "
      "pictures of the attacker's own).",
      through_gradients, run_optimise, "itn"};
  attack.picture_by_picture = true;
  return attack;
}

}  // namespace veilnet::attack
