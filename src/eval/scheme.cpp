#include "eval/scheme.h"

#include "attack/itn.h"
#include "core/error.h"
#include "eval/evaluate.h"
#include "eval/summary.h"
#include "train/scheme.h"

namespace veilnet::eval {

using nlohmann::json;

json evaluate_scheme(const train::Experiment& e, const train::Workspace& w) {
  const auto folder = e.scheme_folder();
  const auto& test = w.data.test;
  const bool gan = e.scheme.options.id == "gan";
  if (!train::is_finished(folder)) {
    throw Error(ErrorCode::NotFound, folder.string() + " holds no finished training; run `veilnet train scheme` first");
  }
  const auto file = (gan ? e.classifier_folder() : folder) / "model.safetensors";
  auto classifier = nn::load_model(file, nn::Role::Classifier);
  train::check_fits(classifier, w.data, file);
  nn::move_to(*classifier.net, e.compute.device);
  std::vector<uint8_t> encrypted;
  json provenance = classifier.card.notes;
  if (gan) {
    auto g = nn::load_model(folder / "model.safetensors", nn::Role::Transform);
    nn::move_to(*g.net, e.compute.device);
    encrypted = attack::transform_to_bytes(g, test, e.compute);
    provenance = g.card.notes;
  } else {
    encrypted = train::encrypt_pictures(e.scheme, test, train::kFirstTestKey);
  }
  const auto similarity = compare(test, encrypted);
  json out = {
      {"label", e.scheme.label()},
      {"classifier", classifier.card.architecture + (classifier.card.depth ? "-" + std::to_string(classifier.card.depth) : "") +
                         (classifier.card.adaptation.empty() ? "" : " behind adaptation " + classifier.card.adaptation)},
      {"accuracy", accuracy_on_bytes(classifier, test, encrypted, e.compute)},
      {"plain_accuracy", accuracy_on_bytes(classifier, test, test.images_nhwc, e.compute)},
      {"similarity",
       {{"psnr_db", to_json(summarise(similarity.psnr_db))},
        {"ssim", to_json(summarise(similarity.ssim))},
        {"ssim_gaussian", to_json(summarise(similarity.ssim_gaussian))}}},
      {"key_space_bits",
       gan ? 0.0
           : cipher::make_scheme(e.scheme.options, cipher::key_from_seed(e.scheme.key_seed), test.height, test.width)
                 ->key_space_bits()},
      {"provenance", provenance}};
  write_file(folder / "metrics.json", out.dump(1) + "\n", Overwrite::Yes);
  return out;
}

}  // namespace veilnet::eval
