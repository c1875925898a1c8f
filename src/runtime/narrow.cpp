#include "runtime/narrow.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/parallel.h"

namespace veilnet::runtime {
namespace {

constexpr int64_t kBlock = 16;  // bytes
// Of gathered input that one thread works on, small enough for a second-level cache.
constexpr int64_t kItemBytes = 256 * 1024;
constexpr int64_t kMostTiles = 8;  // of rows in an item
constexpr int64_t kPanel = 32;     // columns

int64_t rounded_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
int64_t chunks(int64_t n, int64_t size) { return (n + size - 1) / size; }

// Where a kernel looks, from the pixel that belongs to the output's, and its weights there.
struct Tap {
  int64_t y, x;
  std::vector<std::pair<int64_t, int64_t>> kernel;  // places in the plain kernel, summed up
};

// One convolution, or one of the four that a 3x3 on an enlarged picture is: the pixels (2y + py,
// 2x + px) of the output see 2x2 pixels of the small picture, whose weights are sums of the
// kernel's.
struct Phase {
  int64_t y = 0, x = 0;
  std::vector<Tap> taps;
};

std::vector<Phase> phases_of(const Convolution& c) {
  std::vector<Phase> phases;
  if (!c.upsampled) {
    phases.emplace_back();
    for (int64_t y = 0; y < c.kernel; ++y)
      for (int64_t x = 0; x < c.kernel; ++x)
        phases.back().taps.push_back({y - c.padding, x - c.padding, {{y, x}}});
    return phases;
  }
  // Of one dimension: the pixel before or at, and the kernel's places that see it.
  struct Side {
    int64_t at;
    std::vector<int64_t> kernel;
  };
  const std::array<std::array<Side, 2>, 2> sides = {
      {{{{-1, {0}}, {0, {1, 2}}}}, {{{0, {0, 1}}, {1, {2}}}}}};
  for (size_t py = 0; py < 2; ++py) {
    for (size_t px = 0; px < 2; ++px) {
      phases.push_back({static_cast<int64_t>(py), static_cast<int64_t>(px), {}});
      for (const auto& row : sides[py]) {
        for (const auto& column : sides[px]) {
          Tap tap{row.at, column.at, {}};
          for (const auto y : row.kernel)
            for (const auto x : column.kernel) tap.kernel.emplace_back(y, x);
          phases.back().taps.push_back(std::move(tap));
        }
      }
    }
  }
  return phases;
}

// Rounded half to even.
uint16_t to_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

class NarrowConvolution : public Step {
 public:
  NarrowConvolution(const NarrowJob& job, std::shared_ptr<Scratch> scratch, PackedWeights& weights)
      : job_(job),
        c_(*job.convolution),
        k_(narrow_kernels(job.type)),
        scratch_(std::move(scratch)),
        phases_(phases_of(c_)),
        columns_(rounded_up(c_.out, 16)) {
    blocks_ = c_.in * static_cast<int64_t>(phases_[0].taps.size()) * type_bytes(job.type) / kBlock;
    grid_height_ = c_.upsampled ? job_.height : job_.out_height;
    grid_width_ = c_.upsampled ? job_.width : job_.out_width;
    const int64_t pixels = job_.count * grid_height_ * grid_width_;
    const int64_t most =
        std::clamp<int64_t>(kItemBytes / (blocks_ * kBlock) / k_.rows, 1, kMostTiles) * k_.rows;
    const auto phases = static_cast<int64_t>(phases_.size());
    // As many items for every thread; where there are few pixels, panels are shared out as well.
    const int64_t panels = chunks(columns_, kPanel);
    groups_ = std::clamp<int64_t>(job_.threads * k_.rows / std::max<int64_t>(pixels * phases, 1), 1,
                                  std::min<int64_t>(job_.threads, panels));
    const int64_t sharing = std::max<int64_t>(job_.threads / groups_, 1);
    rows_ = chunks(pixels, sharing * chunks(pixels, sharing * most));
    gathered_ = blocks_ * kBlock * rows_;
    each_ = rounded_up(gathered_ + rows_ * kPanel * 4 + rows_ * 2 * 8, 64);
    scratch_->reserve(static_cast<size_t>(each_ / 4 * job_.threads));
    weights_ = weights.get(job.convolution.get(), "narrow", [&] { return packed(); });
    bias_ = c_.bias;
    for (auto& b : bias_) b /= job_.out_scale;
    bias_.resize(static_cast<size_t>(columns_));
  }

