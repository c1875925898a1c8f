// `veilnet <command>`: what a client runs, without LibTorch. Commands of veilnet-lab are passed on
// to it, as git runs its commands.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/client/lab_program.h"
#include "cli/commands.h"

namespace veilnet::cli {
namespace {

bool is_lab_command(std::string_view word) {
  for (const auto& command : commands())
    if (command.name == word) return command.program == Program::Lab;
  return false;
}

/// Whether a command runs networks.
bool computes(std::string_view word) {
  return word == "protect" || word == "classify" || word == "verify" || word == "calibrate" ||
         word == "bench" || word == "serve" || word == "client" || word == "guard";
}

/// Whether a command runs until it is told to stop.
bool serves(std::string_view word) { return word == "serve" || word == "guard"; }

/// At the end of every operation OpenMP's threads wait for each other, by default spinning for
/// milliseconds. On a machine that others use too, they spin while the thread that they wait for
/// has no processor (bench/busy.py). Spinning for a few microseconds costs an idle machine next to
/// nothing. The other half is nn/convolution.h. Read when libgomp is loaded, hence set here
/// for programs that begin from here; what the user has set stands. False if something is set
/// already.
bool spin_briefly() {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return false;
  return ::setenv("GOMP_SPINCOUNT", "2000", /*overwrite=*/0) == 0;
}

/// First touching memory is a third of a picture's cold start. Large pages have to be asked for
/// less often; a command that ends soon takes its memory in one piece besides, and packs weights
/// where the file was read to. Servers give memory back instead (serve.cpp). Read when glibc
/// starts; what the user has set stands.
void tune_memory(bool one_piece) {
  std::string tunables = "glibc.malloc.hugetlb=1";
  if (one_piece) {
    tunables +=
        ":glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=1073741824"
        ":glibc.malloc.top_pad=33554432";
  }
  ::setenv("GLIBC_TUNABLES", tunables.c_str(), /*overwrite=*/0);
}

/// Becomes veilnet-lab. Returns where there is none.
int run_lab(char** argv) {
  spin_briefly();
  ::execvp(lab_program().c_str(), argv);
  std::fprintf(stderr,
               "veilnet %s: this command is part of veilnet-lab, which is neither beside this "
               "program nor in PATH.\n"
               "It comes with a build that has LibTorch (Debian: libtorch-dev) and "
               "-DVEILNET_LAB=ON, the default; docs/building.md.\n",
               argv[1]);
  return 1;
}

// Those of the lab are listed, and never run from here.
void fill(CLI::App& app) {
#define VEILNET_ADD(name, line) add_##name(add_command(app, #name));
#define VEILNET_LIST(name, line) add_command(app, #name);
  VEILNET_COMMANDS(VEILNET_ADD, VEILNET_LIST)
#undef VEILNET_ADD
#undef VEILNET_LIST
}

}  // namespace
}  // namespace veilnet::cli

int main(int argc, char** argv) {
  using namespace veilnet::cli;
  if (argc > 1 && is_lab_command(argv[1])) return run_lab(argv);
  ::prctl(PR_SET_NAME, "veilnet");  // what began anew is called "exe" otherwise
  // Begins anew, which takes a millisecond; where that fails, it goes on as it is.
  if (argc > 1 && computes(argv[1]) && spin_briefly()) {
    tune_memory(/*one_piece=*/!serves(argv[1]));
    ::execv("/proc/self/exe", argv);
  }
  return run_program("veilnet", argc, argv, fill);
}
