#include "attack/tuning.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <exception>
#include <mutex>
#include <numeric>
#include <spdlog/spdlog.h>
#include <thread>
#include <torch/autograd.h>
#include <torch/optim/adam.h>

#include "attack/inverse.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/signals.h"
#include "image/metrics.h"
#include "nn/infer.h"

namespace veilnet::attack {

namespace {

// Tunes one copy of the network for one picture after the other.
class Tuner {
 public:
  Tuner(const nn::Model& h, const TuningStart& start, const TuningOptions& options,
        const torch::Device& device)
      : h_(h),
        options_(options),
        device_(device),
        begin_(nn::state_tensors(*start.network.net)),
        own_(nn::make_model(start.network.card)) {
    if (start.input.defined()) input_ = start.input.to(device);
    own_.net->to(device);
    own_.net->train(start.own_statistics);
  }

  /// @param seen, found a protected picture and where the plain one goes. False after a signal.
  bool tune(std::span<const uint8_t> seen, std::span<uint8_t> found, int height, int width) {
    {
      torch::NoGradGuard no_grad;
      const auto state = nn::state_tensors(*own_.net);
      for (size_t k = 0; k < state.size(); ++k) state[k].second.copy_(begin_[k].second);
    }
    const auto target = nn::to_tensor(seen, 1, height, width, device_);
    const auto& input = input_.defined() ? input_ : target;
    auto weights = own_.net->parameters();
    torch::optim::Adam optimizer(weights, torch::optim::AdamOptions(options_.lr));
    for (int64_t step = 0; step < options_.steps; ++step) {
      if (interrupted()) return false;
      const auto misfit = (nn::transform(h_, nn::transform(own_, input)) - target).square().mean();
      // backward() would go on into h's weights.
      const auto gradients = torch::autograd::grad({misfit}, weights);
      for (size_t k = 0; k < weights.size(); ++k) weights[k].mutable_grad() = gradients[k];
      optimizer.step();
    }
    torch::NoGradGuard no_grad;
    std::ranges::copy(nn::to_bytes(nn::transform(own_, input)), found.begin());
    return true;
  }

 private:
  const nn::Model& h_;
  TuningOptions options_;
  torch::Device device_;
  std::vector<std::pair<std::string, torch::Tensor>> begin_;
  nn::Model own_;
  torch::Tensor input_;
};

// LibTorch's threads within one operation, for this thread and those that begin, while it lives.
class OperationThreads {
 public:
  explicit OperationThreads(int threads) : before_(at::get_num_threads()) {
    at::set_num_threads(threads);
  }
  ~OperationThreads() { at::set_num_threads(before_); }
  OperationThreads(const OperationThreads&) = delete;
  OperationThreads& operator=(const OperationThreads&) = delete;
  int before() const { return before_; }

 private:
  int before_;
};

}  // namespace

image::Batch invert_by_tuning(const nn::Model& h, const TuningStart& start,
                              const image::Batch& protected_pictures, const TuningOptions& options,
                              const train::Compute& compute) {
  const InterruptGuard guard;
  const auto count = protected_pictures.count();
  Progress progress("tune through h", count, 0, "pictures");
  image::Batch found(protected_pictures.height(), protected_pictures.width(), count);
  std::mutex mutex;
  std::exception_ptr failure;
  size_t next = 0, done = 0;
  bool failed = false;
  // A picture's operations are too small to divide: threads that wait for each other in every one
  // take longer than one alone. So each takes pictures of its own.
  const OperationThreads one(1);
  const auto work = [&] {
    at::set_num_threads(1);
    try {
      Tuner tuner(h, start, options, compute.device);
      for (;;) {
        size_t i = 0;
        {
          const std::lock_guard lock(mutex);
          if (next == count || failed || interrupted()) return;
          i = next++;
        }
        if (!tuner.tune(protected_pictures.picture(i), found.picture(i),
                        protected_pictures.height(), protected_pictures.width()))
          return;
        const std::lock_guard lock(mutex);
        progress.update(++done, "");
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failed) failure = std::current_exception();
      failed = true;
    }
  };
  {
    std::vector<std::jthread> others;
    const int workers = compute.device.is_cpu() ? one.before() : 1;
    for (int i = 1; i < workers; ++i) others.emplace_back(work);
    work();
  }
  if (failed) std::rethrow_exception(failure);
  if (interrupted())
    fail(ErrorCode::Interrupted, "interrupted while tuning through h; nothing was written");
  return found;
}

namespace {

double mean_ssim(const image::Batch& plain, const image::Batch& guess) {
  double sum = 0;
  for (size_t i = 0; i < plain.count(); ++i)
    sum += image::ssim(plain.picture(i), guess.picture(i), plain.height(), plain.width());
  return sum / static_cast<double>(plain.count());
}

}  // namespace

Outcome tune_each(const Materials& m, const Setting& s, const TuningStart& start, int64_t steps,
                  const std::vector<double>& rates) {
  std::vector<uint32_t> first(std::min(s.budget.optimised, m.attacked.count()));
  std::iota(first.begin(), first.end(), 0u);
  auto held_out = split_known(m).validation;
  held_out.resize(std::min<size_t>(held_out.size(), 8));
  const auto own = m.auxiliary->pictures.subset(held_out);
  const auto seen = nn::transform(*m.network, own);
  TuningOptions best{steps, rates.front()};
  double best_ssim = -2;
  for (const double lr : rates) {
    const auto found = invert_by_tuning(*m.network, start, seen, {steps, lr}, s.compute);
    const double ssim = mean_ssim(own, found);
    spdlog::info("tune through h: rate {}: SSIM {:.3f} on the attacker's own pictures", lr, ssim);
    if (ssim <= best_ssim) continue;
    best_ssim = ssim;
    best.lr = lr;
  }
  return {invert_by_tuning(*m.network, start, m.attacked.subset(first), best, s.compute),
          {{"steps", steps},
           {"rate", best.lr},
           {"rate tuned on own pictures", static_cast<int64_t>(own.count())}}};
}

}  // namespace veilnet::attack
