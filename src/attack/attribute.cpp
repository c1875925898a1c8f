#include "attack/attribute.h"

#include <algorithm>
#include <cmath>
#include <torch/utils.h>

#include "core/error.h"
#include "nn/infer.h"
#include "train/tasks/classifier.h"

namespace veilnet::attack {
namespace {

double value_of(const std::string& name, const image::Batch& pictures, size_t i) {
  return attribute_value(name, pictures.picture(i), pictures.height(), pictures.width());
}

// The protected pictures, labelled with whether the plain ones are above `median`.
data::Dataset labelled(const data::Pairs& pairs, const std::string& name, double median) {
  data::Dataset out{name, {"below the median", "above the median"}, pairs.protected_pictures(), {}};
  for (size_t i = 0; i < pairs.count(); ++i)
    out.labels.push_back(value_of(name, pairs.plain(), i) > median ? 1 : 0);
  return out;
}

}  // namespace

std::vector<std::string> attribute_names() { return {"brightness", "warmth", "detail", "top-lit"}; }

double attribute_value(const std::string& name, std::span<const uint8_t> image_hwc, int height,
                       int width) {
  const auto luminance = [&](int y, int x) {
    const auto* p = &image_hwc[3 * (static_cast<size_t>(y) * static_cast<size_t>(width) +
                                    static_cast<size_t>(x))];
    return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
  };
  const double pixels = static_cast<double>(height) * width;
  double sum = 0;
  if (name == "brightness" || name == "top-lit") {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x)
        sum += (name == "top-lit" && 2 * y >= height ? -1 : 1) * luminance(y, x);
    }
  } else if (name == "warmth") {
    for (size_t i = 0; i < image_hwc.size(); i += 3)
      sum += double{1} * image_hwc[i] - image_hwc[i + 2];
  } else if (name == "detail") {
    for (int y = 1; y < height; ++y) {
      for (int x = 1; x < width; ++x) {
        sum += std::abs(luminance(y, x) - luminance(y, x - 1)) +
               std::abs(luminance(y, x) - luminance(y - 1, x));
      }
    }
  } else {
    fail(ErrorCode::InvalidArgument,
         "there is no attribute \"{}\"; allowed: brightness, warmth, detail, top-lit", name);
  }
  return sum / pixels;
}

AttributeInference infer_attribute(const TrainingPlan& plan, const std::string& name,
                                   const data::Pairs& known, const data::Split& split,
                                   const data::Pairs& attacked) {
  std::vector<double> values;
  for (size_t i = 0; i < known.count(); ++i) values.push_back(value_of(name, known.plain(), i));
  std::ranges::nth_element(values, values.begin() + static_cast<ptrdiff_t>(values.size() / 2));
  const double median = values[values.size() / 2];

  auto reader = train::finished_model(plan.run, model::Role::Classifier, plan.compute.device);
  if (!reader) {
    const auto training = labelled(known, name, median);
    model::Card card;
    card.architecture = "resnet";
    card.depth = 8;
    card.class_names = training.class_names;
    card.height = training.pictures.height();
    card.width = training.pictures.width();
    card.mean_rgb.fill(0.5);
    card.std_rgb.fill(0.25);
    auto recipe = plan.recipe;
    recipe.flip = false;  // keys and transformations belong to positions
    recipe.crop_padding = 0;
    recipe.lr = std::min(recipe.lr, 0.1);
    torch::manual_seed(recipe.seed);
    train::ClassifierTask task(nn::make_model(card), 0);
    run_training(task, {training, split}, recipe, plan.compute, plan.run);
    reader = task.model();
  }
  const auto asked = labelled(attacked, name, median);
  const double above =
      static_cast<double>(std::ranges::count(asked.labels, 1)) / static_cast<double>(asked.size());
  return {nn::accuracy(*reader, asked.pictures, asked.labels), std::max(above, 1 - above)};
}

}  // namespace veilnet::attack
