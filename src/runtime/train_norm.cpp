#include "runtime/train_norm.h"

#include <algorithm>

#include "runtime/kernels.h"
#include "runtime/parallel.h"

namespace veilnet::runtime {
namespace {

// Pixels that a first-level cache holds, so that their channels may be read a few at a time.
int64_t block_of(const NormSize& size) { return std::max<int64_t>(8192 / size.channels, 8); }

// f(first pixel, pixels, thread's number) for blocks of every thread's contiguous share, in order.
template <class F>
void over_blocks(const NormSize& size, F&& f) {
  const int64_t block = block_of(size);
  parallel_for(size.threads, size.threads, [&](int64_t part, int) {
    const int64_t end = size.pixels * (part + 1) / size.threads;
    for (int64_t first = size.pixels * part / size.threads; first < end; first += block)
      f(first, std::min(block, end - first), static_cast<size_t>(part));
  });
}

}  // namespace

Moments moments(const NormSize& size, const float* x) {
  const auto channels = static_cast<size_t>(size.channels);
  struct Part {
    double count = 0;
    Moments of;
    std::vector<float> sums, squares;
  };
  std::vector<Part> parts(static_cast<size_t>(size.threads));
  // Chan, Golub and LeVeque 1983: two sets of values from the moments of each.
  const auto join = [&](Part& a, size_t c, double count, double mean, double spread) {
    const double both = a.count + count, apart = mean - a.of.mean[c];
    a.of.mean[c] += apart * count / both;
    a.of.variance[c] += spread + apart * apart * a.count * count / both;
  };
  over_blocks(size, [&](int64_t first, int64_t pixels, size_t part) {
    auto& p = parts[part];
    if (p.count == 0) {
      p.of.mean.assign(channels, 0.0);
      p.of.variance.assign(channels, 0.0);
      p.sums.resize(channels);
      p.squares.resize(channels);
    }
    const float* from = x + first * size.channels;
    kernels().moments(pixels, size.channels, from, p.sums.data(), p.squares.data());
    const auto n = static_cast<double>(pixels);
    for (size_t c = 0; c < channels; ++c) {
      const double sum = p.sums[c];
      join(p, c, n, from[c] + sum / n, p.squares[c] - sum * sum / n);
    }
    p.count += n;
  });
  Part all;
  all.of.mean.assign(channels, 0.0);
  all.of.variance.assign(channels, 0.0);
  for (const auto& p : parts) {
    if (p.count == 0) continue;
    for (size_t c = 0; c < channels; ++c) join(all, c, p.count, p.of.mean[c], p.of.variance[c]);
    all.count += p.count;
  }
  for (auto& v : all.of.variance) v = std::max(v / all.count, 0.0);
  return std::move(all.of);
}

void norm_relu(const NormSize& size, const float* x, const float* scale, const float* shift,
               const float* added, float* y) {
  over_blocks(size, [&](int64_t first, int64_t pixels, size_t) {
    const int64_t at = first * size.channels;
    if (added) {
      kernels().scale_shift_add(pixels, size.channels, x + at, scale, shift, added + at, 0.0f,
                                y + at);
    } else {
      kernels().scale_shift(pixels, size.channels, x + at, size.channels, scale, shift, 0.0f,
                            y + at, size.channels);
    }
  });
}

GradientSums gradient_sums(const NormSize& size, const NormInputs& inputs, const float* y_gradient,
                           const float* mean) {
  const auto channels = static_cast<size_t>(size.channels);
  struct Part {
    GradientSums sums;
    std::vector<float> gradient, product;
  };
  std::vector<Part> parts(static_cast<size_t>(size.threads));
  for (auto& p : parts) {
    p.sums = {std::vector<double>(channels), std::vector<double>(channels)};
    p.gradient.resize(channels);
    p.product.resize(channels);
  }
  over_blocks(size, [&](int64_t first, int64_t pixels, size_t part) {
    auto& p = parts[part];
    const int64_t at = first * size.channels;
    kernels().relu_sums(pixels, size.channels, y_gradient + at, inputs.x + at, inputs.scale,
                        inputs.shift, inputs.y ? inputs.y + at : nullptr, mean, p.gradient.data(),
                        p.product.data());
    for (size_t c = 0; c < channels; ++c) {
      p.sums.gradient[c] += p.gradient[c];
      p.sums.product[c] += p.product[c];
    }
  });
  for (size_t i = 1; i < parts.size(); ++i) {
    for (size_t c = 0; c < channels; ++c) {
      parts[0].sums.gradient[c] += parts[i].sums.gradient[c];
      parts[0].sums.product[c] += parts[i].sums.product[c];
    }
  }
  return std::move(parts[0].sums);
}

void norm_relu_gradient(const NormSize& size, const NormInputs& inputs, const float* y_gradient,
                        const float* by_gradient, const float* by_x, const float* constant,
                        float* x_gradient, float* added_gradient) {
  over_blocks(size, [&](int64_t first, int64_t pixels, size_t) {
    const int64_t at = first * size.channels;
    kernels().relu_gradient(pixels, size.channels, y_gradient + at, inputs.x + at, inputs.scale,
                            inputs.shift, inputs.y ? inputs.y + at : nullptr, by_gradient, by_x,
                            constant, x_gradient + at,
                            added_gradient ? added_gradient + at : nullptr);
  });
}

}  // namespace veilnet::runtime
