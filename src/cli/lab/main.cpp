// `veilnet-lab <command>`: what a researcher runs, with LibTorch. `veilnet <command>` comes here.
#include <cstdlib>
#include <malloc.h>

#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace {

// Settings that have to be in place before LibTorch computes anything; an environment variable that
// is set already wins.
void tune_process() {
  // ATen stays at AVX2 unless told.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
    setenv("ATEN_CPU_CAPABILITY", "avx512", /*overwrite=*/0);
  // Activations of a few MB are allocated and freed every step; by default each one is mapped
  // afresh, which costs about a tenth of a step in page faults.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
}

void fill(CLI::App& app) {
  using namespace veilnet::cli;
#define VEILNET_SKIP(name, line)
#define VEILNET_ADD(name, line) add_##name(add_command(app, #name));
  VEILNET_COMMANDS(VEILNET_SKIP, VEILNET_ADD)
#undef VEILNET_SKIP
#undef VEILNET_ADD
}

}  // namespace

int main(int argc, char** argv) {
  tune_process();
  return veilnet::cli::run_program("veilnet-lab", argc, argv, fill);
}
