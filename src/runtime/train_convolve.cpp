#include "runtime/train_convolve.h"

#include <algorithm>
#include <array>

#include "runtime/convolve.h"
#include "runtime/kernels.h"
#include "runtime/parallel.h"

namespace veilnet::runtime {
namespace {

int64_t chunks(int64_t n, int64_t size) { return (n + size - 1) / size; }

std::shared_ptr<Convolution> kernel_of(const Convolution3x3& c) {
  auto convolution = std::make_shared<Convolution>();
  convolution->in = c.in;
  convolution->out = c.out;
  convolution->kernel = 3;
  convolution->padding = 1;
  return convolution;
}

ConvolutionJob job_of(const Convolution3x3& c, const std::shared_ptr<const Convolution>& kernel,
                      const float* x, float* y) {
  return {kernel, c.count, c.height, c.width, c.height, c.width, {{x, c.in}}, y, c.threads};
}

// Weights are transformed at every call, since a training changes them: for fewer pixels that takes
// longer than the multiplications that it saves.
constexpr int64_t kLeastPixels = 1024;
int64_t pixels_of(const Convolution3x3& c) { return c.count * c.height * c.width; }

bool is_winograd(Way way) { return way == Way::Winograd2 || way == Way::Winograd4; }

// `fill` writes the weights, [out][in][3][3].
template <class Fill>
void compute(const Convolution3x3& c, const float* x, const float* bias, float slope, float* y,
             Fill&& fill) {
  const auto convolution = kernel_of(c);
  convolution->slope = slope;
  convolution->weights.resize(static_cast<size_t>(c.in * c.out * 9));
  fill(convolution->weights.data());
  convolution->bias.assign(static_cast<size_t>(c.out), 0.0f);
  if (bias) std::copy_n(bias, c.out, convolution->bias.data());
  const auto job = job_of(c, convolution, x, y);
  // The memory is the calling thread's and stays with it.
  thread_local const auto scratch = std::make_shared<Scratch>();
  PackedWeights packed;
  // oneDNN is slow where pictures of three channels come in.
  const auto way = c.in < kernels().lanes ? Way::Pixels : ways_for(job).front();
  const auto step = make_convolution(job, way, scratch, packed);
  scratch->allocate();
  step->run();
}

}  // namespace

int64_t vector_lanes() { return kernels().lanes; }

bool winograd_pays(const Convolution3x3& c) {
  return pixels_of(c) >= kLeastPixels &&
         is_winograd(ways_for(job_of(c, kernel_of(c), nullptr, nullptr)).front());
}

bool own_way_pays(const Convolution3x3& c) { return c.in < kernels().lanes || winograd_pays(c); }

bool winograd_pays_for_weights(const Convolution3x3& c) {
  const int lanes = kernels().lanes;
  return c.in % lanes == 0 && c.out % lanes == 0 && c.height >= 4 && c.width >= 4 &&
         pixels_of(c) >= kLeastPixels;
}

void convolve(const Convolution3x3& c, const float* x, const float* weights, const float* bias,
              bool relu, float* y) {
  compute(c, x, bias, relu ? 0.0f : kNoActivation, y,
          [&](float* to) { std::copy_n(weights, c.in * c.out * 9, to); });
}

void input_gradient(const Convolution3x3& c, const float* y_gradient, const float* weights,
                    float* x_gradient) {
  compute(c.reversed(), y_gradient, nullptr, kNoActivation, x_gradient, [&](float* to) {
    for (int64_t i = 0; i < c.in; ++i)
      for (int64_t o = 0; o < c.out; ++o)
        for (int64_t k = 0; k < 9; ++k) *to++ = weights[(o * c.in + i) * 9 + 8 - k];
  });
}

// Y = A'[(G w G') * (B' x B)]A over tiles, so the gradient of w is G'[sum of (B' x B) * (A y A')]G
// with the gradient y.
void weight_gradient(const Convolution3x3& c, const float* x, const float* y_gradient,
                     float* result) {
  constexpr int64_t kM = 4, kSide = kM + 2, kPoints = kSide * kSide;
  constexpr int64_t kBlockFloats = 192 * 1024;  // what a second-level cache holds
  const auto& k = kernels();
  static const Buffer zeros(1 << 16);
  const int64_t rows = chunks(c.height, kM), columns = chunks(c.width, kM);
  const int64_t tiles = c.count * rows * columns;
  const int threads = static_cast<int>(std::min<int64_t>(c.threads, tiles));
  const int64_t block = std::clamp<int64_t>(kBlockFloats / kPoints / (c.in + c.out), 8, 256);
  const int64_t product = c.in * c.out;
  thread_local Scratch scratch;
  const int64_t each = kPoints * (product + block * (c.in + c.out));
  scratch.reserve(static_cast<size_t>(each * threads));
  scratch.allocate();
  float* const memory = scratch.data();

  parallel_for(threads, threads, [&](int64_t part, int) {
    float* sums = memory + part * each;  // [point][in][out]
    float* inputs = sums + kPoints * product;
    float* outputs = inputs + kPoints * block * c.in;
    std::fill_n(sums, kPoints * product, 0.0f);
    const int64_t end = tiles * (part + 1) / threads;
    for (int64_t first = tiles * part / threads; first < end; first += block) {
      const int64_t count = std::min(block, end - first);
      for (int64_t t = 0; t < count; ++t) {
        const int64_t tile = first + t, n = tile / (rows * columns);
        const int64_t y0 = tile / columns % rows * kM, x0 = tile % columns * kM;
        std::array<const float*, kPoints> pixels;
        const auto gather = [&](const float* from, int64_t channels, int64_t side, int64_t shift) {
          for (int64_t i = 0; i < side * side; ++i) {
            const int64_t row = y0 + i / side - shift, column = x0 + i % side - shift;
            const bool inside = row >= 0 && column >= 0 && row < c.height && column < c.width;
            pixels[static_cast<size_t>(i)] =
                inside ? from + ((n * c.height + row) * c.width + column) * channels : zeros.data();
          }
        };
        gather(x, c.in, kSide, 1);
        k.winograd_input(kM, pixels.data(), c.in, inputs + t * c.in, block * c.in);
        gather(y_gradient, c.out, kM, 0);
        k.winograd_gradient(kM, pixels.data(), c.out, outputs + t * c.out, block * c.out);
      }
      for (int64_t p = 0; p < kPoints; ++p)
        k.add_outer(c.in, c.out, count, inputs + p * block * c.in, c.in,
                    outputs + p * block * c.out, c.out, sums + p * product, c.out);
    }
  });

  const auto g = winograd_kernel_transform(kM);
  parallel_for(c.threads, c.in, [&](int64_t i, int) {
    std::vector<float> all(static_cast<size_t>(c.out)), gradient(static_cast<size_t>(9 * c.out));
    const auto out = static_cast<size_t>(c.out);
    for (size_t p = 0; p < kPoints; ++p) {
      const auto at = static_cast<int64_t>(p) * product + i * c.out;
      std::copy_n(memory + at, c.out, all.data());
      for (int part = 1; part < threads; ++part) {
        const float* more = memory + part * each + at;
        for (size_t o = 0; o < out; ++o) all[o] += more[o];
      }
      for (size_t a = 0; a < 3; ++a)
        for (size_t b = 0; b < 3; ++b) {
          const auto factor = static_cast<float>(g[p / kSide][a] * g[p % kSide][b]);
          if (factor == 0) continue;
          float* to = gradient.data() + (a * 3 + b) * out;
          for (size_t o = 0; o < out; ++o) to[o] += factor * all[o];
        }
    }
    for (size_t o = 0; o < out; ++o)
      for (size_t q = 0; q < 9; ++q)
        result[(o * static_cast<size_t>(c.in) + static_cast<size_t>(i)) * 9 + q] =
            gradient[q * out + o];
  });
}

}  // namespace veilnet::runtime
