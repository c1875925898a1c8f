#include "runtime/convolve.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/kernels.h"
#include "runtime/onednn.h"
#include "runtime/parallel.h"

namespace veilnet::runtime {
namespace {

int64_t rounded_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
int64_t chunks(int64_t n, int64_t size) { return (n + size - 1) / size; }

// Scratch that one thread fills while it works on one item, small enough for a second-level cache.
constexpr int64_t kItemFloats = 192 * 1024;
// Output channels worked on at once.
constexpr int64_t kChunk = 64;
// Threads that work on the same input for output channels of their own.
constexpr int64_t kMostGroups = 4;

const std::shared_ptr<const Buffer>& zeros() {
  static const auto buffer = std::make_shared<const Buffer>(1 << 16);
  return buffer;
}

// What every way that is written here needs.
class OwnStep : public Step {
 public:
  OwnStep(const ConvolutionJob& job, std::shared_ptr<Scratch> scratch)
      : job_(job), c_(*job.convolution), k_(kernels()), scratch_(std::move(scratch)) {}

 protected:
  void reserve(int64_t floats_a_thread) {
    floats_a_thread_ = rounded_up(floats_a_thread, 16);
    scratch_->reserve(static_cast<size_t>(floats_a_thread_ * job_.threads));
  }
  float* scratch(int thread) const { return scratch_->data() + floats_a_thread_ * thread; }
  float* out_pixel(int64_t n, int64_t y, int64_t x) const {
    return job_.out + ((n * job_.out_height + y) * job_.out_width + x) * c_.out;
  }

  ConvolutionJob job_;
  const Convolution& c_;
  const Kernels& k_;

 private:
  std::shared_ptr<Scratch> scratch_;
  int64_t floats_a_thread_ = 0;
};

// A matrix product: a row for each pixel of the output, of the values that its kernel sees.
class Pixels : public OwnStep {
 public:
  Pixels(const ConvolutionJob& job, std::shared_ptr<Scratch> scratch, PackedWeights& weights)
      : OwnStep(job, std::move(scratch)),
        depth_(c_.in * c_.kernel * c_.kernel),
        columns_(rounded_up(c_.out, k_.lanes)) {
    direct_ = c_.kernel == 1 && c_.stride == 1 && c_.padding == 0 && !c_.upsampled &&
              job_.sources.size() == 1;
    rows_ = std::max<int64_t>(kItemFloats / (depth_ + columns_) / k_.rows, 1) * k_.rows;
    reserve(rows_ * ((direct_ ? 0 : depth_) + columns_));
    weights_ = weights.get(job.convolution.get(), "pixels", [&] { return packed(); });
  }

  void run() override {
    const int64_t pixels = job_.count * job_.out_height * job_.out_width;
    const int64_t each = std::min(rows_, rounded_up(chunks(pixels, job_.threads), k_.rows));
    parallel_for(job_.threads, chunks(pixels, each), [&](int64_t item, int thread) {
      const int64_t first = item * each, count = std::min(each, pixels - first);
      float* sums = scratch(thread);
      const float* values = job_.sources[0].data + first * c_.in;
      if (!direct_) {
        float* gathered = sums + rows_ * columns_;
        for (int64_t p = 0; p < count; ++p) gather(first + p, gathered + p * depth_);
        values = gathered;
      }
      k_.gemm(count, columns_, depth_, values, depth_, weights_->data(), sums, columns_);
      k_.finish(count, c_.out, sums, columns_, c_.bias.data(), c_.residual, c_.slope,
                job_.out + first * c_.out, c_.out);
    });
  }

 private:
  Buffer packed() const {
    std::vector<float> matrix(static_cast<size_t>(depth_ * columns_));
    for (int64_t y = 0, row = 0; y < c_.kernel; ++y)
      for (int64_t x = 0; x < c_.kernel; ++x)
        for (int64_t i = 0; i < c_.in; ++i, ++row)
          for (int64_t o = 0; o < c_.out; ++o)
            matrix[static_cast<size_t>(row * columns_ + o)] = c_.weight(o, i, y, x);
    Buffer buffer(matrix.size());
    k_.pack(columns_, depth_, matrix.data(), columns_, buffer.data());
    return buffer;
  }

