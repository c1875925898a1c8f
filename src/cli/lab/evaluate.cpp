#include <algorithm>
#include <cerrno>
#include <fmt/ranges.h>
#include <iostream>
#include <memory>
#include <system_error>
#include <unistd.h>

#include "cli/command.h"
#include "cli/lab/experiment_command.h"
#include "core/error.h"
#include "core/shard.h"
#include "experiment/matrix.h"
#include "experiment/table.h"
#include "record/io.h"
#include "record/result.h"
#include "report/page.h"
#include "report/tables.h"

namespace veilnet::cli {

void add_evaluate(CLI::App& command) {
  struct Options {
    CommonOptions common;
    ExperimentFlags flags;
  };
  const auto options = std::make_shared<Options>();
  add_common(command, options->common);
  add_experiment_flags(command, options->flags);
  examples(command, {"veilnet evaluate --config configs/demo.toml",
                     "veilnet evaluate --config configs/demo.toml --scheme le --json le.json"});
  command.callback([options] {
    auto e = open_experiment(with_flags(options->common, options->flags));
    if (!e) return;
    const auto w = experiment::open_workspace(*e);
    if (e->scheme.options.id.empty()) {
      show(options->common, experiment::evaluate(*e, w));
      return;
    }
    const auto matrix = experiment::evaluate_scheme(*e, w);
    std::cout << report::rows_markdown({record::row_result(e->scheme.label(), matrix)});
    write_record(options->common, record::to_json(matrix));
  });
}

void add_report(CLI::App& command) {
  const auto folder = std::make_shared<std::filesystem::path>();
  const auto options = std::make_shared<CommonOptions>();
  command.add_option("experiment", *folder, "Experiment folder, for instance runs/demo")
      ->required()
      ->type_name("FOLDER");
  add_json(command, *options);
  examples(command, {"veilnet report runs/demo", "veilnet report runs/demo --json report.json"});
  command.callback([folder, options] {
    const auto path = report::write_page(*folder);
    std::cout << path.string() << "\n";
    write_json(*options, {{"report", path.string()}});
  });
}

namespace {

// Before hours of training: refuses a record's file that could not be written after them.
void check_writable(const std::filesystem::path& file) {
  namespace fs = std::filesystem;
  if (fs::is_directory(file))
    fail(ErrorCode::InvalidArgument, "{} is a folder; a record needs the name of a file",
         file.string());
  auto folder = fs::absolute(file).parent_path();
  while (!fs::exists(fs::symlink_status(folder))) folder = folder.parent_path();
  if (!fs::is_directory(folder))
    fail(ErrorCode::InvalidArgument, "{} cannot be written: {} is no folder", file.string(),
         folder.string());
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    fail(ErrorCode::Io, "{} cannot be written: {}: {}", file.string(), folder.string(),
         std::generic_category().message(errno));
}

}  // namespace

void add_reproduce(CLI::App& command) {
  struct Options {
    CommonOptions common;
    std::string what = "experiment";
    std::filesystem::path result, results = "results";
    std::string shard;
    bool force = false;
    /// What of these is for some of the four alone.
    std::vector<std::pair<const CLI::Option*, std::vector<std::string>>> limited;
  };
  const auto options = std::make_shared<Options>();
  command
      .add_option("what", options->what,
                  "experiment: psi, h for each alpha, attack, measurement, page; table1: every "
                  "scheme; attacks: every attack on every scheme; defences: the same, with the "
                  "transformation networks that are missing trained first")
      ->check(CLI::IsMember({"experiment", "table1", "attacks", "defences"}));
  add_common(command, options->common);
  add_dry_run(command, options->common);
  add_anyway(command, options->common);
  const auto limited = [&](CLI::Option* option, std::vector<std::string> to) {
    options->limited.emplace_back(option, std::move(to));
    return option;
  };
  limited(command.add_option("--result", options->result,
                             "experiment: write the record for results/ to this file"),
          {"experiment"})
      ->type_name("FILE.json");
  limited(command.add_option(
              "--results", options->results,
              "Folder of records. table1: one a row, rows found there are kept; attacks and "
              "defences: attacks-<data>.json and defences-<data>.json (services-<data>.json "
              "with transform.services), replaced"),
          {"table1", "attacks", "defences"})
      ->type_name("FOLDER");
  limited(command.add_flag("--force", options->force,
                           "table1: measure rows anew whose record is in --results"),
          {"table1"});
  limited(command.add_option(
              "--shard", options->shard,
              "attacks: measure the I-th of N parts of the cells and keep them; without it, "
              "all, and those that are kept are not measured again"),
          {"attacks"})
      ->type_name("I/N");
  examples(
      command,
      {"veilnet reproduce --config configs/cifar10-cpu.toml",
       "veilnet reproduce attacks --config configs/attacks-cifar10-cpu.toml --results results"});
  command.callback([options] {
    const auto shard = shard_of(options->shard);
    for (const auto& [option, to] : options->limited)
      if (option->count() > 0 && std::ranges::find(to, options->what) == to.end())
        fail(ErrorCode::InvalidArgument, "{} is for `reproduce {}`, not for `reproduce {}`",
             option->get_name(), fmt::join(to, "`, `reproduce "), options->what);
    const auto e = open_experiment(options->common);
    if (!e) return;
    const auto record =
        options->what == "experiment" ? options->result : options->results / "record.json";
    if (!record.empty() && shard.whole() && !options->common.dry_run) check_writable(record);
    const auto all = [&](const experiment::Experiment& tried) {
      if (options->what == "table1")
        experiment::reproduce_table1(tried, options->results, options->force);
      else if (options->what == "attacks")
        experiment::run_attacks(tried);
      else if (options->what == "defences")
        experiment::reproduce_defences(tried);
      else
        experiment::reproduce(tried);
    };
    const bool tried =
        options->what == "defences"
            ? dry_run(options->common, *e, all,
                      "and all attacks on these defences\n(`reproduce attacks --dry-run` tries "
                      "them once the networks are trained)")
            : dry_run(options->common, *e, all);
    if (tried) return;
    if (options->what == "table1") {
      const auto rows = experiment::reproduce_table1(*e, options->results, options->force);
      std::cout << report::rows_markdown(rows);
      std::string all;
      for (const auto& row : rows) all += (all.empty() ? "[" : ",") + record::to_json(row);
      write_record(options->common, all + "]\n");
      return;
    }
    if (options->what == "attacks") {
      const auto name = "attacks-" + e->data.source;
      const auto matrix = experiment::run_attacks(*e, shard);
      if (!shard.whole()) return;
      show(options->common, matrix);
      record::write(options->results / (name + ".json"), record::attacks_result(name, matrix),
                    Overwrite::Yes);
      return;
    }
    if (options->what == "defences") {
      const auto name =
          (e->transform.services.empty() ? "defences-" : "services-") + e->data.source;
      const auto matrix = experiment::reproduce_defences(*e);
      show(options->common, matrix);
      record::write(options->results / (name + ".json"), record::defences_result(name, matrix),
                    Overwrite::Yes);
      return;
    }
    const auto matrix = experiment::reproduce(*e);
    show(options->common, matrix);
    if (!options->result.empty())
      record::write(options->result, record::experiment_result(e->name, matrix), Overwrite::Yes);
  });
}

}  // namespace veilnet::cli
