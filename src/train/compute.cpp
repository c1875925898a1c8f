#include "train/compute.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <spdlog/spdlog.h>
#include <sstream>
#include <torch/cuda.h>
#include <torch/version.h>

#include "core/error.h"
#include "core/progress.h"
#include "nn/convolution.h"

namespace veilnet::train {
namespace {

// Autocast got one interface for all devices in LibTorch 2.4.
void set_autocast(torch::DeviceType type, bool on) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  at::autocast::set_autocast_enabled(type, on);
  at::autocast::set_autocast_dtype(type, at::kBFloat16);
#else
  if (type == torch::kCUDA) {
    at::autocast::set_enabled(on);
    at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
  } else {
    at::autocast::set_cpu_enabled(on);
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
  }
#endif
}

// The value after ':' of the first line starting with `key` in a /proc-style file, or "unknown".
std::string proc_value(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) == 0 && line.find(':') != std::string::npos)
      return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

// LibTorch knows only that it was built with some BLAS; which library answers at run time is seen
// in the process map.
std::string loaded_blas() {
  std::ifstream maps("/proc/self/maps");
  std::string found = "built in";
  for (std::string line; std::getline(maps, line);) {
    for (const char* name : {"libopenblas", "libmkl", "libblis", "libblas.so"}) {
      const auto at = line.find(name);
      if (at == std::string::npos) continue;
      const auto file = line.substr(line.rfind('/') + 1);
      if (std::string(name) != "libblas.so") return file;
      found = "reference " + file + " (slow: install libopenblas0-pthread)";
    }
  }
  return found;
}

// The vector instructions ATen's kernels use, as LibTorch's own summary states them; oneDNN chooses
// its own.
std::string cpu_capability() {
  const std::string summary = at::show_config(), key = "CPU capability usage: ";
  const auto at = summary.find(key);
  if (at == std::string::npos) return "unknown";
  const auto begin = at + key.size();
  return summary.substr(begin, summary.find('\n', begin) - begin);
}

}  // namespace

Compute configure_compute(Config& config) {
  Compute compute;
  const auto device = config.get_string("compute.device", "cpu");
  compute.threads = static_cast<int>(config.get_int("compute.threads", 0, 0, 1024));
  const auto precision =
      config.get_choice("compute.precision", "float32", {"float32", "bfloat16", "auto"});
  compute.peer_seconds = config.get_double("compute.peer_seconds", 60, 1, 86'400);
  compute.place = place_from(environment(), {physical_cores(), machine_cores()});
  if (compute.threads == 0) compute.threads = std::max(1, physical_cores() / compute.place.share);
  at::set_num_threads(compute.threads);
  nn::use_own_convolutions();
  const bool cuda = device == "cuda" ||
                    (device.rfind("cuda:", 0) == 0 && device.size() > 5 && device.size() < 8 &&
                     device.find_first_not_of("0123456789", 5) == std::string::npos);
  if (!cuda && device != "cpu") {
    throw Error(ErrorCode::InvalidArgument,
                "compute.device is \"" + device + "\"; allowed: cpu, cuda, cuda:N");
  }
  if (cuda) {
    const auto count =
        static_cast<int64_t>(torch::cuda::is_available() ? torch::cuda::device_count() : 0);
    compute.device = torch::Device(device);
    if (count == 0)
      throw Error(ErrorCode::Unsupported,
                  "compute.device is \"" + device + "\", but this LibTorch finds no CUDA device");
    if (compute.device.has_index() && compute.device.index() >= count) {
      throw Error(ErrorCode::Unsupported, "compute.device is \"" + device + "\", but there are " +
                                              std::to_string(count) + " CUDA devices");
    }
  }
  compute.bf16 = precision == "bfloat16" ||
                 (precision == "auto" && (cuda || __builtin_cpu_supports("avx512bf16")));
  return compute;
}

void join(Compute& compute) {
  const auto& place = compute.place;
  if (place.size == 1) return;
  if (!compute.device.is_cpu())
    fail(ErrorCode::Unsupported,
         "compute.device is \"{}\" with {} processes; allowed: cpu. Several processes meet over "
         "Gloo, which adds up on the CPU",
         compute.device.str(), place.size);
  compute.group = std::make_shared<Group>(
      place, std::chrono::seconds(static_cast<int64_t>(std::ceil(compute.peer_seconds))));
  if (place.rank == 0) return;
  spdlog::set_level(spdlog::level::err);
  Progress::show(false);
}

std::string describe(const Compute& compute) {
  std::ostringstream out;
  out << "device: " << compute.device.str() << " (" << proc_value("/proc/cpuinfo", "model name")
      << ")\n"
      << "threads: " << compute.threads << " of " << physical_cores() << " physical cores\n"
      << "precision: " << (compute.bf16 ? "bfloat16 autocast" : "float32") << "\n"
      << "LibTorch: " << TORCH_VERSION << "\n"
      << "BLAS: " << loaded_blas() << "\n"
      << "ISA: " << cpu_capability();
  if (compute.place.size > 1) out << "\nprocesses: " << compute.place.size;
  return out.str();
}

Autocast::Autocast(const Compute& compute) : type_(compute.device.type()), active_(compute.bf16) {
  if (active_) set_autocast(type_, true);
}

Autocast::~Autocast() {
  if (!active_) return;
  at::autocast::clear_cache();
  set_autocast(type_, false);
}

}  // namespace veilnet::train
