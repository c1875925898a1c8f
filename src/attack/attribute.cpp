#include "attack/attribute.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <torch/utils.h>

#include "core/error.h"
#include "train/classifier.h"

namespace veilnet::attack {
namespace {

// The upper halves of stacked pairs, labelled with whether the lower ones are above `median`.
data::Dataset labelled(const data::Dataset& pairs, const std::string& name, double median) {
  const int height = pairs.pictures.height() / 2;
  const size_t half = pairs.image_bytes() / 2;
  std::vector<uint8_t> pictures;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto above = pairs.image(i).first(half);
    pictures.insert(pictures.end(), above.begin(), above.end());
  }
  auto out = unlabelled(pictures, height, pairs.pictures.width());
  out.name = name;
  out.class_names = {"below the median", "above the median"};
  for (size_t i = 0; i < pairs.size(); ++i)
    out.labels[i] =
        attribute_value(name, pairs.image(i).subspan(half), height, pairs.pictures.width()) > median
            ? 1
            : 0;
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
    throw Error(ErrorCode::InvalidArgument, "there is no attribute \"" + name +
                                                "\"; allowed: brightness, warmth, detail, top-lit");
  }
  return sum / pixels;
}

AttributeInference infer_attribute(const TrainingPlan& plan, const std::string& name,
                                   const data::Dataset& known, const data::Split& split,
                                   const data::Dataset& attacked) {
  const size_t half = known.image_bytes() / 2;
  std::vector<double> values;
  for (size_t i = 0; i < known.size(); ++i)
    values.push_back(attribute_value(name, known.image(i).subspan(half),
                                     known.pictures.height() / 2, known.pictures.width()));
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
    run_training(task, {training, split, {}}, recipe, plan.compute, plan.run);
    reader = task.model();
  }
  const auto asked = labelled(attacked, name, median);
  std::vector<uint32_t> all(asked.size());
  std::iota(all.begin(), all.end(), 0u);
  int64_t right = 0, above = 0;
  torch::NoGradGuard no_grad;
  train::for_each_batch(
      asked, all, 256, plan.compute.device,
      [&](const torch::Tensor& batch, const torch::Tensor& labels, size_t) {
        right += nn::classify(*reader, batch).argmax(1).eq(labels).sum().item<int64_t>();
        above += labels.sum().item<int64_t>();
      });
  const auto count = static_cast<double>(asked.size());
  const double share = static_cast<double>(above) / count;
  return {static_cast<double>(right) / count, std::max(share, 1 - share)};
}

}  // namespace veilnet::attack
