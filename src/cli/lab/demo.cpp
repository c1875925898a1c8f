#include <iostream>
#include <memory>
#include <spdlog/spdlog.h>

#include "cli/command.h"
#include "cli/lab/experiment_command.h"
#include "core/files.h"
#include "experiment/matrix.h"

namespace veilnet::cli {
namespace {

// configs/demo.toml, embedded so that the program alone can run it.
constexpr const char* kDemoConfig =
#include "demo.toml.inc"
    ;

}  // namespace

void add_demo(CLI::App& command) {
  const auto options = std::make_shared<CommonOptions>();
  const auto force = std::make_shared<bool>(false);
  add_common(command, *options);
  add_dry_run(command, *options);
  command.add_flag("--force", *force, "Start again instead of resuming");
  examples(command, {"veilnet demo", "veilnet demo --set data.train_size=500 --force"});
  command.callback([options, force] {
    auto config = options->config.empty() ? Config::parse(kDemoConfig, "demo")
                                          : Config::load(options->config);
    for (const auto& assignment : options->sets) config.set(assignment);
    const auto e = open_experiment(std::move(config), options->print_config);
    if (!e) return;
    if (dry_run(*options, *e, [](const auto& tried) { experiment::reproduce(tried); })) return;
    show(*options,
         experiment::reproduce(*e, *force ? experiment::Mode::Force : experiment::Mode::Complete));
    std::cout << "\nOpen " << (e->folder() / "report.html").string() << " in a browser.\n";
  });
}

}  // namespace veilnet::cli
