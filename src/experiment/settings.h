// One experiment as its configuration describes it: data, psi, phi, h, the attack and a
// conventional scheme, each a struct of its own, and the run folders they live in.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "core/settings.h"
#include "train/compute.h"
#include "train/recipe.h"
#include "train/rehearsal.h"
#include "train/scheme.h"
#include "train/tasks/gan.h"
#include "train/tasks/transform.h"

namespace veilnet::experiment {

/// The whole configuration, read and checked. Every command reads all of it, so that one file
/// serves them all and a misspelt key is refused by each. configs/*.toml show every key.
struct Experiment {
  std::string name;
  std::filesystem::path runs;  ///< folder that holds <name>/

  double checkpoint_minutes = 5;  ///< 0 saves the state after every step
  bool anyway = false;            ///< build on a psi or an encoder that did not learn

  struct Data {
    std::string source;  ///< a name of data::sources()
    std::filesystem::path path;
    int height = 32, width = 32;           ///< folder
    std::vector<std::string> class_names;  ///< idx
    uint64_t seed = 1;                     ///< synthetic
    int64_t train_size = 6000, test_size = 1000;
    double validation_fraction = 0.1;
    uint64_t split_seed = 300;
  } data;

  train::Compute compute;

  struct Classifier {
    std::string architecture;  ///< "resnet", "resnet18", "vgg16_bn" or "densenet"
    int64_t depth = 20;
    std::array<double, 3> mean_rgb, std_rgb;
    std::string from;  ///< model file or name whose weights it starts with; empty for none
    /// Classifiers of the same classes that teach it: train::Teachers; files or names.
    std::vector<std::string> teachers;
    double distillation = 0.9;
    double temperature = 4;
    train::Recipe recipe;
  } classifier;

  struct Phi {
    std::filesystem::path file;  ///< empty: cut from a VGG trained on the data
    std::string layer;
    int64_t epochs = 10;  ///< of that VGG
    int64_t least_steps = 0;
  } phi;

  struct Transform {
    std::string kind = "unet";              ///< or "coded": nn/coded.h
    int64_t bits = 0;                       ///< of the code; 0 for a unet
    std::string quantiser = "categorical";  ///< of the code, or "sign": nn/coded.h
    double epsilon = 0;                     ///< of chance on the code, when protecting; 0: none
    int64_t width = 16;
    train::TransformOptions options;
    int64_t encoder_least_steps = 0;
    std::string encoder_from;  ///< as Classifier::from; a U-Net serves too
    /// Of the encoder's training, which is psi's but for these: it has many more weights.
    double encoder_lr = 0;  ///< 0: psi's, at most 0.15
    int encoder_cutout = 0;
    double encoder_label_smoothing = 0;
    /// As Classifier::teachers; psi where there are none and the weight is above 0.
    std::vector<std::string> encoder_teachers;
    double encoder_distillation = 0;
    double encoder_temperature = 4;
    /// Classifiers besides psi that h serves: model files or names of models.
    std::vector<std::string> services;
    train::Recipe recipe;
  } transform;

  struct Attack {
    int64_t width = 16;
    train::Recipe recipe;
  } attack;

  /// Further values of alpha, trained and attacked with these (usually shorter) budgets for the
  /// trade-off curve.
  struct Curve {
    std::vector<double> alphas;
    std::vector<int64_t> bits;  ///< of coded transformations at the main alpha, of the full budget
    int64_t epochs = 0, attack_epochs = 0;  ///< 0: those of [transform] and [attack]
  } curve;

  /// A conventional scheme and how a classifier learns from its pictures; the recipe and the
  /// classifier are those of psi. options.id is empty where none is configured, and may be "gan".
  struct Scheme : train::KeyedScheme {
    std::string adaptation;  ///< of nn/adaptation.h, or "none"
  } scheme;

  /// The GAN-based transformation; network width and recipe are those of [transform].
  struct Gan {
    train::GanOptions options;
    int64_t epochs = 0;  ///< 0: those of [transform]
  } gan;

  std::vector<std::string> table1_rows;  ///< of the comparison table: see table.h

  /// What `reproduce attacks` and `audit` do.
  struct Attacks {
    std::vector<std::string> schemes;  ///< labels of make_protection
    std::vector<std::string> only;     ///< names of attacks; empty for all
    std::string budget = "small";
    /// 0: the budget's.
    int64_t attacked = 0, known = 0, epochs = 0, optimised = 0, optimise_steps = 0;
    std::vector<std::string> transports;  ///< of image/transport.h
    bool attributes = true, curve = true;
  } attacks;

  /// "transform-a0.005", "coded10-a0.005": names the protection and its run; "coded4-a0.005-eps8"
  /// where chance is added to that run's; "minmax-a0.0", "nopeek-a0.0"; "shared-a0.005" and
  /// "coded10shared-a0.005" where h serves several classifiers.
  std::string transform_label() const;

  bool on_curve = false;                  ///< see at_curve_point
  train::Rehearsal* rehearsal = nullptr;  ///< trainings are only tried
  std::string resolved_toml;
  std::string config_sha256;

  std::filesystem::path folder() const { return runs / name; }
  std::filesystem::path classifier_folder() const { return folder() / "classifier"; }
  std::filesystem::path phi_folder() const { return folder() / "phi-vgg"; }
  std::filesystem::path encoder_folder() const { return folder() / "encoder"; }
  std::filesystem::path transform_folder() const;
  std::filesystem::path scheme_folder() const { return folder() / ("scheme-" + scheme.label()); }

  std::filesystem::path itn_folder() const { return transform_folder() / "attack-itn"; }

  /// The same experiment at one point of its trade-off curve; its configuration states that alpha.
  Experiment at_curve_point(double alpha) const;
  /// The same experiment with a coded transformation of so many bits, and chance on its code where
  /// epsilon is not 0.
  Experiment at_bits(int64_t bits, double epsilon = 0) const;
  /// The same experiment with h for psi alone, whatever [transform] services says.
  Experiment without_services() const;
  /// The same experiment with h protected as other papers do instead of by phi's features, alpha 0:
  /// "minmax" or "nopeek" (train::TransformOptions).
  Experiment at_rival(const std::string& name) const;
  /// This one, then those of its curve: other values of alpha, then codes.
  std::vector<Experiment> points() const;
  /// The same experiment with the scheme that Scheme::label names so. @param others names that the
  /// caller takes besides. @throws Error{InvalidArgument} for another name.
  Experiment at_scheme(const std::string& label, const std::string& others = "") const;
};

/// "none" or the adaptation network that the papers use for a scheme.
std::string default_adaptation(const std::string& scheme_id);

/// @throws Error{InvalidArgument} for values out of range and unknown keys. Applies the thread
/// count.
Experiment read_experiment(Config& config);

/// "0.005" for 0.005: shortest text that names a run.
std::string alpha_text(double alpha);

}  // namespace veilnet::experiment
