// One experiment as its configuration describes it: data, psi, phi, h, the attack and a
// conventional scheme, and the run folders they live in.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cipher/scheme.h"
#include "core/config.h"
#include "data/batches.h"
#include "data/dataset.h"
#include "nn/model.h"
#include "train/compute.h"
#include "train/gan.h"
#include "train/loop.h"
#include "train/recipe.h"
#include "train/transform.h"

namespace veilnet::train {

/// The whole configuration, read and checked. Every command reads all of it, so that one file
/// serves them all and a misspelt key is refused by each. configs/*.toml show every key.
struct Experiment {
  std::string name;
  std::filesystem::path runs;  ///< folder that holds <name>/

  double checkpoint_minutes = 5;  ///< 0 saves the state after every step

  struct Data {
    std::string source;  ///< "cifar10", "cifar100", "folder" or "synthetic"
    std::filesystem::path path;
    int height = 32, width = 32;  ///< folder
    uint64_t seed = 1;            ///< synthetic
    int64_t train_size = 6000, test_size = 1000;
    double validation_fraction = 0.1;
    uint64_t split_seed = 300;
  } data;

  Compute compute;

  struct Classifier {
    std::string architecture;  ///< "resnet", "resnet18", "vgg16_bn" or "densenet"
    int64_t depth = 20;
    std::array<double, 3> mean_rgb, std_rgb;
    Recipe recipe;
  } classifier;

  struct Phi {
    std::filesystem::path file;  ///< empty: cut from a VGG trained on the data
    std::string layer;
    int64_t epochs = 10;  ///< of that VGG
  } phi;

  struct Transform {
    int64_t width = 16;
    TransformOptions options;
    Recipe recipe;
  } transform;

  struct Attack {
    int64_t width = 16;
    Recipe recipe;
  } attack;

  /// Further values of alpha, trained and attacked with these (usually shorter) budgets for the
  /// trade-off curve.
  struct Curve {
    std::vector<double> alphas;
    int64_t epochs = 0, attack_epochs = 0;
  } curve;

  /// A conventional scheme and how a classifier learns from its pictures; the recipe and the
  /// classifier are those of psi.
  struct Scheme {
    cipher::SchemeOptions
        options;  ///< options.id is empty where none is configured, and may be "gan"
    bool independent_keys =
        false;               ///< every picture has a key of its own ("no key management"); pe only
    uint64_t key_seed = 1;   ///< keys of an experiment are reproducible, those of `keygen` are not
    std::string adaptation;  ///< of nn/adaptation.h, or "none"
    /// "le", "pe-same", "pe-independent", ...: names its run folder and its row of the comparison
    /// table. Whatever changes the encrypted pictures and is not at its default is part of it:
    /// "le-block8", "pe-same-shuffled-seed2".
    std::string label() const;
  } scheme;

  /// The GAN-based transformation; network width and recipe are those of [transform].
  struct Gan {
    GanOptions options;
    int64_t epochs = 0;
  } gan;

  std::vector<std::string> table1_rows;  ///< of the comparison table: see eval/table1.h

  /// What `reproduce attacks` and `audit` do: see attack/suite.h.
  struct Attacks {
    std::vector<std::string> schemes;  ///< names of attack::make_victim
    std::vector<std::string> only;     ///< names of attacks; empty for all
    std::string budget = "small";
    int64_t attacked = 0, known = 0, epochs = 0;  ///< 0: the budget's
    std::vector<std::string> transports;          ///< of image/transport.h
    bool attributes = true, curve = true;
  } attacks;

  std::string resolved_toml;
  std::string config_sha256;

  std::filesystem::path folder() const { return runs / name; }
  std::filesystem::path classifier_folder() const { return folder() / "classifier"; }
  std::filesystem::path phi_folder() const { return folder() / "phi-vgg"; }
  std::filesystem::path encoder_folder() const { return folder() / "encoder"; }
  std::filesystem::path transform_folder() const;
  std::filesystem::path scheme_folder() const { return folder() / ("scheme-" + scheme.label()); }

  /// The same experiment at one point of its trade-off curve.
  Experiment at_curve_point(double alpha) const;
  /// The same experiment with the scheme that Scheme::label names so. @throws
  /// Error{InvalidArgument} for another name.
  Experiment at_scheme(const std::string& label) const;
};

/// "none" or the adaptation network that the papers use for a scheme.
std::string default_adaptation(const std::string& scheme_id);

/// @throws Error{InvalidArgument} for values out of range and unknown keys. Applies the thread
/// count.
Experiment read_experiment(Config& config);

/// "0.005" for 0.005: shortest text that names a run.
std::string alpha_text(double alpha);

/// Loads the configured data. @throws as the loaders of data/sources.h.
data::TrainTest load_data(const Experiment& experiment);

/// What the stages of one experiment share while they run.
struct Workspace {
  data::TrainTest data;
  std::string data_sha256;
  data::Split split;
};
Workspace open_workspace(const Experiment& experiment);

enum class RunMode {
  Fresh,   ///< refuse an existing run
  Resume,  ///< continue from its checkpoint; refuse when there is none or the configuration differs
  Force,   ///< delete an existing run first
  Complete,  ///< finished: load it; checkpoint: resume; else start: what `reproduce` and `demo` use
};

/// Each trains (or, in mode Complete, completes) one model of the experiment and leaves it in its
/// run folder; returns it ready for use.
/// @throws Error{AlreadyExists} for an existing run in mode Fresh; Error{InvalidArgument} for a
/// combination that does not fit, before the first step; otherwise as run_training.
nn::Model train_classifier(const Experiment& experiment, const Workspace& workspace, RunMode mode);
nn::Model train_transform(const Experiment& experiment, const Workspace& workspace,
                          const nn::Model& psi, RunMode mode);
/// Trains a classifier, behind the configured adaptation network, on pictures encrypted with the
/// configured scheme.
nn::Model train_scheme(const Experiment& experiment, const Workspace& workspace, RunMode mode);
/// Trains the GAN-based transformation against psi; the run folder is that of the scheme "gan".
nn::Model train_gan(const Experiment& experiment, const Workspace& workspace, const nn::Model& psi,
                    RunMode mode);

/// Loads phi from the configured file, or cuts it from a VGG16-BN that is trained (or completed) on
/// the data. `description` says which, for logs, model files and reports.
struct Phi {
  std::shared_ptr<nn::FeatureExtractor> net;
  std::string description;
};
Phi open_phi(const Experiment& experiment, const Workspace& workspace);

/// @throws Error{InvalidArgument} when psi's classes or input size are not those of the data.
void check_fits(const nn::Model& psi, const data::TrainTest& data,
                const std::filesystem::path& psi_path);

/// True when the run holds a finished model.
bool is_finished(const std::filesystem::path& folder);
/// The model of a finished run, on the experiment's device. @throws as nn::load_model.
nn::Model finished_model(const Experiment& experiment, const std::filesystem::path& folder,
                         model::Role role);

/// Prepares `folder` for a training in the given mode and writes its config.toml. `title` is what
/// the progress line shows.
/// @throws Error{AlreadyExists} in mode Fresh; Error{NotFound} in mode Resume without a checkpoint;
/// Error{InvalidArgument} for a checkpoint of another configuration.
LoopOptions start_run(const Experiment& experiment, const std::filesystem::path& folder,
                      const std::string& title, RunMode mode);

}  // namespace veilnet::train
