// Where the arithmetic happens: device, threads, precision.
#pragma once

#include <memory>
#include <string>
#include <torch/types.h>

#include "core/config.h"
#include "train/group.h"

namespace veilnet::train {

struct Compute {
  torch::Device device = torch::kCPU;
  int threads = 1;
  bool bf16 = false;  ///< autocast convolutions and linear layers to bfloat16; weights, losses and
                      ///< optimiser stay float32
  Place place;        ///< among processes that train together, as the environment says
  double peer_seconds = 60;      ///< a process that does not answer for so long is lost
  std::shared_ptr<Group> group;  ///< null: this process trains alone

  /// Whether this process writes files, logs and progress.
  bool writes() const { return !group || group->first(); }
};

/// Reads [compute] device ("cpu", "cuda", "cuda:N"), threads (0 = the physical cores), precision
/// ("float32", "bfloat16", "auto": bfloat16 where the processor computes in it, at two to three
/// times the speed), peer_seconds; and the place among several processes (place_from), which share
/// the cores of a machine. Applies the thread count.
/// @throws Error{InvalidArgument} for another device name and as place_from; Error{Unsupported} for
/// CUDA where this LibTorch or machine has none.
Compute configure_compute(Config& config);

/// Meets the other processes, where the environment names some, and from then on logs and shows
/// progress on the first alone.
/// @throws as Group; Error{Unsupported} for several processes on a device other than the CPU.
void join(Compute& compute);

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