  void run() override {
    const int64_t pixels = job_.count * grid_height_ * grid_width_, items = chunks(pixels, rows_);
    const auto phases = static_cast<int64_t>(phases_.size());
    parallel_for(job_.threads, phases * items * groups_, [&](int64_t item, int thread) {
      const int64_t first = item / groups_ % items * rows_;
      work(static_cast<size_t>(item / groups_ / items), first, std::min(rows_, pixels - first),
           item % groups_, reinterpret_cast<uint8_t*>(scratch_->data()) + each_ * thread);
    });
  }

 private:
  // Pixels first to first + count of the phase, and the group's columns of them.
  void work(size_t phase_index, int64_t first, int64_t count, int64_t group, uint8_t* memory) {
    const auto& phase = phases_[phase_index];
    auto* sums = reinterpret_cast<float*>(memory + gathered_);
    auto* pointers = memory + gathered_ + rows_ * kPanel * 4;
    auto** pixel = reinterpret_cast<uint8_t**>(pointers);
    auto** out = reinterpret_cast<void**>(pointers + rows_ * 8);
    const int64_t scale = c_.upsampled ? 2 : 1;
    const int64_t out_bytes = c_.out * type_bytes(job_.out_type);
    gather(phase, first, count, memory);
    for (int64_t i = 0; i < count; ++i) {
      const auto [n, y, x] = place(first + i);
      const int64_t at =
          (n * job_.out_height + y * scale + phase.y) * job_.out_width + x * scale + phase.x;
      pixel[i] = static_cast<uint8_t*>(job_.out) + at * out_bytes;
    }
    const auto* packed = reinterpret_cast<const uint8_t*>(weights_->data());
    const auto* scales =
        reinterpret_cast<const float*>(packed) + static_cast<int64_t>(phase_index) * columns_;
    const auto* matrix =
        packed + scales_bytes() + static_cast<int64_t>(phase_index) * blocks_ * 4 * columns_ * 4;
    const int64_t panels = chunks(columns_, kPanel);
    const bool narrow = job_.out_type != Type::Float32;
    const float residual = c_.residual ? job_.residual_scale / job_.out_scale : 0;
    for (int64_t i = panels * group / groups_; i < panels * (group + 1) / groups_; ++i) {
      const int64_t from = i * kPanel, columns = std::min(kPanel, columns_ - from);
      k_.gemm(count, blocks_, memory, rows_ * kBlock, matrix + from * blocks_ * kBlock, columns,
              sums);
      for (int64_t p = 0; p < count; ++p) out[p] = pixel[p] + from * type_bytes(job_.out_type);
      (narrow ? k_.finish : k_.finish_float)(count, std::min(columns, c_.out - from), sums,
                                             scales + from, bias_.data() + from, residual, c_.slope,
                                             out);
    }
  }

  std::array<int64_t, 3> place(int64_t pixel) const {
    const int64_t plane = grid_height_ * grid_width_;
    return {pixel / plane, pixel % plane / grid_width_, pixel % grid_width_};
  }

  // What the taps see, in the blocks that gemm reads: of each source, pixels of one row after
  // another.
  void gather(const Phase& phase, int64_t first, int64_t count, uint8_t* to) const {
    for (const auto& tap : phase.taps) {
      for (const auto& source : job_.sources) {
        const int64_t bytes = source.channels * type_bytes(job_.type);
        auto [n, y, x] = place(first);
        for (int64_t i = 0, run = 0; i < count; i += run, x = 0) {
          run = std::min(grid_width_ - x, count - i);
          const int64_t row = y * c_.stride + tap.y, column = x * c_.stride + tap.x;
          // Pixels of the run before and up to those that lie inside.
          int64_t before = run, end = run;
          if (row >= 0 && row < job_.height) {
            before = std::min(column < 0 ? chunks(-column, c_.stride) : 0, run);
            end = std::clamp(chunks(job_.width - column, c_.stride), before, run);
          }
          const auto* from = static_cast<const uint8_t*>(source.data) +
                             ((n * job_.height + row) * job_.width + column) * bytes;
          for (int64_t at = 0; at < bytes; at += kBlock) {
            auto* block = to + at / kBlock * rows_ * kBlock + i * kBlock;
            std::memset(block, 0, static_cast<size_t>(before * kBlock));
            for (int64_t p = before; p < end; ++p)
              std::memcpy(block + p * kBlock, from + p * c_.stride * bytes + at, kBlock);
            std::memset(block + end * kBlock, 0, static_cast<size_t>((run - end) * kBlock));
          }
          if (++y == grid_height_) {
            y = 0;
            ++n;
          }
        }
        to += bytes / kBlock * rows_ * kBlock;
      }
    }
  }

