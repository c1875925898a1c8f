#include "attack/itn.h"

#include <numeric>
#include <torch/utils.h>

#include "core/error.h"
#include "core/version.h"
#include "train/loop.h"

namespace veilnet::attack {
namespace {

torch::Tensor pair_error(const nn::Model& inverse, const torch::Tensor& pairs) {
  const int64_t height = pairs.size(2) / 2;
  const auto protected_pictures = pairs.slice(2, 0, height).contiguous(torch::MemoryFormat::ChannelsLast);
  return torch::mse_loss(nn::transform(inverse, protected_pictures), pairs.slice(2, height));
}

}  // namespace

std::vector<uint8_t> transform_to_bytes(const nn::Model& model, const data::Dataset& pictures, const train::Compute& compute) {
  torch::NoGradGuard no_grad;
  std::vector<uint32_t> all(pictures.size());
  std::iota(all.begin(), all.end(), 0u);
  std::vector<uint8_t> out;
  out.reserve(pictures.images_nhwc.size());
  train::for_each_batch(pictures, all, 256, compute.device, [&](const torch::Tensor& batch, const torch::Tensor&, size_t) {
    const auto bytes = nn::to_bytes(nn::transform(model, batch));
    out.insert(out.end(), bytes.begin(), bytes.end());
  });
  return out;
}

data::Dataset make_pairs(const data::Dataset& plain, const nn::Model& h, const train::Compute& compute) {
  data::Dataset pairs;
  pairs.name = plain.name + " pairs";
  pairs.height = 2 * plain.height;
  pairs.width = plain.width;
  pairs.class_names = plain.class_names;
  pairs.labels = plain.labels;
  const auto protected_bytes = transform_to_bytes(h, plain, compute);
  pairs.images_nhwc.reserve(2 * plain.images_nhwc.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto* above = protected_bytes.data() + i * plain.image_bytes();
    const auto below = plain.image(i);
    pairs.images_nhwc.insert(pairs.images_nhwc.end(), above, above + plain.image_bytes());
    pairs.images_nhwc.insert(pairs.images_nhwc.end(), below.begin(), below.end());
  }
  return pairs;
}

train::Losses InverseTask::training_losses(const torch::Tensor& pictures, const torch::Tensor&, const train::StepInfo&) {
  const auto loss = pair_error(inverse_, pictures);
  return {loss, {{"mse", loss.detach()}}};
}

std::vector<std::pair<std::string, double>> InverseTask::validation_means(const torch::Tensor& pictures, const torch::Tensor&,
                                                                          const train::StepInfo&) {
  const double mse = pair_error(inverse_, pictures).item<double>();
  return {{"loss", mse}, {"psnr_db", -10.0 * std::log10(std::max(mse, 1e-12))}};
}

nn::Model train_itn(const train::Experiment& e, const train::Workspace& w, const nn::Model& h, train::RunMode mode) {
  const auto folder = e.transform_folder() / "attack-itn";
  if (mode == train::RunMode::Complete && train::is_finished(folder))
    return train::finished_model(e, folder, nn::Role::Inverse);
  if (h.card.height != w.data.train.height || h.card.width != w.data.train.width) {
    throw Error(ErrorCode::InvalidArgument, "the attacked model was trained on " + std::to_string(h.card.height) + "x" +
                                                std::to_string(h.card.width) + " pictures; the data set " + w.data.train.name +
                                                " has " + std::to_string(w.data.train.height) + "x" +
                                                std::to_string(w.data.train.width));
  }
  const auto options = train::start_run(e, folder, "ITN-Attack, alpha " + train::alpha_text(e.transform.options.alpha), mode);
  nn::ModelCard card = h.card;
  card.role = nn::Role::Inverse;
  card.base_width = e.attack.width;
  card.notes = {{"config_sha256", e.config_sha256},
                {"data_sha256", w.data_sha256},
                {"commit", commit()},
                {"attacks_alpha", h.card.notes.at("alpha")}};
  torch::manual_seed(e.attack.recipe.seed);
  InverseTask task(nn::make_model(card));
  const auto pairs = make_pairs(w.data.train, h, e.compute);
  run_training(task, pairs, w.split, e.attack.recipe, e.compute, options);
  return task.model();
}

}  // namespace veilnet::attack
