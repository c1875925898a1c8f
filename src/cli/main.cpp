// The command line: `veilnet <command>`.
#include <cstdlib>
#include <iostream>
#include <malloc.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "cli/command.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/version.h"

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

}  // namespace

int main(int argc, char** argv) {
  using namespace veilnet;
  tune_process();
  install_interrupt_handler();
  spdlog::set_default_logger(spdlog::stderr_color_mt("veilnet"));
  spdlog::set_pattern("%H:%M:%S %^%l%$ %v");

  CLI::App app(
      "Veilnet: classify pictures in the cloud without showing them. Trains, attacks and measures "
      "visually protecting "
      "transformations.");
  app.set_version_flag("--version", "veilnet 0.1.0 (" + commit() + ")");
  app.require_subcommand(1);
  cli::add_demo(app);
  cli::add_data(app);
  cli::add_train(app);
  cli::add_protect(app);
  cli::add_classify(app);
  cli::add_cipher(app);
  cli::add_attack(app);
  cli::add_audit(app);
  cli::add_evaluate(app);
  cli::add_report(app);
  cli::add_reproduce(app);
  cli::add_schemes(app);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const Error& e) {
    spdlog::error("{}", e.what());
    return e.code() == ErrorCode::InvalidArgument ? 2 : 1;
  } catch (const std::exception& e) {
    spdlog::error("unexpected failure: {}", e.what());
    return 1;
  }
}