  int64_t scales_bytes() const {
    return rounded_up(static_cast<int64_t>(phases_.size()) * columns_ * 4, 64);
  }

  // For each phase the scale of every column's sum; then the weights, as gemm reads them.
  Buffer packed() const {
    const bool int8 = job_.type == Type::Int8;
    const int64_t values = kBlock / type_bytes(job_.type);  // in a block
    const int64_t depth = blocks_ * values;
    const auto phases = static_cast<int64_t>(phases_.size());
    Buffer buffer(static_cast<size_t>((scales_bytes() + phases * blocks_ * 4 * columns_ * 4) / 4));
    auto* scales = buffer.data();
    auto* to = reinterpret_cast<uint8_t*>(buffer.data()) + scales_bytes();
    std::vector<float> column(static_cast<size_t>(depth * columns_));
    for (const auto& phase : phases_) {
      // [column][depth]; what a byte of a source stands for is part of the weight.
      std::ranges::fill(column, 0.0f);
      for (int64_t o = 0; o < c_.out; ++o) {
        float* w = column.data() + o * depth;
        for (const auto& tap : phase.taps) {
          int64_t channel = 0;
          for (const auto& source : job_.sources) {
            for (int64_t i = 0; i < source.channels; ++i, ++channel) {
              float sum = 0;
              for (const auto& [y, x] : tap.kernel) sum += c_.weight(o, channel, y, x);
              *w++ = sum * source.scale;
            }
          }
        }
      }
      for (int64_t o = 0; o < columns_; ++o) {
        float largest = 0;
        for (int64_t i = 0; i < depth; ++i)
          largest = std::max(largest, std::abs(column[static_cast<size_t>(o * depth + i)]));
        const float step = int8 ? largest / static_cast<float>(k_.weight_limit) : 1;
        for (int64_t i = 0; i < depth; ++i) {
          const float w = column[static_cast<size_t>(o * depth + i)];
          const int64_t block = i / values, word = i % values * type_bytes(job_.type) / 4;
          const int64_t panel = o / kPanel * kPanel, wide = std::min(kPanel, columns_ - panel);
          auto* at = to + panel * blocks_ * kBlock + ((block * 4 + word) * wide + o - panel) * 4;
          if (int8) {
            at[i % 4] =
                static_cast<uint8_t>(static_cast<int8_t>(step > 0 ? std::nearbyint(w / step) : 0));
          } else {
            const uint16_t bits = to_bfloat16(w);
            std::memcpy(at + i % 2 * 2, &bits, sizeof bits);
          }
        }
        scales[o] = step / job_.out_scale;
      }
      scales += columns_;
      to += blocks_ * kBlock * columns_;
    }
    return buffer;
  }

  NarrowJob job_;
  const Convolution& c_;
  const NarrowKernels& k_;
  std::shared_ptr<Scratch> scratch_;
  std::vector<Phase> phases_;
  std::vector<float> bias_;
  int64_t columns_, blocks_ = 0, grid_height_ = 0, grid_width_ = 0, groups_ = 1, rows_ = 0;
  int64_t gathered_ = 0, each_ = 0;  // bytes of one thread's scratch
  std::shared_ptr<const Buffer> weights_;
};

}  // namespace

std::unique_ptr<Step> make_narrow_convolution(const NarrowJob& job,
                                              const std::shared_ptr<Scratch>& scratch,
                                              PackedWeights& weights) {
  return std::make_unique<NarrowConvolution>(job, scratch, weights);
}

}  // namespace veilnet::runtime
