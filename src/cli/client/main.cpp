// `veilnet <command>`: what a client runs, without LibTorch. Commands of veilnet-lab are passed on
// to it, as git runs its commands.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <malloc.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

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

constexpr int kAll = 1 << 30;  // in bytes: nothing asked for is as large, so all is of one piece
constexpr int kPiece = 128 << 20;  // what is taken at once

/// First touching memory is a third of a picture's cold start. Large pages have to be asked for
/// less often; a command that ends soon takes its memory in one piece besides, and packs weights
/// where the file was read to. Servers give memory back instead (serve.cpp). Read when glibc
/// starts; what the user has set stands.
void tune_memory(bool one_piece) {
  std::string tunables = "glibc.malloc.hugetlb=1";
  if (one_piece)
    tunables +=
        fmt::format(":glibc.malloc.mmap_threshold={0}:glibc.malloc.trim_threshold={0}", kAll) +
        fmt::format(":glibc.malloc.top_pad={}", kPiece);
  ::setenv("GLIBC_TUNABLES", tunables.c_str(), /*overwrite=*/0);
}

/// The same for a program that goes on: large pages for the first piece only.
void take_memory_in_one_piece() {
  ::mallopt(M_ARENA_MAX, 1);  // for all threads, one of which computes
  ::mallopt(M_MMAP_THRESHOLD, kAll);
  ::mallopt(M_TRIM_THRESHOLD, kAll);
  ::mallopt(M_TOP_PAD, kPiece);
  char* const begin = static_cast<char*>(::sbrk(0));
  void* volatile grown = std::malloc(1 << 20);  // volatile, or the compiler leaves both calls out
  std::free(grown);
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  char* const first = begin + (page - reinterpret_cast<uintptr_t>(begin) % page) % page;
  char* const end = static_cast<char*>(::sbrk(0));
  if (end > first) ::madvise(first, static_cast<size_t>(end - first), MADV_HUGEPAGE);
}

/// Whether /proc/self/exe is this program: not where a loader was called to load it.
bool is_own_process() { return ::getauxval(AT_BASE) != 0; }

/// Whether a few small files are read and no folder. They are done in the time that beginning anew
/// takes, and dividing them gains nothing: one thread waits for no other.
bool is_short(std::span<char* const> words) {
  constexpr size_t kFew = 16;
  constexpr uintmax_t kSmall = 64 << 10, kSmallModel = 16 << 20;  // bytes
  const std::string_view command = words[0];
  if ((command != "protect" && command != "classify" && command != "verify") ||
      words.size() > kFew || std::getenv("GLIBC_TUNABLES"))
    return false;
  for (size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i], before = words[i - 1];
    if (word == "-" || word == "--keep-size" || word.starts_with("--threads")) return false;
    if (before == "-o" || before == "--output") continue;
    std::error_code ignored;
    const auto most = before == "--model" ? kSmallModel : kSmall;
    const auto status = std::filesystem::status(word, ignored);
    if (std::filesystem::is_directory(status)) return false;
    if (std::filesystem::is_regular_file(status) &&
        std::filesystem::file_size(word, ignored) > most)
      return false;
  }
  return true;
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
  if (argc > 1 && computes(argv[1])) {
    if (is_short({argv + 1, argv + argc})) {
      take_memory_in_one_piece();
      std::vector<char*> words(argv, argv + argc + 1);
      std::string threads = "--threads=1";
      words.insert(words.begin() + 2, threads.data());
      return run_program("veilnet", argc + 1, words.data(), fill);
    }
    if (is_own_process() && spin_briefly()) {
      // Begins anew; where that fails, it goes on as it is.
      tune_memory(/*one_piece=*/!serves(argv[1]));
      ::execv("/proc/self/exe", argv);
    }
  }
  return run_program("veilnet", argc, argv, fill);
}
