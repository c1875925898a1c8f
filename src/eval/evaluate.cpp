#include "eval/evaluate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <spdlog/spdlog.h>

#include "attack/itn.h"
#include "core/error.h"
#include "core/version.h"
#include "eval/json_reader.h"
#include "eval/leak.h"
#include "eval/papers.h"
#include "eval/record.h"
#include "eval/summary.h"
#include "image/metrics.h"
#include "train/classifier.h"

namespace veilnet::eval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::vector<std::string> kEvaluationFiles{
    "config.toml", "evaluation.json",        "report.html",
    "grid.png",    "pictures/model-*/*.png", "pictures/model-*/labels.json"};

// Of arXiv 2008.03143, which has ResNet-20 only.
json paper_accuracy(const experiment::Experiment& e, const std::string& row) {
  if (e.classifier.architecture != "resnet" || e.classifier.depth != 20) return nullptr;
  const auto figure = paper_figure(row, e.data.source);
  return figure.is_null() ? figure : figure.at("accuracy");
}

json numbers(const std::vector<double>& values) {
  json out = json::array();
  for (const double v : values) out.push_back(json_number(v));
  return out;
}

json similarity_json(const Similarity& s) {
  return {{"psnr_db", to_json(summarise(s.psnr_db))},
          {"ssim", to_json(summarise(s.ssim))},
          {"ssim_gaussian", to_json(summarise(s.ssim_gaussian))},
          {"psnr_db_values", numbers(s.psnr_db)},
          {"ssim_values", numbers(s.ssim)}};
}

data::Dataset with_pictures(const data::Dataset& like, std::span<const uint8_t> images_nhwc) {
  data::Dataset out = like;
  out.pictures = image::Batch(like.pictures.height(), like.pictures.width(),
                              std::vector<uint8_t>(images_nhwc.begin(), images_nhwc.end()));
  return out;
}

image::Image picture(const data::Dataset& like, std::span<const uint8_t> images_nhwc, size_t i) {
  const auto bytes = images_nhwc.subspan(i * like.image_bytes(), like.image_bytes());
  return {like.pictures.height(), like.pictures.width(), {bytes.begin(), bytes.end()}};
}

// What an attacker gets without any attack: the mean training picture as the guess for every test
// picture.
double mean_image_psnr_db(const data::Dataset& train, const data::Dataset& test) {
  const auto mean = mean_picture(train, 1);
  double total = 0;
  for (size_t i = 0; i < test.size(); ++i) total += image::psnr_db(mean, test.image(i));
  return total / static_cast<double>(test.size());
}

std::vector<size_t> shown_pictures(const data::Dataset& test) {
  std::vector<size_t> shown;
  for (size_t c = 0; c < std::min<size_t>(10, test.class_names.size()); ++c) {
    const auto it = std::find(test.labels.begin(), test.labels.end(), static_cast<int32_t>(c));
    if (it != test.labels.end()) shown.push_back(static_cast<size_t>(it - test.labels.begin()));
  }
  return shown;
}

}  // namespace

double accuracy_on_bytes(const nn::Model& psi, const data::Dataset& like,
                         std::span<const uint8_t> images_nhwc, const train::Compute& compute) {
  torch::NoGradGuard no_grad;
  const auto dataset = with_pictures(like, images_nhwc);
  std::vector<uint32_t> all(dataset.size());
  std::iota(all.begin(), all.end(), 0u);
  int64_t right = 0;
  train::for_each_batch(dataset, all, 256, compute.device,
                        [&](const torch::Tensor& batch, const torch::Tensor& labels, size_t) {
                          right +=
                              nn::classify(psi, batch).argmax(1).eq(labels).sum().item<int64_t>();
                        });
  return static_cast<double>(right) / static_cast<double>(dataset.size());
}

