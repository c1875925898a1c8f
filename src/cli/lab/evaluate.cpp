#include "eval/evaluate.h"

#include <fmt/format.h>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/lab/experiment_command.h"
#include "eval/attack_report.h"
#include "eval/attacks.h"
#include "eval/scheme.h"
#include "eval/table1.h"
#include "report/page.h"

namespace veilnet::cli {
void add_evaluate(CLI::App& command) {
  struct Options {
    CommonOptions common;
    ExperimentFlags flags;
  };
  const auto options = std::make_shared<Options>();
  add_common(command, options->common);
  add_experiment_flags(command, options->flags);
  command.callback([options] {
    const auto e = open_experiment(with_flags(options->common, options->flags));
    if (!e) return;
    if (!e->scheme.options.id.empty()) {
      const auto figures = eval::evaluate_scheme(*e, experiment::open_workspace(*e));
      fmt::print(
          "{}, {}: {:.2f}% on encrypted test pictures, {:.2f}% on plain ones; SSIM(plain, "
          "encrypted) {:.3f}; key space {:.0f} "
          "bits\n",
          figures["label"].get<std::string>(), figures["classifier"].get<std::string>(),
          100 * figures["accuracy"].get<double>(), 100 * figures["plain_accuracy"].get<double>(),
          figures["similarity"]["ssim"]["mean"].get<double>(),
          figures["key_space_bits"].get<double>());
      write_json(options->common, figures);
      return;
    }
    const auto evaluation = eval::evaluate_experiment(*e, experiment::open_workspace(*e));
    print_evaluation(evaluation);
    write_json(options->common, evaluation);
  });
}

void add_report(CLI::App& command) {
  const auto folder = std::make_shared<std::filesystem::path>();
  const auto options = std::make_shared<CommonOptions>();
  command.add_option("experiment", *folder, "Experiment folder, for instance runs/demo")
      ->required()
      ->type_name("FOLDER");
  add_json(command, *options);
  command.callback([folder, options] {
    const auto path = std::filesystem::exists(*folder / "matrix.json")
                          ? report::write_page(*folder)
                          : eval::write_report(*folder);
    std::cout << path.string() << "\n";
    write_json(*options, {{"report", path.string()}});
  });
}

void add_reproduce(CLI::App& command) {
  struct Options {
    CommonOptions common;
    std::string what = "experiment";
    std::filesystem::path result, results = "results";
  };
  const auto options = std::make_shared<Options>();
  command
      .add_option("what", options->what,
                  "experiment: psi, h, attack, curve, evaluation, report; table1: every scheme; "
                  "attacks: every attack on "
                  "every scheme")
      ->check(CLI::IsMember({"experiment", "table1", "attacks"}));
  add_common(command, options->common);
  command
      .add_option("--result", options->result,
                  "experiment: write the record for results/ to this file")
      ->type_name("FILE.json");
  command
      .add_option("--results", options->results,
                  "Folder of records. table1: one a row, rows found there are kept; attacks: "
                  "attacks-<data>.json, replaced")
      ->type_name("FOLDER");
  command.callback([options] {
    const auto e = open_experiment(options->common);
    if (!e) return;
    if (options->what == "table1") {
      const auto records = eval::reproduce_table1(*e, options->results);
      std::cout << eval::table1_markdown(records);
      write_json(options->common, records);
      return;
    }
    if (options->what == "attacks") {
      const auto matrix = eval::run_attacks(*e);
      std::cout << eval::attack_matrix_markdown(matrix);
      write_file(options->results / ("attacks-" + e->data.source + ".json"),
                 eval::attacks_record(*e, matrix).dump(1) + "\n", Overwrite::Yes);
      write_json(options->common, matrix);
      return;
    }
    const auto evaluation = eval::reproduce(*e);
    print_evaluation(evaluation);
    if (!options->result.empty()) {
      write_file(options->result, eval::result_record(*e, evaluation).dump(1) + "\n",
                 Overwrite::Yes);
    }
    write_json(options->common, evaluation);
  });
}

}  // namespace veilnet::cli
