// Memory for activations, weights and scratch: aligned, not initialised more than needed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace veilnet::runtime {

/// Floats at a multiple of 64 bytes, zero at first.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t floats) : size_(floats) {
    const size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    data_.reset(static_cast<float*>(std::aligned_alloc(64, std::max<size_t>(bytes, 64))));
    if (!data_) throw std::bad_alloc();
    std::fill_n(data_.get(), floats, 0.0f);
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  size_t size_ = 0;
};

/// Memory that the steps of a plan use one after another. Each reserves what it needs when it is
/// made; the address is there once all are.
class Scratch {
 public:
  void reserve(size_t floats) { needed_ = std::max(needed_, floats); }
  void allocate() {
    if (buffer_.size() < needed_) buffer_ = Buffer(needed_);
  }
  float* data() { return buffer_.data(); }
  size_t size() const { return needed_; }

 private:
  size_t needed_ = 0;
  Buffer buffer_;
};

}  // namespace veilnet::runtime