  void gather(int64_t pixel, float* row) const {
    const int64_t plane = job_.out_height * job_.out_width, n = pixel / plane;
    const int64_t y0 = pixel % plane / job_.out_width * c_.stride - c_.padding;
    const int64_t x0 = pixel % job_.out_width * c_.stride - c_.padding;
    const int shift = c_.upsampled ? 1 : 0;
    for (int64_t y = y0; y < y0 + c_.kernel; ++y) {
      for (int64_t x = x0; x < x0 + c_.kernel; ++x) {
        const bool inside = y >= 0 && x >= 0 && y >> shift < job_.height && x >> shift < job_.width;
        const int64_t at = (n * job_.height + (y >> shift)) * job_.width + (x >> shift);
        for (const auto& source : job_.sources) {
          const auto bytes = static_cast<size_t>(source.channels) * sizeof(float);
          if (inside) {
            std::memcpy(row, source.data + at * source.channels, bytes);
          } else {
            std::memset(row, 0, bytes);
          }
          row += source.channels;
        }
      }
    }
  }

  int64_t depth_, columns_, rows_;
  bool direct_;
  std::shared_ptr<const Buffer> weights_;
};

class Winograd : public OwnStep {
 public:
  Winograd(const ConvolutionJob& job, int m, std::shared_ptr<Scratch> scratch,
           PackedWeights& weights)
      : OwnStep(job, std::move(scratch)), m_(m), points_(winograd_points(m)) {
    rows_ = chunks(job_.out_height, m_);
    columns_ = chunks(job_.out_width, m_);
    chunk_ = std::min(c_.out, kChunk);
    const int64_t tiles = job_.count * rows_ * columns_;
    // Weights that no cache holds are worth reading seldom: once for many tiles, and by one thread.
    const bool large = points_ * c_.in * c_.out > kItemFloats * 3 / 2;
    groups_ = large || tiles < job_.threads
                  ? std::min<int64_t>({job_.threads, kMostGroups, chunks(c_.out, chunk_)})
                  : 1;
    const int64_t block = (large ? 8 : 3) * k_.rows, sharing = chunks(job_.threads, groups_);
    block_ = chunks(tiles, sharing * chunks(tiles, sharing * block));
    reserve(points_ * block_ * (c_.in + chunk_));
    weights_ = weights.get(job.convolution.get(), m == 2 ? "winograd2" : "winograd4",
                           [&] { return packed(); });
  }

  void run() override {
    const int64_t tiles = job_.count * rows_ * columns_, blocks = chunks(tiles, block_);
    parallel_for(job_.threads, blocks * groups_, [&](int64_t item, int thread) {
      const int64_t first = item / groups_ * block_, count = std::min(block_, tiles - first);
      float* input = scratch(thread);
      float* sums = input + points_ * block_ * c_.in;
      for (int64_t t = 0; t < count; ++t) transform_input(first + t, input + t * c_.in);
      const int64_t all = chunks(c_.out, chunk_), group = item % groups_;
      for (int64_t i = all * group / groups_; i < all * (group + 1) / groups_; ++i) {
        const int64_t from = i * chunk_, channels = std::min(chunk_, c_.out - from);
        for (int64_t p = 0; p < points_; ++p) {
          k_.gemm(count, channels, c_.in, input + p * block_ * c_.in, c_.in,
                  weights_->data() + (p * c_.out + from) * c_.in, sums + p * block_ * chunk_,
                  chunk_);
        }
        for (int64_t t = 0; t < count; ++t)
          transform_output(first + t, sums + t * chunk_, from, channels);
      }
    });
  }

 private:
  struct Place {
    int64_t n, y, x;  // of the tile's first output pixel
  };
  Place place(int64_t tile) const {
    return {tile / (rows_ * columns_), tile / columns_ % rows_ * m_, tile % columns_ * m_};
  }

  void transform_input(int64_t tile, float* to) const {
    const auto [n, y0, x0] = place(tile);
    const int64_t side = m_ + 2;
    for (const auto& source : job_.sources) {
      std::array<const float*, 36> pixels;
      for (int64_t i = 0; i < points_; ++i) {
        const int64_t y = y0 + i / side - 1, x = x0 + i % side - 1;
        const bool inside = y >= 0 && x >= 0 && y < job_.height && x < job_.width;
        pixels[static_cast<size_t>(i)] =
            inside ? source.data + ((n * job_.height + y) * job_.width + x) * source.channels
                   : zeros()->data();
      }
      k_.winograd_input(static_cast<int>(m_), pixels.data(), source.channels, to, block_ * c_.in);
      to += source.channels;
    }
  }

