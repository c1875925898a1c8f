#include "runtime/convolve.h"

#include <gmock/gmock.h>
#include <random>

#include "runtime/kernels.h"
#include "support.h"

namespace veilnet::runtime {
namespace {

struct Case {
  std::vector<int64_t> sources;
  int64_t out, kernel, stride, padding;
  bool upsampled, residual;
  float slope;
  int64_t height, width;
};

// Every convolution in double.
std::vector<double> plain(const ConvolutionJob& job, const std::vector<float>& before) {
  const auto& c = *job.convolution;
  const int scale = c.upsampled ? 2 : 1;
  std::vector<double> result;
  for (int64_t n = 0; n < job.count; ++n)
    for (int64_t y = 0; y < job.out_height; ++y)
      for (int64_t x = 0; x < job.out_width; ++x)
        for (int64_t o = 0; o < c.out; ++o) {
          double sum = c.bias[static_cast<size_t>(o)];
          if (c.residual) sum += before[result.size()];
          for (int64_t a = 0; a < c.kernel; ++a)
            for (int64_t b = 0; b < c.kernel; ++b) {
              const int64_t i = y * c.stride + a - c.padding, j = x * c.stride + b - c.padding;
              if (i < 0 || j < 0 || i >= scale * job.height || j >= scale * job.width) continue;
              const int64_t pixel = (n * job.height + i / scale) * job.width + j / scale;
              int64_t channel = 0;
              for (const auto& source : job.sources)
                for (int64_t k = 0; k < source.channels; ++k)
                  sum += double{c.weight(o, channel++, a, b)} *
                         source.data[pixel * source.channels + k];
            }
          result.push_back(std::max(sum, c.slope * sum));
        }
  return result;
}

void check(const Case& test, int64_t count, int threads) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  const auto draw = [&](int64_t n) {
    std::vector<float> values(static_cast<size_t>(n));
    for (auto& v : values) v = normal(random);
    return values;
  };
  const auto c = std::make_shared<Convolution>();
  c->out = test.out;
  c->kernel = test.kernel;
  c->stride = test.stride;
  c->padding = test.padding;
  c->upsampled = test.upsampled;
  c->residual = test.residual;
  c->slope = test.slope;
  const int scale = test.upsampled ? 2 : 1;
  const auto side = [&](int64_t n) {
    return (scale * n + 2 * test.padding - test.kernel) / test.stride + 1;
  };
  ConvolutionJob job{c,  count,   test.height, test.width, side(test.height), side(test.width),
                     {}, nullptr, threads};
  std::vector<std::vector<float>> inputs;
  for (const auto channels : test.sources) {
    inputs.push_back(draw(count * test.height * test.width * channels));
    c->in += channels;
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    job.sources.push_back({inputs[i].data(), test.sources[i]});
  c->weights = draw(c->out * c->in * c->kernel * c->kernel);
  c->bias = draw(c->out);
  const auto before = draw(count * job.out_height * job.out_width * c->out);
  const auto expected = plain(job, before);
  double largest = 0;
  for (const auto v : expected) largest = std::max(largest, std::abs(v));

  for (const Way way : ways_for(job)) {
    SCOPED_TRACE(std::string(way_name(way)));
    auto out = before;
    job.out = out.data();
    PackedWeights weights;
    const auto scratch = std::make_shared<Scratch>();
    const auto step = make_convolution(job, way, scratch, weights);
    scratch->allocate();
    step->run();
    double error = 0;
    for (size_t i = 0; i < out.size(); ++i) error = std::max(error, std::abs(out[i] - expected[i]));
    EXPECT_LT(error / largest, way == Way::Winograd4 ? 2e-5 : 4e-6);
  }
}

TEST(Convolve, EveryWayGivesThePlainSum) {
  const std::vector<Case> cases = {
      {{3}, 16, 3, 1, 1, false, false, 0.0f, 12, 10},          // a first layer
      {{16}, 48, 3, 1, 1, false, false, 0.0f, 9, 7},           // sides that no tile divides
      {{16, 32}, 16, 3, 1, 1, false, false, 0.0f, 8, 8},       // two sources
      {{16}, 16, 3, 1, 1, false, true, 0.0f, 8, 8},            // residual
      {{16}, 16, 3, 1, 1, false, true, 0.1f, 6, 8},            // leaky
      {{32}, 80, 3, 1, 1, true, false, 0.0f, 4, 5},            // enlarged
      {{32}, 16, 3, 1, 1, true, false, kNoActivation, 1, 1},   // enlarged, one pixel
      {{16}, 32, 3, 2, 1, false, false, 0.0f, 9, 8},           // stride
      {{5}, 7, 3, 1, 1, false, false, 0.0f, 5, 6},             // no whole vectors
      {{5}, 7, 3, 1, 1, true, false, 0.0f, 5, 6},              // nor here
      {{64}, 3, 1, 1, 0, false, false, kNoActivation, 8, 8},   // the last layer
      {{64}, 10, 1, 1, 0, false, false, kNoActivation, 1, 1},  // linear
      {{16}, 32, 1, 2, 0, false, true, 0.0f, 8, 6},            // projection
      {{3}, 48, 4, 4, 0, false, false, 0.1f, 8, 12},           // blocks
      {{128}, 192, 3, 1, 1, false, false, 0.0f, 2, 2}};        // a deep level
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE("case " + std::to_string(i));
    check(cases[i], 1, 1);
    check(cases[i], 3, 2);
  }
  check({{32}, 64, 3, 1, 1, false, false, 0.0f, 40, 40}, 2, 3);
  check({{48}, 32, 3, 1, 1, true, false, 0.0f, 33, 70}, 1, 2);
}

// Products of small whole numbers are exact in any order.
TEST(Kernels, MultiplyMatricesOfAnySize) {
  for (const auto* k : available_kernels()) {
    SCOPED_TRACE(std::string(k->name));
    for (const int64_t m : {1, 5, 13, 14, 15, 33}) {
      for (const int64_t n : {1, 2, 3, 5}) {
        const int64_t columns = n * k->lanes, depth = 9, ldc = columns + 2;
        std::vector<float> a, b, packed(static_cast<size_t>(columns * depth)),
            c(static_cast<size_t>(m * ldc), -1.0f);
        for (int64_t i = 0; i < m * depth; ++i) a.push_back(static_cast<float>(i % 7 - 3));
        for (int64_t i = 0; i < columns * depth; ++i) b.push_back(static_cast<float>(i % 5 - 2));
        k->pack(columns, depth, b.data(), columns, packed.data());
        k->gemm(m, columns, depth, a.data(), depth, packed.data(), c.data(), ldc);
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < ldc; ++j) {
            float sum = j < columns ? 0.0f : -1.0f;
            for (int64_t d = 0; j < columns && d < depth; ++d)
              sum +=
                  a[static_cast<size_t>(i * depth + d)] * b[static_cast<size_t>(d * columns + j)];
            ASSERT_EQ(c[static_cast<size_t>(i * ldc + j)], sum) << m << " " << n;
          }
        }
      }
    }
  }
}

TEST(Kernels, RoundTheSigmoidToBytes) {
  std::vector<float> x;
  for (int i = -4000; i <= 4000; ++i) x.push_back(static_cast<float>(i) * 0.005f);
  x.insert(x.end(), {0, 1e30f, -1e30f, 88, -88, 1e-30f});
  for (const auto* k : available_kernels()) {
    SCOPED_TRACE(std::string(k->name));
    std::vector<uint8_t> out(x.size());
    EXPECT_TRUE(k->sigmoid_bytes(static_cast<int64_t>(x.size()), x.data(), out.data()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = 255 / (1 + std::exp(-double{x[i]}));
      ASSERT_LE(std::abs(out[i] - exact), 0.5 + 1e-4) << x[i];
    }
    for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
      auto damaged = x;
      damaged[17] = bad;
      EXPECT_FALSE(k->sigmoid_bytes(static_cast<int64_t>(x.size()), damaged.data(), out.data()));
    }
  }
}

}  // namespace
}  // namespace veilnet::runtime