Similarity compare(const data::Dataset& plain, std::span<const uint8_t> others_nhwc) {
  Similarity s;
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto a = plain.image(i),
               b = others_nhwc.subspan(i * plain.image_bytes(), plain.image_bytes());
    s.psnr_db.push_back(image::psnr_db(a, b));
    s.ssim.push_back(image::ssim(a, b, plain.pictures.height(), plain.pictures.width(),
                                 image::SsimWindow::Uniform7));
    s.ssim_gaussian.push_back(image::ssim(a, b, plain.pictures.height(), plain.pictures.width(),
                                          image::SsimWindow::Gaussian11));
  }
  return s;
}

json evaluate_model(const experiment::Experiment& e, const experiment::Workspace& w,
                    const nn::Model& psi, const nn::Model& h, const nn::Model* inverse,
                    ModelPictures& pictures) {
  const auto& test = w.data.test;
  std::vector<uint32_t> all(test.size());
  std::iota(all.begin(), all.end(), 0u);

  // One pass gives the float accuracy and the 8-bit pictures that everything else sees.
  int64_t right = 0;
  std::vector<uint8_t> protected_bytes;
  {
    torch::NoGradGuard no_grad;
    train::for_each_batch(
        test, all, 256, e.compute.device,
        [&](const torch::Tensor& batch, const torch::Tensor& labels, size_t) {
          const auto protected_pictures = nn::transform(h, batch);
          right += nn::classify(psi, protected_pictures).argmax(1).eq(labels).sum().item<int64_t>();
          const auto bytes = nn::to_bytes(protected_pictures);
          protected_bytes.insert(protected_bytes.end(), bytes.begin(), bytes.end());
        });
  }
  const double alpha = e.transform.options.alpha;
  json model = {
      {"label", "alpha = " + experiment::alpha_text(alpha)},
      {"alpha", alpha},
      {"architecture", model::describe(h.card)},
      {"recipe", train::describe(e.transform.recipe) +
                     (e.transform.options.freeze_encoder ? ", frozen encoder" : "")},
      {"accuracy",
       {{"plain", accuracy_on_bytes(psi, test, test.pictures.pixels(), e.compute)},
        {"protected_float", static_cast<double>(right) / static_cast<double>(test.size())},
        {"protected_png8", accuracy_on_bytes(psi, test, protected_bytes, e.compute)}}},
      {"paper_accuracy", paper_accuracy(e, "transform-a" + experiment::alpha_text(alpha))},
      {"similarity", similarity_json(compare(test, protected_bytes))},
      {"provenance", h.card.notes}};

  auto shown = shown_pictures(test);
  for (const size_t i : shown)
    pictures.labels.push_back(test.class_names[static_cast<size_t>(test.labels[i])]);
  std::vector<uint8_t> reconstructed_bytes;
  if (inverse) {
    reconstructed_bytes =
        attack::transform_to_bytes(*inverse, with_pictures(test, protected_bytes), e.compute);
    const auto leak = compare(test, reconstructed_bytes);
    auto attack = similarity_json(leak);
    attack["name"] = "ITN-Attack";
    attack["threat_model"] = attack::to_text(attack::kItnThreatModel);
    attack["reconstruction_accuracy"] =
        accuracy_on_bytes(psi, test, reconstructed_bytes, e.compute);
    attack["baseline_mean_image_psnr_db"] = json_number(mean_image_psnr_db(w.data.train, test));
    attack["settings"] = {{"network", model::describe(inverse->card)},
                          {"recipe", train::describe(e.attack.recipe)},
                          {"training pairs", w.split.train.size()}};
    model["attack"] = attack;
    // The pictures that leaked most, by SSIM of the reconstruction.
    auto order = std::vector<size_t>(all.begin(), all.end());
    const size_t worst = std::min<size_t>(6, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<long>(worst), order.end(),
                      [&](size_t a, size_t b) { return leak.ssim[a] > leak.ssim[b]; });
    for (size_t k = 0; k < worst; ++k) {
      shown.push_back(order[k]);
      pictures.labels.push_back("worst case " + std::to_string(k + 1));
    }
  }
  for (const size_t i : shown) {
    pictures.plain.push_back(picture(test, test.pictures.pixels(), i));
    pictures.protected_pictures.push_back(picture(test, protected_bytes, i));
    if (inverse) pictures.reconstructed.push_back(picture(test, reconstructed_bytes, i));
  }
  return model;
}

