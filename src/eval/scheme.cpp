#include "eval/scheme.h"

#include "attack/itn.h"
#include "eval/evaluate.h"
#include "eval/summary.h"
#include "train/scheme.h"

namespace veilnet::eval {

using nlohmann::json;

json evaluate_scheme(const experiment::Experiment& e, const experiment::Workspace& w) {
  const auto folder = e.scheme_folder();
  const auto& test = w.data.test;
  const bool gan = e.scheme.options.id == "gan";
  const auto trained =
      experiment::required(gan ? experiment::finished_gan(e, w) : experiment::finished_scheme(e, w),
                           folder, "train scheme");
  const auto classifier = gan ? experiment::required(experiment::finished_classifier(e, w),
                                                     e.classifier_folder(), "train classifier")
                              : trained;
  const auto encrypted = gan ? attack::transform_to_bytes(trained, test, e.compute)
                             : train::encrypt_pictures(e.scheme, test, train::kFirstTestKey);
  const auto similarity = compare(test, encrypted);
  json out = {
      {"label", e.scheme.label()},
      {"classifier", model::describe(classifier.card)},
      {"accuracy", accuracy_on_bytes(classifier, test, encrypted, e.compute)},
      {"plain_accuracy", accuracy_on_bytes(classifier, test, test.pictures.pixels(), e.compute)},
      {"similarity",
       {{"psnr_db", to_json(summarise(similarity.psnr_db))},
        {"ssim", to_json(summarise(similarity.ssim))},
        {"ssim_gaussian", to_json(summarise(similarity.ssim_gaussian))}}},
      {"key_space_bits",
       gan ? 0.0
           : cipher::make_scheme(e.scheme.options, cipher::key_from_seed(e.scheme.key_seed),
                                 test.pictures.height(), test.pictures.width())
                 ->key_space_bits()},
      {"provenance", trained.card.notes}};
  write_file(folder / "metrics.json", out.dump(1) + "\n", Overwrite::Yes);
  return out;
}

}  // namespace veilnet::eval
