// The inverse network, tuned for every picture by what the public transformation says of its guess.
#include "attack/itn_tuned.h"

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

image::Batch invert_by_tuning(const nn::Model& h, const nn::Model& inverse,
                              const image::Batch& protected_pictures, const TuningOptions& options,
                              const train::Compute& compute) {
  const InterruptGuard guard;
  const auto steps = static_cast<uint64_t>(options.steps);
  Progress progress("tune through h", protected_pictures.count() * steps, 0, "steps");
  const auto trained = nn::state_tensors(*inverse.net);
  auto own = nn::make_model(inverse.card);
  own.net->to(compute.device);
  own.net->eval();  // one picture has no statistics
  image::Batch out(protected_pictures.height(), protected_pictures.width());
  for (size_t i = 0; i < protected_pictures.count(); ++i) {
    {
      torch::NoGradGuard no_grad;
      const auto state = nn::state_tensors(*own.net);
      for (size_t k = 0; k < state.size(); ++k) state[k].second.copy_(trained[k].second);
    }
    const auto target = nn::to_tensor(protected_pictures.picture(i), 1, protected_pictures.height(),
                                      protected_pictures.width(), compute.device);
    auto weights = own.net->parameters();
    torch::optim::Adam optimizer(weights, torch::optim::AdamOptions(options.lr));
    for (uint64_t step = 0; step < steps; ++step) {
      if (interrupted())
        fail(ErrorCode::Interrupted, "interrupted while tuning through h; nothing was written");
      const auto misfit = (nn::transform(h, nn::transform(own, target)) - target).square().mean();
      // backward() would go on into h's weights.
      const auto gradients = torch::autograd::grad({misfit}, weights);
      for (size_t k = 0; k < weights.size(); ++k) weights[k].mutable_grad() = gradients[k];
      optimizer.step();
      if (step % 20 == 19)
        progress.update(i * steps + step + 1, "misfit " + std::to_string(misfit.item<double>()));
    }
    torch::NoGradGuard no_grad;
    out.append(nn::to_bytes(nn::transform(own, target)));
  }
  return out;
}

namespace {

double mean_ssim(const image::Batch& plain, const image::Batch& guess) {
  double sum = 0;
  for (size_t i = 0; i < plain.count(); ++i)
    sum += image::ssim(plain.picture(i), guess.picture(i), plain.height(), plain.width());
  return sum / static_cast<double>(plain.count());
}

// The rate under which pictures of the attacker's own come out best.
TuningOptions tune_rate(const nn::Model& h, const nn::Model& inverse, const image::Batch& own,
                        TuningOptions options, const train::Compute& compute) {
  auto best = options;
  double best_ssim = -2;
  for (const double lr : {1e-5, 1e-4, 1e-3}) {
    options.lr = lr;
    const auto found = invert_by_tuning(h, inverse, nn::transform(h, own), options, compute);
    const double ssim = mean_ssim(own, found);
    spdlog::info("itn-tuned: rate {}: SSIM {:.3f} on the attacker's own pictures", lr, ssim);
    if (ssim <= best_ssim) continue;
    best_ssim = ssim;
    best = options;
  }
  return best;
}

Outcome run_tuned(const Materials& m, const Setting& s) {
  const auto inverse = inverse_from_pairs(m, s, "unet");
  std::vector<uint32_t> first(std::min(s.budget.optimised, m.attacked.count()));
  std::iota(first.begin(), first.end(), 0u);
  auto held_out = split_known(m).validation;
  held_out.resize(std::min<size_t>(held_out.size(), 8));
  const auto own = m.auxiliary->pictures.subset(held_out);
  TuningOptions options;
  options.steps = s.budget.optimise_steps;
  options = tune_rate(*m.network, inverse, own, options, s.compute);
  return {invert_by_tuning(*m.network, inverse, m.attacked.subset(first), options, s.compute),
          {{"start", "itn"},
           {"steps", options.steps},
           {"rate", options.lr},
           {"rate tuned on own pictures", static_cast<int64_t>(own.count())}}};
}

}  // namespace

Attack itn_tuned() {
  Attack attack{
      "itn-tuned",
      "Tunes the weights of itn for every picture, until the public network turns what they "
      "recover into the protected picture.",
      through_gradients, run_tuned, "itn"};
  attack.picture_by_picture = true;
  return attack;
}

}  // namespace veilnet::attack