json evaluate_experiment(const experiment::Experiment& e, const experiment::Workspace& w) {
  const auto psi = experiment::required(experiment::finished_classifier(e, w),
                                        e.classifier_folder(), "train classifier");
  experiment::refuse_foreign(e.folder(), kEvaluationFiles);
  experiment::Stage stage{"evaluation",
                          1,
                          {},
                          {{"data", w.data_sha256}, {"classifier", experiment::content_hash(psi)}}};
  json models = json::array();
  std::vector<ModelPictures> pictures;
  std::string phi_description;
  for (const auto& point : e.points()) {
    const auto folder = point.transform_folder();
    const auto h = experiment::finished_transform(point, w);
    if (!h) continue;
    const auto inverse = experiment::finished_itn(point, w, *h);
    const auto alpha = folder.filename().string();
    stage.inputs[alpha] = experiment::content_hash(*h);
    stage.inputs[alpha + "/attack-itn"] = inverse ? experiment::content_hash(*inverse) : "none";
    spdlog::info("evaluating {}", folder.string());
    auto model =
        evaluate_model(point, w, psi, *h, inverse ? &*inverse : nullptr, pictures.emplace_back());
    if (!models.empty()) model["label"] = "curve, " + model["label"].get<std::string>();
    write_file(folder / "metrics.json", model.dump(1) + "\n", Overwrite::Yes);
    models.push_back(model);
    phi_description = h->card.notes.count("phi") ? h->card.notes.at("phi") : "unknown";
  }
  if (models.empty()) {
    fail(ErrorCode::NotFound,
         "{} holds no finished transformation network; run `veilnet train transform` first",
         e.folder().string());
  }
  json evaluation = {{"title", "Veilnet: " + e.name},
                     {"dataset", dataset_json(w)},
                     {"phi", {{"source", phi_description}, {"layer", e.phi.layer}}},
                     {"headline", models[0]["label"]},
                     {"models", models},
                     {"provenance",
                      {{"commit", commit()},
                       {"config_sha256", e.config_sha256},
                       {"seed", e.transform.recipe.seed},
                       {"machine", device_json(e.compute)}}}};
  const auto paper_plain = paper_accuracy(e, "plain");
  if (!paper_plain.is_null())
    evaluation["paper"] = {{"source", paper_figure("plain", e.data.source).at("source")},
                           {"plain_accuracy", paper_plain}};
  experiment::StageFolder place(e.folder(), stage, kEvaluationFiles,
                                experiment::machine_of(e.compute), experiment::Mode::Force);
  write_file(e.folder() / "config.toml", e.resolved_toml, Overwrite::Yes);
  evaluation["commands"] = {"build/release/veilnet reproduce --config " +
                            (e.folder() / "config.toml").string()};
  const auto& main = pictures.front();
  std::vector<image::Image> rows;
  for (const auto* row : {&main.plain, &main.protected_pictures, &main.reconstructed}) {
    rows.insert(rows.end(), row->begin(),
                row->begin() + static_cast<long>(std::min<size_t>(row->size(), 10)));
  }
  image::write_png(
      e.folder() / "grid.png",
      image::tile(rows, static_cast<int>(std::min<size_t>(main.plain.size(), 10)), 2, 2),
      Overwrite::Yes);
  write_pictures(e.folder() / "pictures", pictures, Overwrite::Yes);
  const auto text = evaluation.dump(1) + "\n";
  write_file(e.folder() / "evaluation.json", text, Overwrite::Yes);
  place.finish(experiment::sha256_of(text));
  return evaluation;
}

fs::path write_report(const fs::path& experiment_folder) {
  const auto source = experiment_folder / "evaluation.json";
  const auto evaluation = read_json(source);
  if (!evaluation.is_object() || !evaluation.contains("models") ||
      !evaluation["models"].is_array()) {
    throw Error(ErrorCode::BadData,
                source.string() + ": has no \"models\"; expected the output of `veilnet evaluate`");
  }
  const auto pictures = read_pictures(experiment_folder / "pictures", evaluation["models"].size());
  const auto path = experiment_folder / "report.html";
  write_file(path, render_report(evaluation, pictures), Overwrite::Yes);
  return path;
}

