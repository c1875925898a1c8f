#include <iostream>
#include <memory>
#include <spdlog/spdlog.h>

#include "attack/itn.h"
#include "cli/command.h"
#include "cli/lab/experiment_command.h"
#include "train/experiment.h"

namespace veilnet::cli {
namespace {

struct TrainOptions {
  CommonOptions common;
  bool resume = false, force = false;
};

void add_run_flags(CLI::App& command, TrainOptions& options) {
  auto* resume = command.add_flag("--resume", options.resume, "Continue an interrupted training");
  command.add_flag("--force", options.force, "Replace an existing run")->excludes(resume);
}

train::RunMode mode_of(const TrainOptions& options) {
  return options.resume  ? train::RunMode::Resume
         : options.force ? train::RunMode::Force
                         : train::RunMode::Fresh;
}

void report(const TrainOptions& options, const nn::Model& model,
            const std::filesystem::path& folder) {
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
  add_run_flags(*classifier, *classifier_options);
  classifier->callback([classifier_options] {
    const auto e = open_experiment(classifier_options->common);
    if (!e) return;
    const auto w = train::open_workspace(*e);
    report(*classifier_options, train::train_classifier(*e, w, mode_of(*classifier_options)),
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
  add_run_flags(*scheme, *scheme_options);
  scheme->callback([scheme_options] {
    const auto e = open_experiment(with_flags(scheme_options->common, scheme_options->flags));
    if (!e) return;
    if (e->scheme.options.id == "gan") {
      const auto psi = train::finished_model(*e, e->classifier_folder(), model::Role::Classifier);
      const auto w = train::open_workspace(*e);
      report(*scheme_options, train::train_gan(*e, w, psi, mode_of(*scheme_options)),
             e->scheme_folder());
      return;
    }
    const auto w = train::open_workspace(*e);
    report(*scheme_options, train::train_scheme(*e, w, mode_of(*scheme_options)),
           e->scheme_folder());
  });

  const auto transform_options = std::make_shared<TrainOptions>();
  auto* transform = command.add_subcommand(
      "transform", "Train the transformation network h against the trained psi");
  add_common(*transform, transform_options->common);
  add_run_flags(*transform, *transform_options);
  transform->callback([transform_options] {
    const auto e = open_experiment(transform_options->common);
    if (!e) return;
    const auto psi = train::finished_model(*e, e->classifier_folder(), model::Role::Classifier);
    const auto w = train::open_workspace(*e);
    report(*transform_options, train::train_transform(*e, w, psi, mode_of(*transform_options)),
           e->transform_folder());
  });
}

void add_attack(CLI::App& command) {
  command.require_subcommand(1);
  const auto options = std::make_shared<TrainOptions>();
  auto* itn = command.add_subcommand(
      "itn", "ITN-Attack: an inverse network trained on exact pairs (h is public)");
  add_common(*itn, options->common);
  add_run_flags(*itn, *options);
  itn->callback([options] {
    const auto e = open_experiment(options->common);
    if (!e) return;
    const auto h = train::finished_model(*e, e->transform_folder(), model::Role::Transform);
    const auto w = train::open_workspace(*e);
    report(*options, attack::train_itn(*e, w, h, mode_of(*options)),
           e->transform_folder() / "attack-itn");
    spdlog::info("figures for every test picture: veilnet evaluate");
  });
  add_chosen_plaintext(command);
  add_fr(command);
  add_brute_force(command);
}

}  // namespace veilnet::cli