  void transform_output(int64_t tile, const float* sums, int64_t from, int64_t channels) const {
    const auto [n, y0, x0] = place(tile);
    std::array<float*, 16> out;
    for (int64_t i = 0; i < m_ * m_; ++i) {
      const int64_t y = y0 + i / m_, x = x0 + i % m_;
      out[static_cast<size_t>(i)] =
          y < job_.out_height && x < job_.out_width ? out_pixel(n, y, x) + from : nullptr;
    }
    k_.winograd_output(static_cast<int>(m_), sums, block_ * chunk_, channels, c_.bias.data() + from,
                       c_.residual ? out.data() : nullptr, c_.slope, out.data());
  }

  // Each point's matrix [in][out], packed in chunks of output channels.
  Buffer packed() const {
    const auto g = winograd_kernel_transform(static_cast<int>(m_));
    const auto side = g.size();
    const auto in = static_cast<size_t>(c_.in), out = static_cast<size_t>(c_.out);
    std::vector<float> matrices(side * side * in * out);
    std::vector<double> scratch(static_cast<size_t>(job_.threads) * 12 * out);
    parallel_for(job_.threads, c_.in, [&](int64_t channel, int thread) {
      const auto i = static_cast<size_t>(channel);
      // The loops over output channels are the inner ones, which the compiler makes vectors of.
      double* const kernels = scratch.data() + static_cast<size_t>(thread) * 12 * out;
      double* const rows = kernels + 9 * out;
      for (size_t o = 0; o < out; ++o)
        for (size_t k = 0; k < 9; ++k) kernels[k * out + o] = c_.weights[(o * in + i) * 9 + k];
      for (size_t y = 0; y < side; ++y) {
        for (size_t b = 0; b < 3; ++b) {
          const double* w = kernels + b * out;
          for (size_t o = 0; o < out; ++o)
            rows[b * out + o] =
                g[y][0] * w[o] + g[y][1] * w[3 * out + o] + g[y][2] * w[6 * out + o];
        }
        for (size_t x = 0; x < side; ++x) {
          float* to = matrices.data() + ((y * side + x) * in + i) * out;
          for (size_t o = 0; o < out; ++o)
            to[o] = static_cast<float>(g[x][0] * rows[o] + g[x][1] * rows[out + o] +
                                       g[x][2] * rows[2 * out + o]);
        }
      }
    });
    Buffer buffer(matrices.size());
    parallel_for(job_.threads, points_, [&](int64_t p, int) {
      for (int64_t from = 0; from < c_.out; from += chunk_) {
        k_.pack(std::min(chunk_, c_.out - from), c_.in, matrices.data() + p * c_.in * c_.out + from,
                c_.out, buffer.data() + (p * c_.out + from) * c_.in);
      }
    });
    return buffer;
  }

  int64_t m_, points_, rows_, columns_, chunk_, block_, groups_;
  std::shared_ptr<const Buffer> weights_;
};

// 3x3 on a picture enlarged twice. In one dimension, with kernel (w0, w1, w2), sum s, the small
// picture x and d[i] = x[i] - x[i-1]:
//   y[2i] = s x[i] - w0 d[i],   y[2i+1] = s x[i] + w2 d[i+1]
// so in two dimensions x, its differences along rows, along columns and along both take 1, 2, 2 and
// 4 products for four pixels, where the plain sum takes 36.
class Differences : public OwnStep {
 public:
  Differences(const ConvolutionJob& job, std::shared_ptr<Scratch> scratch, PackedWeights& weights)
      : OwnStep(job, std::move(scratch)), chunk_(std::min(c_.out, kChunk)) {
    const int64_t a_row = (job_.width + 1) * (3 * c_.in + 9 * chunk_);
    strip_ = std::clamp<int64_t>(2 * kItemFloats / a_row - 1, 1, job_.height);
    strip_ = std::min(strip_, chunks(job_.count * job_.height, job_.threads));
    const int64_t strips = job_.count * chunks(job_.height, strip_);
    groups_ = strips >= job_.threads ? 1 : std::min<int64_t>(job_.threads, chunks(c_.out, chunk_));
    reserve((strip_ + 1) * a_row);
    weights_ = weights.get(job.convolution.get(), "differences", [&] { return packed(); });
  }

  void run() override {
    const int64_t strips = chunks(job_.height, strip_);
    parallel_for(job_.threads, job_.count * strips * groups_, [&](int64_t item, int thread) {
      const int64_t group = item % groups_, strip = item / groups_ % strips;
      const int64_t first = strip * strip_, rows = std::min(strip_, job_.height - first);
      work(item / groups_ / strips, first, rows, group, scratch(thread));
    });
  }

