#include <algorithm>
#include <fmt/format.h>
#include <iostream>
#include <memory>
#include <spdlog/spdlog.h>

#include "attack/attack.h"
#include "cli/command.h"
#include "cli/lab/experiment_command.h"
#include "experiment/models.h"

namespace veilnet::cli {
namespace {

struct TrainOptions {
  CommonOptions common;
  bool resume = false, force = false, go_on = false;
};

/// What an attack makes sense on, of the ways of protecting that everybody meets first.
std::string example_of(const attack::Attack& attack) {
  const auto scheme = [](const char* label, const char* id, attack::Keys keys) {
    attack::Target target;
    target.label = label;
    target.keys = keys;
    target.scheme.id = id;
    return target;
  };
  attack::Target h;
  h.label = "transform";
  h.network = true;
  auto coded = h;
  coded.label = "coded10";
  coded.code_bits = 10;
  for (const auto& target : {h, scheme("le", "le", attack::Keys::Same),
                             scheme("pe-independent", "pe", attack::Keys::Independent), coded})
    if (std::holds_alternative<attack::ThreatModel>(attack.against(target))) return target.label;
  return "LABEL";
}

void add_run_flags(CLI::App& command, TrainOptions& options) {
  auto* resume = command.add_flag("--resume", options.resume, "Continue an interrupted training");
  auto* force = command.add_flag("--force", options.force, "Replace an existing run");
  force->excludes(resume);
  command
      .add_flag(
          "--continue", options.go_on,
          "Take what is finished, go on with what was interrupted, begin what is missing: for "
          "jobs that are queued again")
      ->excludes(resume, force);
}

experiment::Mode mode_of(const TrainOptions& options) {
  return options.resume  ? experiment::Mode::Resume
         : options.force ? experiment::Mode::Force
         : options.go_on ? experiment::Mode::Keep
                         : experiment::Mode::Fresh;
}

nn::Model trained_psi(const experiment::Experiment& e, const experiment::Workspace& w) {
  return experiment::required(experiment::finished_classifier(e, w), e.classifier_folder(),
                              "train classifier");
}

void report(const TrainOptions& options, const experiment::Experiment& e, const nn::Model& model,
            const std::filesystem::path& folder) {
  if (!e.compute.writes()) return;
  spdlog::info("model: {}", (folder / "model.safetensors").string());
  nlohmann::json out = {{"model", (folder / "model.safetensors").string()},
                        {"notes", model.card.notes}};
  for (const auto& [key, value] : model.card.notes) {
    if (key.rfind("metric.", 0) == 0) spdlog::info("{} {}", key.substr(7), value);
  }
  write_json(options.common, out);
}

}  // namespace

void add_train(CLI::App& command) {
  command.require_subcommand(1);

  const auto classifier_options = std::make_shared<TrainOptions>();
  auto* classifier = command.add_subcommand("classifier", "Train psi on plain pictures");
  add_common(*classifier, classifier_options->common);
  add_dry_run(*classifier, classifier_options->common);
  add_run_flags(*classifier, *classifier_options);
  examples(*classifier, {"veilnet train classifier --config configs/demo.toml",
                         "veilnet train classifier --config configs/demo.toml --resume"});
  classifier->callback([classifier_options] {
    auto e = open_experiment(classifier_options->common, Processes::Many);
    if (!e) return;
    const auto w = experiment::open_workspace(*e);
    const auto all = [&](const experiment::Experiment& tried) {
      experiment::train_classifier(tried, w, experiment::Mode::Complete);
    };
    if (dry_run(classifier_options->common, *e, all)) return;
    report(*classifier_options, *e,
           experiment::train_classifier(*e, w, mode_of(*classifier_options)),
           e->classifier_folder());
  });

  struct SchemeTrainOptions : TrainOptions {
    ExperimentFlags flags;
  };
  const auto scheme_options = std::make_shared<SchemeTrainOptions>();
  auto* scheme = command.add_subcommand(
      "scheme", "Train a classifier on pictures under a conventional scheme, or the GAN-based one");
  add_common(*scheme, scheme_options->common);
  add_experiment_flags(*scheme, scheme_options->flags);
  add_dry_run(*scheme, scheme_options->common);
  add_run_flags(*scheme, *scheme_options);
  add_anyway(*scheme, scheme_options->common);
  examples(*scheme,
           {"veilnet train scheme --config configs/demo.toml --scheme le",
            "veilnet train scheme --config configs/demo.toml --scheme pe --key-mode independent"});
  scheme->callback([scheme_options] {
    auto e =
        open_experiment(with_flags(scheme_options->common, scheme_options->flags), Processes::Many);
    if (!e) return;
    const auto w = experiment::open_workspace(*e);
    const bool gan = e->scheme.options.id == "gan";
    const auto all = [&](const experiment::Experiment& tried) {
      constexpr auto mode = experiment::Mode::Complete;
      if (gan)
        experiment::train_gan(tried, w, experiment::train_classifier(tried, w, mode), mode);
      else
        experiment::train_scheme(tried, w, mode);
    };
    if (dry_run(scheme_options->common, *e, all)) return;
    if (gan) {
      const auto psi = trained_psi(*e, w);
      report(*scheme_options, *e, experiment::train_gan(*e, w, psi, mode_of(*scheme_options)),
             e->scheme_folder());
      return;
    }
    report(*scheme_options, *e, experiment::train_scheme(*e, w, mode_of(*scheme_options)),
           e->scheme_folder());
  });

  const auto transform_options = std::make_shared<TrainOptions>();
  auto* transform = command.add_subcommand(
      "transform", "Train the transformation network h against the trained psi");
  add_common(*transform, transform_options->common);
  add_dry_run(*transform, transform_options->common);
  add_run_flags(*transform, *transform_options);
  add_anyway(*transform, transform_options->common);
  examples(*transform,
           {"veilnet train transform --config configs/demo.toml",
            "veilnet train transform --config configs/demo.toml --set transform.alpha=0.05"});
  transform->callback([transform_options] {
    auto e = open_experiment(transform_options->common, Processes::Many);
    if (!e) return;
    const auto w = experiment::open_workspace(*e);
    const auto all = [&](const experiment::Experiment& tried) {
      constexpr auto mode = experiment::Mode::Complete;
      experiment::train_transform(tried, w, experiment::train_classifier(tried, w, mode), mode);
    };
    if (dry_run(transform_options->common, *e, all)) return;
    const auto psi = trained_psi(*e, w);
    report(*transform_options, *e,
           experiment::train_transform(*e, w, psi, mode_of(*transform_options)),
           e->transform_folder());
  });
}

void add_attack(CLI::App& command) {
  command.require_subcommand(1);
  struct ItnOptions : TrainOptions {
    CellOptions cell;
  };
  const auto options = std::make_shared<ItnOptions>();
  auto* itn = command.add_subcommand(
      "itn", "ITN-Attack: trains an inverse network on exact pairs of the experiment's h");
  add_common(*itn, options->common);
  add_run_flags(*itn, *options);
  add_cell_options(*itn, options->cell, "itn");
  examples(*itn, {"veilnet attack itn --config configs/demo.toml",
                  "veilnet attack itn --config configs/demo.toml --resume"});
  itn->callback([options] {
    options->cell.common = options->common;
    if (run_cell(options->cell)) return;
    auto e = open_experiment(options->common, Processes::Many);
    if (!e) return;
    const auto w = experiment::open_workspace(*e);
    const auto h = experiment::required(experiment::finished_transform(*e, w),
                                        e->transform_folder(), "train transform");
    report(*options, *e, experiment::train_itn(*e, w, h, mode_of(*options)), e->itn_folder());
    spdlog::info("figures for every test picture: veilnet evaluate");
  });
  add_chosen_plaintext(command);
  add_fr(command);
  add_brute_force(command);
  const auto own = command.get_subcommands(nullptr);
  for (const auto& attack : attack::attacks()) {
    if (std::ranges::find(own, attack.id, &CLI::App::get_name) != own.end()) continue;
    const auto cell = std::make_shared<CellOptions>();
    auto* one = command.add_subcommand(attack.id, attack.text);
    add_common(*one, cell->common);
    add_cell_options(*one, *cell, attack.id)->required();
    const auto line = fmt::format("veilnet attack {} --config configs/demo.toml --on {}", attack.id,
                                  example_of(attack));
    examples(*one, {line, line + " --json attack.json"});
    one->callback([cell] { run_cell(*cell); });
  }
}

}  // namespace veilnet::cli
