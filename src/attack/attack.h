// All attacks under one interface: an attack takes Materials and gives its guess at every picture.
//
// Nothing here leads to a key, a seed of keys, a test set or the experiment: an attack gets what
// its threat model grants, a recipe, a budget, a folder for its training, and phi.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "attack/materials.h"
#include "nn/vgg.h"
#include "train/compute.h"
#include "train/recipe.h"
#include "train/run.h"

namespace veilnet::attack {

/// How much is spent. docs/attacks.md has the figures of "small", "standard" and "large".
struct Budget {
  std::string name;
  size_t attacked = 0;  ///< pictures to be opened
  size_t known = 0;  ///< pictures of the attacker's own, and as many that he observes, at most half
                     ///< of the training set each
  int64_t epochs = 0;          ///< of every trained attack
  size_t known_pairs = 0;      ///< pairs of the known-plaintext attack
  size_t optimised = 0;        ///< pictures of the attacks that take each by itself
  int64_t optimise_steps = 0;  ///< for each of them
  uint64_t keys = 0;           ///< that brute force tries
  int64_t width = 16;  ///< that of [attack]: of U-Nets and position-aware networks; SIA-GAN's
                       ///< discriminator has twice that
};
/// @throws Error{InvalidArgument} for another name.
Budget budget_named(const std::string& name);

/// What an attack may use besides its Materials.
struct Setting {
  train::Recipe recipe;
  const train::Compute& compute;
  const Budget& budget;
  train::Run run;                             ///< of its training; empty where it trains nothing
  std::shared_ptr<nn::FeatureExtractor> phi;  ///< its weights are public
};

struct Outcome {
  image::Batch recovered;  ///< guesses at the first pictures of Materials::attacked
  /// By name: pictures asked for, pairs, epochs, ...
  std::map<std::string, std::variant<int64_t, double, std::string>> spent = {};
  bool trained = false;  ///< its training has losses that say whether it has ended
};

struct Attack {
  std::string id;
  std::string text;  ///< what it does, a sentence for people
  /// The threat model under which it attacks this target, or why it makes no sense.
  std::function<std::variant<ThreatModel, std::string>(const Target&)> against;
  std::function<Outcome(Materials&, const Setting&)> run;
  /// The attack whose training it uses, most often itself; empty where it trains nothing.
  std::string training = {};
  /// Of an adversarial training, whose losses do not say whether it has ended; 0 for others.
  int64_t published_epochs = 0;
  bool needs_phi = false;
  /// Begins anew with every picture, so that only a few (Budget::optimised) are attacked.
  bool picture_by_picture = false;
  int version = 1;  ///< of the code, raised by hand when its results change
};

/// In the order of the attacker's power.
const std::vector<Attack>& attacks();
/// @throws Error{InvalidArgument} for another id, naming those that there are.
const Attack& attack_named(const std::string& id);

}  // namespace veilnet::attack
