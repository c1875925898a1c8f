// The trainings of one experiment, each a stage with a folder of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "data/dataset.h"
#include "experiment/settings.h"
#include "experiment/stage.h"
#include "nn/model.h"
#include "train/run.h"

namespace veilnet::experiment {

/// Loads the configured data. @throws as the loaders of data/sources.h.
data::TrainTest load_data(const Experiment& experiment);

/// The data that all stages of one experiment read.
struct Workspace {
  data::TrainTest data;
  std::string data_sha256;
  data::Split split;
};
/// Also fits the lengths of the experiment's trainings to so many pictures: train::fit_to.
Workspace open_workspace(Experiment& experiment);

/// Each trains one model of the experiment, or takes what the mode allows of an earlier run, and
/// returns it ready for use.
/// @throws Error{InvalidArgument} for a combination that does not fit, before the first step;
/// otherwise as StageFolder and train::run_training; Error{BadData} for a finished model that is
/// not the one that its run.json records.
nn::Model train_classifier(const Experiment& experiment, const Workspace& workspace, Mode mode);
/// What it needs besides psi (phi, the pre-trained encoder) is trained too where it is missing.
nn::Model train_transform(const Experiment& experiment, const Workspace& workspace,
                          const nn::Model& psi, Mode mode);
/// Refuses what h and the GAN-based transformation cannot be trained with: phi.file, phi.layer,
/// transform.encoder_from, crop_padding, transform.services. Both do, and who trains others before
/// them does so first. @throws Error that names the key.
void check_transform(const Experiment& experiment, const Workspace& workspace);
/// Trains a classifier, behind the configured adaptation network, on pictures encrypted with the
/// configured scheme.
nn::Model train_scheme(const Experiment& experiment, const Workspace& workspace, Mode mode);
/// Trains the GAN-based transformation against psi; the run folder is that of the scheme "gan".
nn::Model train_gan(const Experiment& experiment, const Workspace& workspace, const nn::Model& psi,
                    Mode mode);
/// Trains the attacker's inverse network for h: he has h (it is public), exact pairs made from the
/// training pictures, and none of the test pictures. The run lives in <run of h>/attack-itn.
nn::Model train_itn(const Experiment& experiment, const Workspace& workspace, const nn::Model& h,
                    Mode mode);

/// The same models where their trainings have ended; nothing where not. A run of other settings is
/// refused. @throws Error{InvalidArgument} naming what differs, and Error{BadData} as above.
std::optional<nn::Model> finished_classifier(const Experiment& experiment,
                                             const Workspace& workspace);
std::optional<nn::Model> finished_transform(const Experiment& experiment,
                                            const Workspace& workspace);
std::optional<nn::Model> finished_scheme(const Experiment& experiment, const Workspace& workspace);
std::optional<nn::Model> finished_gan(const Experiment& experiment, const Workspace& workspace);
std::optional<nn::Model> finished_itn(const Experiment& experiment, const Workspace& workspace,
                                      const nn::Model& h);

/// The classifier that h's encoder was before, where it starts from one.
std::optional<nn::Model> finished_encoder(const Experiment& experiment, const Workspace& workspace);

/// The classifiers besides psi that h serves. @throws Error{InvalidArgument} for one that takes
/// pictures of another size, and as nn::load_model.
std::vector<nn::Model> services_of(const Experiment& experiment, const Workspace& workspace);

/// What there is, or Error{NotFound} that says which command makes it.
/// @param command "train classifier".
nn::Model required(std::optional<nn::Model> model, const std::filesystem::path& folder,
                   const std::string& command);

/// phi, from the configured file or cut from a VGG16-BN that is trained on the data.
struct Phi {
  std::shared_ptr<nn::FeatureExtractor> net;
  std::string description;  ///< for logs, model files and reports
  std::string sha256;       ///< of what it is made from
};
Phi open_phi(const Experiment& experiment, const Workspace& workspace, Mode mode);
/// Nothing where there is no file and the VGG is not trained.
std::optional<Phi> finished_phi(const Experiment& experiment, const Workspace& workspace);

/// @throws Error{InvalidArgument} when psi's classes or input size are not those of the data.
void check_fits(const nn::Model& psi, const data::TrainTest& data,
                const std::filesystem::path& psi_path);

/// How the GAN-based transformation is trained.
train::Recipe gan_recipe(const Experiment& experiment);

/// Of the ITN-Attack on a network of this content, by `veilnet attack itn` and the main experiment.
Stage itn_stage(const Experiment& experiment, const Workspace& workspace, const std::string& h);

/// The files of a training's folder besides run.json.
const std::vector<std::string>& training_files();

/// A training as a stage: `work` is called unless there is a finished run of it, which is loaded.
/// Also writes the experiment's config.toml into the folder.
nn::Model train_stage(const Experiment& experiment, const std::filesystem::path& folder,
                      Stage stage, model::Role role, const std::string& title, Mode mode,
                      const std::function<nn::Model(const train::Run&)>& work);

/// What train::describe says, by item.
Settings machine_of(const train::Compute& compute);

}  // namespace veilnet::experiment
