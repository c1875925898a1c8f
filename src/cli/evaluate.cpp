#include "eval/evaluate.h"

#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/experiment_command.h"

namespace veilnet::cli {
void add_evaluate(CLI::App& app) {
  const auto options = std::make_shared<CommonOptions>();
  auto* command =
      app.add_subcommand("evaluate", "Measure accuracy, similarity and what the attack recovers on the test pictures");
  add_common(*command, *options);
  command->callback([options] {
    const auto e = open_experiment(*options);
    if (!e) return;
    const auto evaluation = eval::evaluate_experiment(*e, train::open_workspace(*e));
    print_evaluation(evaluation);
    write_json(*options, evaluation);
  });
}

void add_report(CLI::App& app) {
  const auto folder = std::make_shared<std::filesystem::path>();
  const auto options = std::make_shared<CommonOptions>();
  auto* command = app.add_subcommand("report", "Render an evaluated experiment as one HTML page");
  command->add_option("experiment", *folder, "Experiment folder, for instance runs/demo")->required()->type_name("FOLDER");
  add_json(*command, *options);
  command->callback([folder, options] {
    const auto path = eval::write_report(*folder);
    std::cout << path.string() << "\n";
    write_json(*options, {{"report", path.string()}});
  });
}

void add_reproduce(CLI::App& app) {
  const auto options = std::make_shared<CommonOptions>();
  const auto result = std::make_shared<std::filesystem::path>();
  auto* command =
      app.add_subcommand("reproduce", "Run or resume a whole experiment: psi, h, attack, curve, evaluation, report");
  add_common(*command, *options);
  command->add_option("--result", *result, "Write the record for results/ to this file")->type_name("FILE.json");
  command->callback([options, result] {
    const auto e = open_experiment(*options);
    if (!e) return;
    const auto evaluation = eval::reproduce(*e);
    print_evaluation(evaluation);
    if (!result->empty()) write_file(*result, eval::result_record(*e, evaluation).dump(1) + "\n", Overwrite::Yes);
    write_json(*options, evaluation);
  });
}

}  // namespace veilnet::cli
