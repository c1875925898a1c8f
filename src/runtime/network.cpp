#include "runtime/network.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <fmt/format.h>
#include <list>
#include <mutex>

#include "core/error.h"
#include "core/progress.h"
#include "runtime/kernels.h"
#include "runtime/parallel.h"

namespace veilnet::runtime {
namespace {

// Activations of one batch stay below this where a picture is small enough.
constexpr uint64_t kBatchBytes = 256u << 20;
// Plans kept for later calls, and what they may hold beside the latest; others are made again.
constexpr size_t kIdlePlans = 16;
constexpr size_t kIdleBytes = 2 * kBatchBytes;
// Fewer pictures at once than these are slower by more than threads gain that wait for nobody.
constexpr int64_t kFewestOfAThread = 8;

// The shortest of three times that each way takes, on whatever its memory holds.
Way fastest(const ConvolutionJob& job, const std::vector<Way>& ways) {
  Way best = ways.front();
  auto least = std::chrono::steady_clock::duration::max();
  for (const auto way : ways) {
    PackedWeights weights;
    const auto scratch = std::make_shared<Scratch>();
    const auto step = make_convolution(job, way, scratch, weights);
    scratch->allocate();
    for (int i = 0; i < 4; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      step->run();
      const auto took = std::chrono::steady_clock::now() - begin;
      if (i == 0 || took >= least) continue;  // the first reads its weights from main memory
      least = took;
      best = way;
    }
  }
  return best;
}

Chooser chooser(Choice choice) {
  switch (choice) {
    case Choice::Estimate: break;
    case Choice::Try: return fastest;
    case Choice::OneDnn:
      return [](const ConvolutionJob&, const std::vector<Way>&) { return Way::OneDnn; };
  }
  return [](const ConvolutionJob&, const std::vector<Way>& ways) { return ways.front(); };
}

}  // namespace

struct Network::Impl {
  Impl(model::Model m, const Options& o)
      : program(checked(std::move(m), o)),
        levels(model::input_levels(program.model.card)),
        threads(o.threads > 0 ? o.threads : physical_cores()),
        largest_batch(std::max<int64_t>(o.largest_batch, 1)),
        choose(chooser(o.choice)) {}

  static Program checked(model::Model m, const Options& o) {
    if (o.precision != Type::Int8) return Program(std::move(m), o.precision);
    const auto ranges = ranges_of(m);
    if (ranges.empty())
      fail(
          ErrorCode::InvalidArgument,
          "{} was not calibrated for int8; veilnet calibrate does it with plain pictures",
          m.source.empty() ? fmt::format("the {} model", model::role_name(m.card.role)) : m.source);
    return Program(std::move(m), o.precision, ranges);
  }

  struct Idle {
    model::Shape input;
    int threads;
    std::unique_ptr<Plan> plan;
  };

  // A plan that nobody else uses, given back when it goes. It moves from list to list, so that a
  // call which finds its plan takes no memory for it.
  class Borrowed {
   public:
    Borrowed(Impl& owner, const model::Shape& input, int64_t count, int threads)
        : owner_(owner), plan_(owner.take(input, count, threads)) {}
    ~Borrowed() { owner_.give_back(plan_); }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    Plan* operator->() { return plan_.front().plan.get(); }

   private:
    Impl& owner_;
    std::list<Idle> plan_;  // one
  };

  std::list<Idle> take(const model::Shape& input, int64_t count, int threads_of_plan) {
    std::list<Idle> taken;
    {
      const std::lock_guard lock(mutex);
      const auto found = std::ranges::find_if(idle, [&](const Idle& i) {
        return i.input == input && i.threads == threads_of_plan && i.plan->count() == count;
      });
      if (found != idle.end()) {
        taken.splice(taken.begin(), idle, found);
        return taken;
      }
    }
    taken.push_front({input, threads_of_plan,
                      std::make_unique<Plan>(program, count, input.height, input.width,
                                             threads_of_plan, choose)});
    return taken;
  }

  void give_back(std::list<Idle>& plan) {
    std::list<Idle> forgotten;  // they go when nobody waits for the lock
    const std::lock_guard lock(mutex);
    idle.splice(idle.begin(), plan);
    const auto most = kIdlePlans + static_cast<size_t>(threads);
    size_t kept = 0, bytes = 0;
    auto end = idle.begin();
    for (; end != idle.end() && kept < most; ++end, ++kept) {
      bytes += end->plan->bytes();
      if (kept > 0 && bytes > kIdleBytes) break;
    }
    forgotten.splice(forgotten.begin(), idle, end, idle.end());
  }

