#include "train/recipe.h"

#include <cmath>
#include <numbers>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

namespace veilnet::train {
namespace {

Recipe quick(Subject subject) {
  Recipe r;
  r.schedule = "one_cycle";
  switch (subject) {
    case Subject::Classifier:
      r.epochs = 16;
      r.lr = 0.3;
      r.nesterov = true;
      break;
    case Subject::Transform:
      r.epochs = 3;
      r.optimizer = "adamw";
      r.lr = 2e-3;
      r.warmup = 0.15;
      r.weight_decay = 0.01;
      r.select =
          "last";  // alpha changes during training, so losses of different epochs do not compare
      break;
    case Subject::Inverse:
      r.epochs = 3;
      r.optimizer = "adamw";
      r.lr = 2e-3;
      r.weight_decay = 0.01;
      break;
  }
  return r;
}

}  // namespace

std::optional<data::Augmentation> Recipe::augmentation() const {
  if (!flip && crop_padding == 0) return std::nullopt;
  data::Augmentation augmentation;
  augmentation.horizontal_flip = flip;
  augmentation.crop_padding = crop_padding;
  return augmentation;
}

std::string describe(const Recipe& recipe) {
  return recipe.name + ", " + std::to_string(recipe.epochs) + " epochs";
}

Recipe read_recipe(Config& config, Subject subject) {
  const std::string t = subject == Subject::Classifier  ? "classifier."
                        : subject == Subject::Transform ? "transform."
                                                        : "attack.";
  const auto name = config.get_choice(t + "recipe", "quick", {"paper", "quick"});
  Recipe r = name == "paper" ? Recipe{} : quick(subject);
  r.name = name;
  // A pair of the inverse is flipped jointly but never shifted: a shift would tell the two pictures
  // apart at the border.
  if (subject == Subject::Inverse) r.crop_padding = 0;
  constexpr double kInf = std::numeric_limits<double>::infinity();
  r.epochs = config.get_int(t + "epochs", r.epochs, 1, 100'000);
  r.batch_size = config.get_int(t + "batch_size", r.batch_size, 1, 65'536);
  r.optimizer = config.get_choice(t + "optimizer", r.optimizer, {"sgd", "adamw"});
  r.lr = config.get_double(t + "lr", r.lr, 0, 100);
  r.momentum = config.get_double(t + "momentum", r.momentum, 0, 1);
  r.nesterov = config.get_bool(t + "nesterov", r.nesterov);
  r.weight_decay = config.get_double(t + "weight_decay", r.weight_decay, 0, 1);
  r.schedule = config.get_choice(t + "schedule", r.schedule, {"step", "one_cycle"});
  r.milestones = config.get_doubles(t + "milestones", r.milestones, 0, kInf);
  r.gamma = config.get_double(t + "gamma", r.gamma, 0, 1);
  r.warmup = config.get_double(t + "warmup", r.warmup, 0, 1);
  if (subject == Subject::Classifier)
    r.label_smoothing = config.get_double(t + "label_smoothing", r.label_smoothing, 0, 0.9);
  if (subject != Subject::Inverse) {
    r.crop_padding = static_cast<int>(config.get_int(t + "crop_padding", r.crop_padding, 0, 1024));
  }
  r.flip = config.get_bool(t + "flip", r.flip);
  r.select = config.get_choice(t + "select", r.select, {"lowest_validation_loss", "last"});
  r.clip_norm = config.get_double(t + "clip_norm", r.clip_norm, 0, kInf);
  r.seed =
      static_cast<uint64_t>(config.get_int(t + "seed", static_cast<int64_t>(r.seed), 0, INT64_MAX));
  return r;
}

double learning_rate(const Recipe& recipe, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch) {
  if (recipe.schedule == "step") {
    const double epoch =
        std::floor(static_cast<double>(step) / static_cast<double>(steps_per_epoch));
    double lr = recipe.lr;
    for (const double milestone : recipe.milestones) {
      if (epoch >= milestone) lr *= recipe.gamma;
    }
    return lr;
  }
  const double progress = static_cast<double>(step) / static_cast<double>(total_steps);
  if (progress < recipe.warmup) return recipe.lr * (0.04 + 0.96 * progress / recipe.warmup);
  const double down = (progress - recipe.warmup) / (1.0 - recipe.warmup);
  return recipe.lr * (0.001 + 0.999 * 0.5 * (1.0 + std::cos(std::numbers::pi * down)));
}

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const Recipe& recipe,
                                                        std::vector<torch::Tensor> parameters) {
  if (recipe.optimizer == "adamw") {
    return std::make_unique<torch::optim::AdamW>(std::move(parameters),
                                                 torch::optim::AdamWOptions(recipe.lr)
                                                     .betas({recipe.beta1, 0.999})
                                                     .weight_decay(recipe.weight_decay));
  }
  return std::make_unique<torch::optim::SGD>(std::move(parameters),
                                             torch::optim::SGDOptions(recipe.lr)
                                                 .momentum(recipe.momentum)
                                                 .weight_decay(recipe.weight_decay)
                                                 .nesterov(recipe.nesterov));
}

void set_learning_rate(torch::optim::Optimizer& optimizer, double lr) {
  for (auto& group : optimizer.param_groups()) group.options().set_lr(lr);
}

}  // namespace veilnet::train
