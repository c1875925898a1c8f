// Ways to compute one convolution.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/lower.h"
#include "runtime/memory.h"

namespace veilnet::runtime {

/// A part of a plan: bound to its memory, run by one thread at a time.
class Step {
 public:
  virtual ~Step() = default;
  virtual void run() = 0;
};

/// Weights in the form that a way of computing reads, shared by all plans of a network.
class PackedWeights {
 public:
  /// The buffer of this name, made by `make` the first time.
  template <class Make>
  std::shared_ptr<const Buffer> get(const Convolution* convolution, const std::string& form,
                                    Make&& make) {
    const std::lock_guard lock(mutex_);
    auto& entry = packed_[{convolution, form}];
    if (!entry) entry = std::make_shared<const Buffer>(make());
    return entry;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<const Convolution*, std::string>, std::shared_ptr<const Buffer>> packed_;
};

/// One convolution of a plan: sizes and memory.
struct ConvolutionJob {
  std::shared_ptr<const Convolution> convolution;
  int64_t count = 0, height = 0, width = 0;  ///< of the input, before it is enlarged
  int64_t out_height = 0, out_width = 0;
  struct Source {
    const float* data;
    int64_t channels;
  };
  std::vector<Source> sources;  ///< their channels behind each other are the input
  float* out = nullptr;
  int threads = 1;
};

enum class Way {
  OneDnn,      ///< oneDNN's own choice for NHWC
  Pixels,      ///< a matrix product over the pixels of the whole batch
  Winograd2,   ///< F(2x2, 3x3)
  Winograd4,   ///< F(4x4, 3x3)
  Differences  ///< an enlarged input as the small picture and its differences
};
std::string_view way_name(Way way);

/// The ways that can compute this convolution on this processor, the best guess first.
std::vector<Way> ways_for(const ConvolutionJob& job);

/// @throws Error{Unsupported} if oneDNN has no implementation.
std::unique_ptr<Step> make_convolution(const ConvolutionJob& job, Way way,
                                       const std::shared_ptr<Scratch>& scratch,
                                       PackedWeights& weights);

/// The matrix G of F(m x m, 3 x 3): a kernel's row in the form that the transformed input meets.
std::vector<std::array<double, 3>> winograd_kernel_transform(int m);

/// Multiply-accumulate operations of the plain convolution, without what a way saves.
double multiplications(const ConvolutionJob& job);

}  // namespace veilnet::runtime