  // The most pictures at once when so many batches are computed beside each other.
  int64_t batch_of(const model::Shape& input, int at_once) const {
    const auto each = model::activation_bytes(program.model.graph, input.height, input.width);
    const auto fitting = kBatchBytes / static_cast<uint64_t>(at_once) / std::max<uint64_t>(each, 1);
    return std::clamp<int64_t>(static_cast<int64_t>(fitting), 1, largest_batch);
  }

  // Calls body(plan, first picture) for parts of `count` pictures whose numbers repeat from call to
  // call: the largest batch, then halves of it. Where there is a whole batch for every thread, each
  // computes its own, and body is called on several threads at once: they wait for each other once,
  // not in every layer.
  template <class Body>
  void in_batches(const model::Shape& input, int64_t count, Body&& body) {
    const auto own = batch_of(input, threads);
    const auto rounds = count / (own * threads);
    int64_t first = 0;
    if (threads > 1 && rounds > 0 && own >= std::min(largest_batch, kFewestOfAThread)) {
      first = rounds * own * threads;
      std::exception_ptr failure;  // the first
      std::mutex failing;
      parallel_for(threads, threads, [&](int64_t share, int) {
        try {
          for (int64_t i = share * rounds; i < (share + 1) * rounds; ++i) {
            Borrowed plan(*this, input, own, 1);
            body(plan, i * own);
          }
        } catch (...) {
          const std::lock_guard lock(failing);
          if (!failure) failure = std::current_exception();
        }
      });
      if (failure) std::rethrow_exception(failure);
    }
    for (auto batch = batch_of(input, 1); first < count;) {
      while (batch > count - first) batch = (batch + 1) / 2;
      Borrowed plan(*this, input, batch, threads);
      body(plan, first);
      first += batch;
    }
  }

  // As in_batches for uint8 pictures; body finds the output computed.
  template <class Body>
  void compute(std::span<const uint8_t> images, int64_t height, int64_t width, Body&& body) {
    compute(images, height, width, std::forward<Body>(body), [](Plan& plan) { plan.run(); });
  }
  template <class Body, class Run>
  void compute(std::span<const uint8_t> images, int64_t height, int64_t width, Body&& body,
               Run&& run) {
    const auto input = model::padded_shape(program.model.graph, height, width);
    const auto bytes = static_cast<size_t>(height * width * 3);
    if (images.size() % bytes != 0) {
      fail(ErrorCode::InvalidArgument, "picture batch has {} bytes; expected a multiple of {}",
           images.size(), bytes);
    }
    in_batches(
        input, static_cast<int64_t>(images.size() / bytes), [&](Borrowed& plan, int64_t first) {
          parallel_for(threads, plan->count(), [&](int64_t i, int) {
            model::write_input(levels, images.data() + static_cast<size_t>(first + i) * bytes,
                               height, width, input, plan->input() + i * input.size());
          });
          run(*plan.operator->());
          body(plan, first);
        });
  }

  void require(bool fits, std::string_view call) const {
    if (fits) return;
    fail(ErrorCode::InvalidArgument, "a {} model cannot {} pictures",
         model::role_name(program.model.card.role), call);
  }

  Program program;
  model::InputLevels levels;
  int threads;
  int64_t largest_batch;
  Chooser choose;