json reproduce(const experiment::Experiment& e, experiment::Mode mode) {
  experiment::refuse_foreign(e.folder(), kEvaluationFiles);
  const auto w = experiment::open_workspace(e);
  spdlog::info("data: {} with {} training, {} validation, {} test pictures of {}x{} in {} classes",
               w.data.train.name, w.split.train.size(), w.split.validation.size(),
               w.data.test.size(), w.data.train.pictures.height(), w.data.train.pictures.width(),
               w.data.train.class_names.size());
  const auto psi = experiment::train_classifier(e, w, mode);
  for (const auto& point : e.points()) {
    const auto h = experiment::train_transform(point, w, psi, mode);
    experiment::train_itn(point, w, h, mode);
  }
  auto evaluation = evaluate_experiment(e, w);
  spdlog::info("report: {}", write_report(e.folder()).string());
  return evaluation;
}

json result_record(const experiment::Experiment& e, const json& evaluation) {
  const auto& main = evaluation.at("models").at(0);
  const auto& accuracy = main.at("accuracy");
  const double plain = accuracy.at("plain"), protected_float = accuracy.at("protected_float");
  json metrics = {{"plain_accuracy", plain},
                  {"protected_accuracy", protected_float},
                  {"protected_accuracy_png8", accuracy.at("protected_png8")},
                  {"accuracy_gap_points", 100 * (plain - protected_float)},
                  {"ssim_plain_protected_mean", measured(main.at("similarity").at("ssim"))},
                  {"ssim_plain_protected_p99", main.at("similarity").at("ssim").at("p99")},
                  {"psnr_plain_protected_db_mean", measured(main.at("similarity").at("psnr_db"))}};
  const auto attack_metrics = [](const json& attack) {
    return json{{"itn_images", attack.at("psnr_db").at("n")},
                {"itn_psnr_db_mean", measured(attack.at("psnr_db"))},
                {"itn_psnr_db_median", attack.at("psnr_db").at("median")},
                {"itn_psnr_db_p99", attack.at("psnr_db").at("p99")},
                {"itn_ssim_mean", measured(attack.at("ssim"))},
                {"itn_ssim_median", attack.at("ssim").at("median")},
                {"itn_ssim_p99", attack.at("ssim").at("p99")},
                {"itn_reconstruction_accuracy", attack.at("reconstruction_accuracy")},
                {"mean_image_psnr_db", attack.at("baseline_mean_image_psnr_db")}};
  };
  if (main.contains("attack")) metrics.update(attack_metrics(main["attack"]));
  json curve = json::array();
  for (size_t i = 1; i < evaluation["models"].size(); ++i) {
    const auto& model = evaluation["models"][i];
    json point = {{"alpha", model.at("alpha")},
                  {"recipe", model.at("recipe")},
                  {"protected_accuracy", model.at("accuracy").at("protected_float")},
                  {"protected_accuracy_png8", model.at("accuracy").at("protected_png8")},
                  {"paper_accuracy", model.at("paper_accuracy")},
                  {"ssim_plain_protected_mean", measured(model.at("similarity").at("ssim"))}};
    if (model.contains("attack")) point.update(attack_metrics(model["attack"]));
    curve.push_back(point);
  }
  json record = record_of(e, e.name);
  record.update({{"data", evaluation.at("dataset")},
                 {"phi", evaluation.at("phi")},
                 {"recipe", main.at("recipe")},
                 {"paper",
                  {{"source", "arXiv 2008.03143, Table I"},
                   {"plain_accuracy", paper_accuracy(e, "plain")},
                   {"protected_accuracy", main.at("paper_accuracy")}}},
                 {"metrics", metrics}});
  if (!curve.empty()) record["curve"] = curve;
  return record;
}

}  // namespace veilnet::eval
