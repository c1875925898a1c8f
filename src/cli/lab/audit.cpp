#include <iostream>
#include <memory>
#include <spdlog/spdlog.h>

#include "cli/command.h"
#include "cli/lab/experiment_command.h"
#include "core/error.h"
#include "experiment/matrix.h"
#include "record/io.h"
#include "report/gate.h"
#include "report/verdict.h"

namespace veilnet::cli {

void add_audit(CLI::App& command) {
  struct Options {
    CommonOptions common;
    std::filesystem::path model;
    std::string budget = "small";
    std::filesystem::path output, gate;
  };
  const auto options = std::make_shared<Options>();
  command
      .add_option("--model", options->model,
                  "Run folder, for instance runs/demo/transform-a0.005 or runs/x/scheme-le")
      ->required()
      ->type_name("RUN");
  command
      .add_option("--budget", options->budget,
                  "How much the attacker spends: small, standard or large (docs/attacks.md)")
      ->type_name("NAME")
      ->capture_default_str();
  command
      .add_option("--output,-o", options->output,
                  "Folder to write audit.html and audit.json to; RUN/audit-BUDGET unless given")
      ->type_name("FOLDER");
  command
      .add_option("--gate", options->gate,
                  "Limits (docs/attacks.md): ends with exit code 3 when a figure exceeds one")
      ->type_name("FILE.toml");
  command
      .add_option("--set", options->common.sets,
                  "Override one key of the run's configuration; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  add_json(command, options->common);
  add_dry_run(command, options->common);
  examples(command, {"veilnet audit --model runs/demo/transform-a0.005",
                     "veilnet audit --model runs/x/scheme-le --budget standard -o audit/",
                     "veilnet audit --model runs/demo/transform-a0.005 --gate limits.toml"});
  command.callback([options] {
    auto overrides = options->common.sets;
    overrides.push_back("attacks.budget=\"" + options->budget + "\"");
    report::Limits limits;
    if (!options->gate.empty()) {
      auto config = Config::load(options->gate);
      limits = report::Limits::read(config);
    }
    const auto e = experiment::experiment_of_run(options->model, overrides);
    if (dry_run(options->common, e, [](const auto& tried) { experiment::run_attacks(tried); }))
      return;
    const auto audit = experiment::run_attacks(e);
    const auto output =
        options->output.empty() ? options->model / ("audit-" + options->budget) : options->output;
    write_file(output / "audit.json", record::to_json(audit), Overwrite::Yes);
    write_file(output / "audit.html",
               read_text(experiment::attacks_folder(e) / "report.html", 1ull << 30),
               Overwrite::Yes);
    show(options->common, audit);
    for (const auto& protection : audit.protections)
      std::cout << "\n"
                << protection.label << "\n"
                << report::to_text(report::verdict(audit, protection.label));
    spdlog::info("audit: {}", (output / "audit.html").string());
    const auto beyond = report::exceeded(audit, limits);
    for (const auto& line : beyond) std::cout << "EXCEEDED: " << line << "\n";
    if (!beyond.empty())
      fail(ErrorCode::Exceeded, "{}: {} limits are not kept", options->gate.string(),
           beyond.size());
  });
}

}  // namespace veilnet::cli