  std::mutex mutex;
  std::list<Idle> idle;  // the latest used first
};

Network::Network(model::Model model, const Options& options)
    : impl_(std::make_unique<Impl>(std::move(model), options)) {}
Network::~Network() = default;
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;

const model::Card& Network::card() const { return impl_->program.model.card; }

std::vector<float> Network::logits(std::span<const uint8_t> images_nhwc, int64_t height,
                                   int64_t width) const {
  impl_->require(card().role == model::Role::Classifier, "classify");
  const auto bytes = static_cast<size_t>(std::max<int64_t>(height * width * 3, 1));
  const auto classes = card().class_names.size();
  std::vector<float> all(images_nhwc.size() / bytes * classes);
  impl_->compute(images_nhwc, height, width, [&](auto& plan, int64_t first) {
    std::copy_n(plan->output(), static_cast<size_t>(plan->count()) * classes,
                all.begin() + first * static_cast<int64_t>(classes));
  });
  if (!std::ranges::all_of(all, [](float x) { return std::isfinite(x); }))
    fail(ErrorCode::BadData, "the classifier's output is not finite");
  return all;
}

std::vector<uint8_t> Network::transform(std::span<const uint8_t> images_nhwc, int64_t height,
                                        int64_t width) const {
  impl_->require(card().role == model::Role::Transform || card().role == model::Role::Inverse,
                 "transform");
  std::vector<uint8_t> out(images_nhwc.size());
  std::atomic<bool> finite = true;
  impl_->compute(images_nhwc, height, width, [&](auto& plan, int64_t first) {
    const auto shape = plan->output_shape();
    parallel_for(impl_->threads, plan->count() * height, [&](int64_t row, int) {
      const float* from = plan->output() + (row / height * shape.height + row % height) *
                                               shape.width * shape.channels;
      if (!kernels().sigmoid_bytes(width * 3, from,
                                   out.data() + (first * height + row) * width * 3))
        finite = false;
    });
  });
  if (!finite) fail(ErrorCode::BadData, "the network's output is not finite");
  return out;
}

std::vector<float> Network::outputs(std::span<const uint8_t> images_nhwc, int64_t height,
                                    int64_t width) const {
  if (card().role == model::Role::Classifier) return logits(images_nhwc, height, width);
  impl_->require(card().role != model::Role::Encoder, "transform");
  std::vector<float> all(images_nhwc.size());
  impl_->compute(images_nhwc, height, width, [&](auto& plan, int64_t first) {
    const auto shape = plan->output_shape();
    for (int64_t row = 0; row < plan->count() * height; ++row) {
      const float* from = plan->output() + (row / height * shape.height + row % height) *
                                               shape.width * shape.channels;
      float* to = all.data() + (first * height + row) * width * 3;
      for (int64_t i = 0; i < width * 3; ++i)  // what is not finite stays so, to be found below
        to[i] = std::isfinite(from[i]) ? 1 / (1 + std::exp(-from[i])) : from[i];
    }
  });
  if (!std::ranges::all_of(all, [](float x) { return std::isfinite(x); }))
    fail(ErrorCode::BadData, "the network's output is not finite");
  return all;
}

model::Activations Network::forward(const model::Activations& input) const {
  const auto& layers = impl_->program.model.graph.layers;
  const model::Shape in{layers[0].channels, input.height, input.width};
  model::Activations output{input.count, 0, 0, 0, {}};
  std::mutex mutex;
  impl_->in_batches(in, input.count, [&](auto& plan, int64_t first) {
    std::copy_n(input.values.data() + first * in.size(), plan->count() * in.size(), plan->input());
    plan->run();
    const auto shape = plan->output_shape();
    const std::lock_guard lock(mutex);
    output.height = shape.height;
    output.width = shape.width;
    output.channels = shape.channels;
    output.values.resize(static_cast<size_t>(input.count * shape.size()));
    std::copy_n(plan->output(), plan->count() * shape.size(),
                output.values.begin() + first * shape.size());
  });
  return output;
}

void Network::calibrate(std::span<const uint8_t> images_nhwc, int64_t height, int64_t width,
                        Ranges& ranges) const {
  std::mutex mutex;
  impl_->compute(
      images_nhwc, height, width, [](auto&, int64_t) {},
      [&](Plan& plan) {
        const std::lock_guard lock(mutex);
        plan.run(impl_->program, ranges);
      });
}

std::vector<StepTime> Network::profile(int64_t count, int64_t height, int64_t width,
                                       int repeats) const {
  const auto input = model::padded_shape(impl_->program.model.graph, height, width);
  Impl::Borrowed plan(*impl_, input, count, impl_->threads);
  std::fill_n(plan->input(), count * input.size(), 0.5f);
  plan->run();
  std::vector<StepTime> times;
  for (int i = 0; i < repeats; ++i) plan->run(times);
  for (auto& time : times) time.seconds /= repeats;
  return times;
}

std::string_view instruction_set(Type precision) {
  return precision == Type::Float32 ? kernels().name : narrow_kernels(precision).name;
}

}  // namespace veilnet::runtime
