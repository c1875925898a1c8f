// How a network is optimised: the numbers of a recipe, and what follows from them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <torch/optim/optimizer.h>
#include <vector>

#include "core/settings.h"
#include "data/batches.h"

namespace veilnet::train {

/// What is being trained; each has its own `quick` defaults.
enum class Subject { Classifier, Transform, Inverse };

/// Every field can be set as <table>.<field> in the configuration; the named recipes only choose
/// the defaults.
struct Recipe {
  std::string name;  ///< "paper" or "quick"
  int64_t epochs = 200;
  int64_t batch_size = 128;
  std::string optimizer = "sgd";  ///< "sgd" or "adamw"
  double lr = 0.1;                ///< the highest learning rate of the schedule
  double momentum = 0.9;          ///< sgd
  double beta1 = 0.9;             ///< adamw; not configurable, the GAN-Attacks set it
  bool nesterov = false;          ///< sgd
  double weight_decay = 5e-4;
  std::string schedule = "step";  ///< "step" or "one_cycle"
  std::vector<double> milestones{
      60, 120, 160};  ///< step: epochs after which the rate is multiplied by `gamma`
  double gamma = 0.2;
  double warmup = 0.2;  ///< one_cycle: share of all steps in which the rate rises from lr/25; it
                        ///< then falls along a cosine to lr/1000
  double label_smoothing = 0;  ///< psi only
  bool flip = true;
  int crop_padding = 4;
  int cutout = 0;  ///< data::Augmentation::cutout; psi and encoders only
  std::string select = "lowest_validation_loss";  ///< or "last": which epoch's weights are kept
  double clip_norm = 0;                           ///< gradient norm limit; 0 for none
  uint64_t seed = 100;
  /// Of small data sets: see fit_to. 0 asks for nothing.
  int64_t least_steps = 0, least_batches = 0;
  bool scale_lr = true;  ///< fit_to divides the rate as it divides the batch

  /// What every subject's table has.
  template <class Visit>
  void fields(Visit&& visit) {
    constexpr double kInf = std::numeric_limits<double>::infinity();
    visit("epochs", epochs, 1, 100'000);
    visit("batch_size", batch_size, 1, 65'536);
    visit("optimizer", optimizer, {"sgd", "adamw"});
    visit("lr", lr, 0, 100);
    visit("momentum", momentum, 0, 1);
    visit("nesterov", nesterov);
    visit("weight_decay", weight_decay, 0, 1);
    visit("schedule", schedule, {"step", "one_cycle"});
    visit("milestones", milestones, 0, kInf);
    visit("gamma", gamma, 0, 1);
    visit("warmup", warmup, 0, 1);
    visit("flip", flip);
    visit("select", select, {"lowest_validation_loss", "last"});
    visit("clip_norm", clip_norm, 0, kInf);
    visit("seed", seed);
  }

  /// Nothing when neither flip nor crop is on.
  std::optional<data::Augmentation> augmentation() const;
};

/// "quick, 16 epochs".
std::string describe(const Recipe& recipe);

/// The default of `least_steps` under `quick`; of phi's VGG a part, since only its first layers
/// serve.
inline constexpr int64_t kLeastSteps = 1000, kLeastPhiSteps = 150;

/// The highest rate of a VGG, which has no shortcuts and diverges at those that a ResNet takes.
inline constexpr double kVggRate = 0.05;

/// Reads [classifier], [transform] or [attack]. `paper` is the published recipe (arXiv 2008.03143):
/// SGD, momentum 0.9, weight decay 5e-4, lr 0.1 x 0.2 after 60, 120, 160 of 200 epochs, batch 128,
/// the epoch of lowest validation loss. `quick` is ours for CPUs; docs/recipes.md has its
/// measurements. It fits itself to small data sets in what the configuration leaves open: epochs,
/// batch size or rate that are given stay as they are.
/// @param architecture of a classifier: `quick` trains a VGG at kVggRate.
/// @throws Error{InvalidArgument} for a value out of range.
Recipe read_recipe(Config& config, Subject subject, const std::string& architecture = "");

/// Fits a recipe to a training set of so many pictures: halves the batch, not below 32, and with
/// `scale_lr` the rate until an epoch has `least_batches`; then raises the epochs until there are
/// `least_steps`. With 45,000 pictures `quick` stays as it is.
void fit_to(Recipe& recipe, int64_t pictures);

/// "batch 32, rate 0.075, 77 epochs": what of a recipe was fitted; empty where it stayed as it was.
std::string fitted(const Recipe& before, const Recipe& now);

/// `epochs`, or as many as it takes for so many steps under a recipe that was fitted.
int64_t epochs_for(int64_t epochs, int64_t least_steps, const Recipe& recipe, int64_t pictures);

/// All that a training under the recipe depends on, by key of its table ("transform."); its name
/// is not.
Settings settings_of(const Recipe& recipe, const std::string& table);

/// Learning rate of a step (0-based) out of total_steps.
double learning_rate(const Recipe& recipe, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch);

/// @param faster none, or parameters with a rate of their own.
std::unique_ptr<torch::optim::Optimizer> make_optimizer(
    const Recipe& recipe, std::vector<torch::Tensor> parameters,
    const std::vector<torch::Tensor>& faster = {});
/// @param factor of the rate of those that are faster.
void set_learning_rate(torch::optim::Optimizer& optimizer, double lr, double factor = 1);

}  // namespace veilnet::train