 private:
  void work(int64_t n, int64_t first, int64_t rows, int64_t group, float* memory) {
    const int64_t w = job_.width, in = c_.in, row = w * in, wide = (w + 1) * in;
    const float* x = job_.sources[0].data + n * job_.height * row;
    float* along_rows = memory;                              // [rows][w + 1]
    float* along_columns = along_rows + strip_ * wide;       // [rows + 1][w]
    float* along_both = along_columns + (strip_ + 1) * row;  // [rows + 1][w + 1]
    float* sums = along_both + (strip_ + 1) * wide;
    for (int64_t i = 0; i < rows; ++i) differ(x + (first + i) * row, along_rows + i * wide);
    for (int64_t i = 0; i <= rows; ++i) {
      const int64_t y = first + i;
      k_.difference(row, y < job_.height ? x + y * row : nullptr,
                    y > 0 ? x + (y - 1) * row : nullptr, along_columns + i * row);
      differ(along_columns + i * row, along_both + i * wide);
    }
    const int64_t all = chunks(c_.out, chunk_);
    for (int64_t part = all * group / groups_; part < all * (group + 1) / groups_; ++part) {
      const int64_t from = part * chunk_, channels = std::min(chunk_, c_.out - from);
      const float* weights = weights_->data() + from * in * 9;
      float* plain = sums;                             // [rows][w][channels]
      float* by_rows = plain + strip_ * w * channels;  // [rows][w + 1][2][channels]
      float* by_columns = by_rows + strip_ * (w + 1) * 2 * channels;
      float* by_both = by_columns + (strip_ + 1) * w * 2 * channels;
      const auto product = [&](int64_t pixels, int64_t columns, const float* a, float* c) {
        k_.gemm(pixels, columns * channels, in, a, in, weights, c, columns * channels);
        weights += columns * channels * in;
      };
      product(rows * w, 1, x + first * row, plain);
      product(rows * (w + 1), 2, along_rows, by_rows);
      product((rows + 1) * w, 2, along_columns, by_columns);
      product((rows + 1) * (w + 1), 4, along_both, by_both);
      for (int64_t y = 0; y < 2 * rows; ++y) {
        const int64_t i = y / 2, below = y % 2;
        for (int64_t column = 0; column < 2 * w; ++column) {
          const int64_t j = column / 2, right = column % 2;
          k_.sum4(
              channels, plain + (i * w + j) * channels,
              by_rows + ((i * (w + 1) + j + right) * 2 + right) * channels,
              by_columns + (((i + below) * w + j) * 2 + below) * channels,
              by_both + (((i + below) * (w + 1) + j + right) * 4 + 2 * below + right) * channels,
              c_.bias.data() + from, c_.slope, out_pixel(n, 2 * first + y, column) + from);
        }
      }
    }
  }

  // One row's w + 1 differences between neighbours, zeros outside.
  void differ(const float* x, float* d) const {
    const int64_t in = c_.in, row = job_.width * in;
    k_.difference(in, x, nullptr, d);
    k_.difference(row - in, x + in, x, d + in);
    k_.difference(in, nullptr, x + row - in, d + row);
  }

  // For every chunk of output channels the four matrices [in][products][channels], packed.
  Buffer packed() const {
    Buffer buffer(static_cast<size_t>(9 * c_.in * c_.out));
    float* to = buffer.data();
    // A kernel's rows (or columns) as the small picture and its differences meet them.
    static constexpr double kSum[3] = {1, 1, 1}, kBefore[3] = {-1, 0, 0}, kAfter[3] = {0, 0, 1};
    using Pair = std::pair<const double*, const double*>;  // rows, columns
    const std::vector<std::vector<Pair>> matrices = {
        {{kSum, kSum}},
        {{kSum, kBefore}, {kSum, kAfter}},
        {{kBefore, kSum}, {kAfter, kSum}},
        {{kBefore, kBefore}, {kBefore, kAfter}, {kAfter, kBefore}, {kAfter, kAfter}}};
    std::vector<float> matrix;
    for (int64_t from = 0; from < c_.out; from += chunk_) {
      const int64_t channels = std::min(chunk_, c_.out - from);
      for (const auto& products : matrices) {
        matrix.clear();
        for (int64_t i = 0; i < c_.in; ++i) {
          for (const auto& [rows, columns] : products) {
            for (int64_t o = from; o < from + channels; ++o) {
              double sum = 0;
              for (int64_t y = 0; y < 3; ++y)
                for (int64_t x = 0; x < 3; ++x) sum += rows[y] * columns[x] * c_.weight(o, i, y, x);
              matrix.push_back(static_cast<float>(sum));
            }
          }
        }
        const auto wide = static_cast<int64_t>(products.size()) * channels;
        k_.pack(wide, c_.in, matrix.data(), wide, to);
        to += wide * c_.in;
      }
    }
    return buffer;
  }

