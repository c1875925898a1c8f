#include "train/recipe.h"

#include <cmath>
#include <fmt/ranges.h>
#include <numbers>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include "core/error.h"

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
  if (!flip && crop_padding == 0 && cutout == 0) return std::nullopt;
  data::Augmentation augmentation;
  augmentation.horizontal_flip = flip;
  augmentation.crop_padding = crop_padding;
  augmentation.cutout = cutout;
  return augmentation;
}

std::string describe(const Recipe& recipe) {
  return recipe.name + ", " + std::to_string(recipe.epochs) + " epochs";
}

Recipe read_recipe(Config& config, Subject subject, const std::string& architecture) {
  const std::string table = subject == Subject::Classifier  ? "classifier."
                            : subject == Subject::Transform ? "transform."
                                                            : "attack.";
  const auto name = config.get_choice(table + "recipe", "quick", {"paper", "quick"});
  Recipe r = name == "paper" ? Recipe{} : quick(subject);
  r.name = name;
  if (name == "quick" && architecture == "vgg16_bn") r.lr = kVggRate;
  // A pair of the inverse is flipped jointly but never shifted: a shift would tell the two pictures
  // apart at the border.
  if (subject == Subject::Inverse) r.crop_padding = 0;
  ReadFields read(config, table);
  r.fields(read);
  if (subject == Subject::Classifier) {
    read("label_smoothing", r.label_smoothing, 0, 0.9);
    read("cutout", r.cutout, 0, 1024);
  }
  if (subject != Subject::Inverse) read("crop_padding", r.crop_padding, 0, 1024);
  if (r.nesterov && r.momentum == 0 && r.optimizer == "sgd")
    fail(ErrorCode::InvalidArgument,
         "{0}momentum is 0 with {0}nesterov true; Nesterov's momentum needs some, or set "
         "{0}nesterov=false",
         table);
  constexpr int64_t kLeastBatches = 10;
  const auto unless_given = [&](const char* key, int64_t value) {
    return name == "quick" && !config.has(table + key) ? value : 0;
  };
  r.least_steps =
      config.get_int(table + "least_steps", unless_given("epochs", kLeastSteps), 0, 1'000'000'000);
  r.least_batches = config.get_int(table + "least_batches",
                                   unless_given("batch_size", kLeastBatches), 0, 1'000'000);
  // A resolved configuration, which says all of them, says this too, or is from before it.
  r.scale_lr = config.get_bool(table + "scale_lr",
                               !config.has(table + "lr") || config.has(table + "least_batches"));
  return r;
}

void fit_to(Recipe& recipe, int64_t pictures) {
  constexpr int64_t kSmallestBatch = 32;
  while (recipe.batch_size / 2 >= kSmallestBatch &&
         pictures / recipe.batch_size < recipe.least_batches) {
    recipe.batch_size /= 2;
    if (recipe.scale_lr) recipe.lr /= 2;
  }
  recipe.epochs = epochs_for(recipe.epochs, recipe.least_steps, recipe, pictures);
}

std::string fitted(const Recipe& before, const Recipe& now) {
  std::vector<std::string> parts;
  if (now.batch_size != before.batch_size) parts.push_back(fmt::format("batch {}", now.batch_size));
  if (now.lr != before.lr) parts.push_back(fmt::format("rate {}", now.lr));
  if (now.epochs != before.epochs) parts.push_back(fmt::format("{} epochs", now.epochs));
  return fmt::format("{}", fmt::join(parts, ", "));
}

int64_t epochs_for(int64_t epochs, int64_t least_steps, const Recipe& recipe, int64_t pictures) {
  const auto steps = std::max<int64_t>(1, pictures / recipe.batch_size);  // of an epoch
  return std::max(epochs, (least_steps + steps - 1) / steps);
}

Settings settings_of(const Recipe& recipe, const std::string& table) {
  Recipe copy = recipe;
  Settings out;
  WriteFields write(out, table);
  copy.fields(write);
  write("label_smoothing", copy.label_smoothing);
  write("crop_padding", copy.crop_padding);
  write("beta1", copy.beta1);
  if (copy.cutout > 0) write("cutout", copy.cutout);  // came later: keys without it stay
  return out;
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
                                                        std::vector<torch::Tensor> parameters,
                                                        const std::vector<torch::Tensor>& faster) {
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  if (recipe.optimizer == "adamw") {
    optimizer = std::make_unique<torch::optim::AdamW>(std::move(parameters),
                                                      torch::optim::AdamWOptions(recipe.lr)
                                                          .betas({recipe.beta1, 0.999})
                                                          .weight_decay(recipe.weight_decay));
  } else {
    optimizer = std::make_unique<torch::optim::SGD>(std::move(parameters),
                                                    torch::optim::SGDOptions(recipe.lr)
                                                        .momentum(recipe.momentum)
                                                        .weight_decay(recipe.weight_decay)
                                                        .nesterov(recipe.nesterov));
  }
  if (!faster.empty()) optimizer->add_param_group(torch::optim::OptimizerParamGroup(faster));
  return optimizer;
}

void set_learning_rate(torch::optim::Optimizer& optimizer, double lr, double factor) {
  for (auto& group : optimizer.param_groups()) {
    group.options().set_lr(lr);
    lr *= factor;  // of the second group, which is the last
  }
}

}  // namespace veilnet::train
