// Where the arithmetic happens: device, threads, precision.
#pragma once

#include <string>
#include <torch/types.h>

#include "core/config.h"

namespace veilnet::train {

struct Compute {
  torch::Device device = torch::kCPU;
  int threads = 1;
  bool bf16 = false;  ///< autocast convolutions and linear layers to bfloat16; weights, losses and
                      ///< optimiser stay float32
};

/// Reads [compute] device ("cpu", "cuda", "cuda:N"), threads (0 = the physical cores), precision
/// ("float32", "bfloat16", "auto": bfloat16 where the processor computes in it, at two to three
/// times the speed); applies the thread count.
/// @throws Error{InvalidArgument} for another device name; Error{Unsupported} for CUDA where this
/// LibTorch or machine has none.
Compute configure_compute(Config& config);

/// Device, threads, LibTorch, BLAS and instruction set, one item a line: the first lines of every
/// log.
std::string describe(const Compute& compute);

/// Enables bf16 autocast for its lifetime when compute.bf16.
class Autocast {
 public:
  explicit Autocast(const Compute& compute);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  torch::DeviceType type_;
  bool active_;
};

}  // namespace veilnet::train