  int64_t chunk_, strip_, groups_;
  std::shared_ptr<const Buffer> weights_;
};

// What a way is expected to take, in multiply-accumulate operations of a good matrix product:
// products, what is done to inputs and outputs, and weights that come from main memory.
double expected_cost(const ConvolutionJob& job, Way way) {
  constexpr double kAroundEachValue = 15, kEachWeight = 22;
  const auto& c = *job.convolution;
  const auto product = static_cast<double>(c.in * c.out);
  const auto sides = static_cast<double>(c.in + c.out);
  const auto count = static_cast<double>(job.count);
  switch (way) {
    case Way::OneDnn:
    case Way::Pixels: {
      const double weights = product * static_cast<double>(c.kernel * c.kernel) * kEachWeight;
      const double gathered = c.kernel > 1 ? 1.25 : 1;
      return multiplications(job) * (way == Way::OneDnn ? 0.85 : gathered) + weights;
    }
    case Way::Winograd2:
    case Way::Winograd4: {
      const int64_t m = way == Way::Winograd2 ? 2 : 4;
      const auto points = static_cast<double>(winograd_points(static_cast<int>(m)));
      const double tiles =
          count * static_cast<double>(chunks(job.out_height, m) * chunks(job.out_width, m));
      return points * (tiles * (product * 1.1 + sides * kAroundEachValue) + product * kEachWeight);
    }
    case Way::Differences: {
      const auto pixels = count * static_cast<double>((job.height + 1) * (job.width + 1));
      return 9 * (pixels * (product * 1.1 + sides * kAroundEachValue) + product * kEachWeight);
    }
  }
  return 0;
}

bool whole_vectors(const ConvolutionJob& job) {
  const int lanes = kernels().lanes;
  for (const auto& source : job.sources) {
    if (source.channels % lanes != 0) return false;
  }
  return job.convolution->out % lanes == 0;
}

}  // namespace

std::vector<std::array<double, 3>> winograd_kernel_transform(int m) {
  if (m == 2) return {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  return {{0.25, 0, 0},
          {-1 / 6.0, -1 / 6.0, -1 / 6.0},
          {-1 / 6.0, 1 / 6.0, -1 / 6.0},
          {1 / 24.0, 1 / 12.0, 1 / 6.0},
          {1 / 24.0, -1 / 12.0, 1 / 6.0},
          {0, 0, 1}};
}

std::string_view way_name(Way way) {
  switch (way) {
    case Way::OneDnn: return "onednn";
    case Way::Pixels: return "pixels";
    case Way::Winograd2: return "winograd2";
    case Way::Winograd4: return "winograd4";
    case Way::Differences: return "differences";
  }
  return "unknown";
}

std::vector<Way> ways_for(const ConvolutionJob& job) {
  const auto& c = *job.convolution;
  std::vector<Way> ways = {Way::OneDnn, Way::Pixels};
  if (c.kernel == 3 && c.stride == 1 && c.padding == 1 && whole_vectors(job)) {
    if (!c.upsampled) {
      ways.insert(ways.end(), {Way::Winograd2, Way::Winograd4});
    } else if (job.sources.size() == 1 && !c.residual) {
      ways.push_back(Way::Differences);
    }
  }
  std::ranges::sort(ways, {}, [&](Way way) { return expected_cost(job, way); });
  return ways;
}

std::unique_ptr<Step> make_convolution(const ConvolutionJob& job, Way way,
                                       const std::shared_ptr<Scratch>& scratch,
                                       PackedWeights& weights) {
  switch (way) {
    case Way::OneDnn: return make_onednn_convolution(job, scratch, weights);
    case Way::Pixels: return std::make_unique<Pixels>(job, scratch, weights);
    case Way::Winograd2: return std::make_unique<Winograd>(job, 2, scratch, weights);
    case Way::Winograd4: return std::make_unique<Winograd>(job, 4, scratch, weights);
    case Way::Differences: return std::make_unique<Differences>(job, scratch, weights);
  }
  return nullptr;
}

double multiplications(const ConvolutionJob& job) {
  const auto& c = *job.convolution;
  return static_cast<double>(job.count * job.out_height * job.out_width * c.out) *
         static_cast<double>(c.in * c.kernel * c.kernel);
}

}  // namespace veilnet::runtime
