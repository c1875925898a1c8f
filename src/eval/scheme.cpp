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
    throw Error(ErrorCode::NotFound,
                folder.string() + " holds no finished training; run `veilnet train scheme` first");
  }
  const auto classifier_folder = gan ? e.classifier_folder() : folder;
  const auto classifier = train::finished_model(e, classifier_folder, model::Role::Classifier);
  train::check_fits(classifier, w.data, classifier_folder / "model.safetensors");
  std::vector<uint8_t> encrypted;
  json provenance = classifier.card.notes;
  if (gan) {
    const auto g = train::finished_model(e, folder, model::Role::Transform);
    encrypted = attack::transform_to_bytes(g, test, e.compute);
    provenance = g.card.notes;
  } else {
    const auto trained_on = classifier.card.notes.find("scheme");
    if (trained_on == classifier.card.notes.end() || trained_on->second != e.scheme.label()) {
      throw Error(
          ErrorCode::BadData,
          (folder / "model.safetensors").string() + ": was trained on " +
              (trained_on == classifier.card.notes.end() ? "no scheme"
                                                         : "\"" + trained_on->second + "\"") +
              "; expected \"" + e.scheme.label() + "\"");
    }
    encrypted = train::encrypt_pictures(e.scheme, test, train::kFirstTestKey);
  }
  const auto similarity = compare(test, encrypted);
  json out = {{"label", e.scheme.label()},
              {"classifier", model::describe(classifier.card)},
              {"accuracy", accuracy_on_bytes(classifier, test, encrypted, e.compute)},
              {"plain_accuracy", accuracy_on_bytes(classifier, test, test.images_nhwc, e.compute)},
              {"similarity",
               {{"psnr_db", to_json(summarise(similarity.psnr_db))},
                {"ssim", to_json(summarise(similarity.ssim))},
                {"ssim_gaussian", to_json(summarise(similarity.ssim_gaussian))}}},
              {"key_space_bits",
               gan ? 0.0
                   : cipher::make_scheme(e.scheme.options, cipher::key_from_seed(e.scheme.key_seed),
                                         test.height, test.width)
                         ->key_space_bits()},
              {"provenance", provenance}};
  write_file(folder / "metrics.json", out.dump(1) + "\n", Overwrite::Yes);
  return out;
}

}  // namespace veilnet::eval
