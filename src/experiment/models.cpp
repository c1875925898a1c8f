#include "experiment/models.h"

#include <algorithm>
#include <spdlog/spdlog.h>
#include <sstream>
#include <torch/utils.h>

#include <nlohmann/json.hpp>

#include "attack/inverse.h"
#include "core/error.h"
#include "core/version.h"
#include "data/sources.h"
#include "experiment/protections.h"
#include "measure/hiding.h"
#include "measure/learning.h"
#include "model/zoo.h"
#include "nn/infer.h"
#include "train/tasks/classifier.h"

namespace veilnet::experiment {
namespace {

namespace fs = std::filesystem;
using train::Recipe;

// Raised when the same settings and inputs give other results.
constexpr int kClassifierVersion = 1, kPhiVersion = 1, kEncoderVersion = 2, kTransformVersion = 1,
              kSchemeVersion = 1, kGanVersion = 1, kItnVersion = 1;

// The model of a finished stage, if it is still the one that was recorded.
nn::Model load_result(const fs::path& folder, const std::string& recorded, model::Role role,
                      const torch::Device& device) {
  const auto path = folder / "model.safetensors";
  auto model = nn::load_model(path, role, device);
  if (nn::content_hash(model) != recorded)
    fail(ErrorCode::BadData, "{}: is not the model that {} records; train it again with --force",
         path.string(), (folder / "run.json").string());
  return model;
}

std::optional<nn::Model> finished_model(const Experiment& e, const fs::path& folder,
                                        const Stage& stage, model::Role role) {
  const auto record = finished_stage(folder, stage);
  if (!record) return std::nullopt;
  return load_result(folder, record->result, role, e.compute.device);
}

// What every training of the experiment depends on.
Stage training_stage(const Experiment& e, const Workspace& w, const std::string& name,
                     int version) {
  Stage stage{name, version, {}, {{"data", w.data_sha256}}};
  stage.settings = {{"compute.precision", e.compute.bf16 ? "bfloat16" : "float32"},
                    {"data.validation_fraction", fmt::format("{}", e.data.validation_fraction)},
                    {"data.split_seed", std::to_string(e.data.split_seed)}};
  return stage;
}

void add(Stage& stage, const Settings& settings) {
  stage.settings.insert(settings.begin(), settings.end());
}

std::string text(const std::array<double, 3>& rgb) {
  return fmt::format("[{}, {}, {}]", rgb[0], rgb[1], rgb[2]);
}

// The model that another starts from; nothing where none is named.
std::optional<nn::Model> start_of(const std::string& from) {
  if (from.empty()) return std::nullopt;
  return nn::load_model(model::file_of(from));
}

void add_start(Stage& stage, const std::string& from) {
  if (const auto model = start_of(from)) stage.inputs["from"] = nn::content_hash(*model);
}

void add_teachers(Stage& stage, const std::vector<std::string>& names) {
  int teacher = 0;
  for (const auto& name : names)
    stage.inputs[fmt::format("teacher {}", ++teacher)] = nn::content_hash(*start_of(name));
}

// A recipe whose epochs are those of another key.
Settings recipe_settings(const Recipe& recipe, const std::string& table,
                         const std::string& epochs_key) {
  auto settings = train::settings_of(recipe, table);
  settings.erase(table + "epochs");
  settings[epochs_key] = std::to_string(recipe.epochs);
  return settings;
}

Stage classifier_stage(const Experiment& e, const Workspace& w) {
  auto stage = training_stage(e, w, "classifier", kClassifierVersion);
  add(stage, train::settings_of(e.classifier.recipe, "classifier."));
  add(stage, {{"classifier.architecture", e.classifier.architecture},
              {"classifier.depth", std::to_string(e.classifier.depth)},
              {"classifier.mean_rgb", text(e.classifier.mean_rgb)},
              {"classifier.std_rgb", text(e.classifier.std_rgb)}});
  add_start(stage, e.classifier.from);
  if (!e.classifier.teachers.empty()) {
    add(stage, {{"classifier.distillation", fmt::format("{}", e.classifier.distillation)},
                {"classifier.temperature", fmt::format("{}", e.classifier.temperature)}});
    add_teachers(stage, e.classifier.teachers);
  }
  return stage;
}

Recipe phi_recipe(const Experiment& e) {
  Recipe recipe = e.classifier.recipe;
  recipe.epochs = e.phi.epochs;
  recipe.lr = std::min(recipe.lr, train::kVggRate);
  return recipe;
}

Stage phi_stage(const Experiment& e, const Workspace& w) {
  auto stage = training_stage(e, w, "phi-vgg", kPhiVersion);
  add(stage, recipe_settings(phi_recipe(e), "classifier.", "phi.epochs"));
  add(stage, {{"classifier.mean_rgb", text(e.classifier.mean_rgb)},
              {"classifier.std_rgb", text(e.classifier.std_rgb)}});
  return stage;
}

Recipe encoder_recipe(const Experiment& e) {
  Recipe recipe = e.classifier.recipe;
  recipe.epochs = e.transform.options.encoder_epochs;
  recipe.cutout = e.transform.encoder_cutout;
  recipe.label_smoothing = e.transform.encoder_label_smoothing;
  recipe.lr = e.transform.encoder_lr > 0 ? e.transform.encoder_lr
                                         : std::min(recipe.lr, 0.15);  // no shortcuts
  return recipe;
}

// psi: the hash of the classifier that may teach the encoder.
Stage encoder_stage(const Experiment& e, const Workspace& w, const std::string& psi) {
  auto stage = training_stage(e, w, "encoder", kEncoderVersion);
  add(stage, recipe_settings(encoder_recipe(e), "classifier.", "transform.encoder_epochs"));
  add(stage, {{"transform.width", std::to_string(e.transform.width)}});
  add_start(stage, e.transform.encoder_from);
  if (e.transform.encoder_distillation > 0) {
    add(stage,
        {{"transform.encoder_distillation", fmt::format("{}", e.transform.encoder_distillation)},
         {"transform.encoder_temperature", fmt::format("{}", e.transform.encoder_temperature)}});
    add_teachers(stage, e.transform.encoder_teachers);
    if (e.transform.encoder_teachers.empty()) stage.inputs["classifier"] = psi;
  }
  return stage;
}

// encoder: the hash of what h starts from, or empty.
Stage transform_stage(const Experiment& e, const Workspace& w, const std::string& psi,
                      const std::string& phi, const std::string& encoder,
                      const std::vector<nn::Model>& services) {
  auto stage = training_stage(e, w, "transform", kTransformVersion);
  add(stage, train::settings_of(e.transform.recipe, "transform."));
  add(stage, settings_of(e.transform.options, "transform."));
  add(stage, {{"transform.width", std::to_string(e.transform.width)}});
  if (e.transform.bits > 0) {
    add(stage, {{"transform.bits", std::to_string(e.transform.bits)}});
    if (e.transform.quantiser != "sign") {
      add(stage, {{"transform.quantiser", e.transform.quantiser}});
      if (!encoder.empty()) add(stage, {{"transform.code_start", "classes"}});
    }
  }
  auto added = added_settings_of(e.transform.options, "transform.");
  if (e.transform.bits == 0) added.erase("transform.code_rate");  // it hastens a code alone
  if (added.contains("transform.start_noise") && e.transform.recipe.seed != Recipe{}.seed)
    added["transform.noise"] = "seeded";  // of the usual seed it always was
  if (added.contains("transform.correlation_weight")) added["transform.correlation"] = "float64";
  if (added.contains("transform.drive"))
    added["transform.driver"] = std::to_string(train::TransformTask::kDriverVersion);
  add(stage, added);
  stage.inputs["classifier"] = psi;
  stage.inputs["phi"] = phi;
  if (!encoder.empty()) stage.inputs["encoder"] = encoder;
  int service = 0;
  for (const auto& other : services)
    stage.inputs[fmt::format("service {}", ++service)] = nn::content_hash(other);
  return stage;
}

// Of a classifier of encrypted pictures.
Recipe scheme_recipe(const Experiment& e) {
  auto recipe = e.classifier.recipe;
  if (e.scheme.augmentation == "none") {
    recipe.flip = false;
    recipe.crop_padding = recipe.cutout = 0;
  }
  return recipe;
}

Stage scheme_stage(const Experiment& e, const Workspace& w) {
  auto stage = training_stage(e, w, "scheme", kSchemeVersion);
  add(stage, train::settings_of(scheme_recipe(e), "classifier."));
  add(stage, train::settings_of(static_cast<const train::KeyedScheme&>(e.scheme)));
  add(stage, {{"classifier.architecture", e.classifier.architecture},
              {"classifier.depth", std::to_string(e.classifier.depth)},
              {"scheme.adaptation", e.scheme.adaptation}});
  return stage;
}

Stage gan_stage(const Experiment& e, const Workspace& w, const std::string& psi,
                const std::string& phi) {
  auto stage = training_stage(e, w, "gan", kGanVersion);
  add(stage, recipe_settings(gan_recipe(e), "transform.", "gan.epochs"));
  add(stage, settings_of(e.gan.options, "gan."));
  add(stage, {{"transform.width", std::to_string(e.transform.width)}});
  stage.inputs["classifier"] = psi;
  stage.inputs["phi"] = phi;
  return stage;
}

// The hash that a finished stage recorded; Error{NotFound} where it has not ended.
std::string recorded(const fs::path& folder, const Stage& stage) {
  const auto record = finished_stage(folder, stage);
  if (!record)
    fail(ErrorCode::NotFound,
         "{} holds no finished training; run `veilnet train transform` or `veilnet reproduce`",
         folder.string());
  return record->result;
}

model::Card base_card(const Experiment& e, const Workspace& w) {
  model::Card card;
  card.class_names = w.data.train.class_names;
  card.height = w.data.train.pictures.height();
  card.width = w.data.train.pictures.width();
  card.mean_rgb = e.classifier.mean_rgb;
  card.std_rgb = e.classifier.std_rgb;
  card.notes = {{"data_sha256", w.data_sha256}, {"data", w.data.train.name}, {"commit", commit()}};
  return card;
}

void require_sides(const data::TrainTest& data, const std::string& architecture) {
  const int minimum = architecture == "vgg16_bn" ? 32 : architecture == "unet_encoder" ? 16 : 8;
  if (data.train.pictures.height() >= minimum && data.train.pictures.width() >= minimum) return;
  fail(ErrorCode::InvalidArgument, "{} needs pictures of at least {}x{}; the data has {}x{}",
       architecture, minimum, minimum, data.train.pictures.width(), data.train.pictures.height());
}

// Judges a classifier: in the log and in its card, where it stays.
void say_whether_it_learned(nn::Model& psi, const Workspace& w, const train::Run& run,
                            bool writes) {
  constexpr size_t kFewest = 10;
  if (w.split.validation.size() < kFewest || !writes) return;
  const auto verdict = measure::look_at(psi, w.data.train, w.split);
  spdlog::log(verdict.learned() ? spdlog::level::info : spdlog::level::warn, "{}: {}", run.title,
              verdict.text());
  psi.card.notes[model::kVerdictNote] = verdict.text();
  nn::save_model(psi, run.folder / "model.safetensors", Overwrite::Yes);
}

// Nothing is built on a classifier that learned nothing, unless that is asked for.
void check_learned(const Experiment& e, const nn::Model& model, const fs::path& folder,
                   const std::string& what) {
  const auto verdict = model.card.notes.find(model::kVerdictNote);
  if (verdict == model.card.notes.end() || !verdict->second.starts_with(measure::kDidNotLearn))
    return;
  if (!e.anyway)
    fail(ErrorCode::InvalidArgument,
         "{}: {} {}. Nothing is built on it, unless with --anyway (anyway = true)",
         (folder / "model.safetensors").string(), what, verdict->second);
  spdlog::warn("{} {}; going on all the same, as --anyway says", what, verdict->second);
}

// Takes what fits of the weights of another model. @return how many tensors.
size_t take_start(nn::Model& fresh, const nn::Model& start, const std::string& from) {
  const auto taken = nn::start_from(*fresh.net, *start.net);
  if (taken == 0)
    fail(ErrorCode::InvalidArgument, "{}: no tensor of this {} has name and shape of a {}", from,
         model::describe(start.card), model::describe(fresh.card));
  return taken;
}

// Trains the classifier that `network` describes, on plain pictures or on those of `encrypted`.
nn::Model train_classifier_in(const fs::path& folder, const Stage& stage, const Experiment& e,
                              const Workspace& w, const model::Card& network, const Recipe& recipe,
                              const std::string& title, Mode mode, const std::string& from = "",
                              const std::function<train::EncryptedTraining()>& encrypted = {},
                              const train::Teachers& teachers = {}) {
  require_sides(w.data, network.architecture);
  auto model = train_stage(
      e, folder, stage, model::Role::Classifier, title, mode, [&](const train::Run& run) {
        auto card = base_card(e, w);
        card.role = model::Role::Classifier;
        card.architecture = network.architecture;
        card.depth = network.depth;
        card.base_width = network.base_width;
        card.adaptation = network.adaptation;
        card.block_size = network.block_size;
        card.notes.insert(network.notes.begin(), network.notes.end());
        train::EncryptedTraining training;
        if (encrypted) {
          training = encrypted();
          // Encrypted values are spread over the whole range.
          card.mean_rgb.fill(0.5);
          card.std_rgb.fill(0.25);
        }
        if (network.architecture == "unet_encoder") {
          // It learns pictures as h gets them: to one that learned normalised pictures, the zeros
          // with which convolutions fill up the edge are grey, and in h they are black.
          card.mean_rgb.fill(0);
          card.std_rgb.fill(1);
        }
        torch::manual_seed(recipe.seed);
        auto fresh = nn::make_model(card);
        if (const auto start = start_of(from)) {
          const auto taken = take_start(fresh, *start, from);
          spdlog::info("{}: starts with {} of {} tensors from {}", title, taken,
                       nn::state_tensors(*fresh.net).size(), from);
          fresh.card.notes["from"] = nn::content_hash(*start);
        }
        for (const auto& teacher : teachers.models) {
          auto& note = fresh.card.notes["teacher"];
          note += (note.empty() ? "" : ", ") + nn::content_hash(teacher);
        }
        train::ClassifierTask task(std::move(fresh), recipe.label_smoothing, teachers);
        const auto& pictures = encrypted ? training.pictures : w.data.train;
        run_training(task, {pictures, w.split, training.encrypt}, recipe, e.compute, run);
        if (!encrypted && !run.rehearsal)
          say_whether_it_learned(task.model(), w, run, e.compute.writes());
        return task.model();
      });
  check_fits(model, w.data, folder / "model.safetensors");
  return model;
}

// Scales the last convolution so that the mean squared feature distance between different training
// pictures is what the ImageNet-trained VGG gives at relu2_2 on CIFAR-10, for which the papers
// chose alpha. Batch normalisation leaves a self-trained VGG's features much smaller.
void scale_features(nn::FeatureExtractor& phi, const model::Card& card, const Workspace& w,
                    const train::Compute& compute) {
  constexpr double kImageNetDistance = 19.0;
  torch::NoGradGuard no_grad;
  const auto count = std::min<size_t>(256, w.split.train.size());
  const std::vector<uint32_t> first(w.split.train.begin(),
                                    w.split.train.begin() + static_cast<ptrdiff_t>(count));
  nn::for_each_batch(
      w.data.train, first, static_cast<int64_t>(count), compute.device,
      [&](const torch::Tensor& pictures, const torch::Tensor&, size_t) {
        const auto features = phi.forward(nn::normalise(pictures, card));
        const double distance = torch::mse_loss(features, features.roll(1, 0)).item<double>();
        const auto modules = phi.features->children();
        auto* last = modules[modules.size() - 2]->as<torch::nn::Conv2d>();
        const double scale = std::sqrt(kImageNetDistance / std::max(distance, 1e-12));
        last->weight.mul_(scale);
        last->bias.mul_(scale);
      });
}

Phi phi_from_file(const Experiment& e) {
  Phi phi;
  phi.net = nn::load_feature_extractor(e.phi.file, e.phi.layer);
  phi.description = e.phi.layer + " of " + e.phi.file.filename().string();
  phi.sha256 = nn::content_hash({}, *phi.net) + " " + e.phi.layer;
  nn::move_to(*phi.net, e.compute.device);
  return phi;
}

Phi phi_from_vgg(const Experiment& e, const Workspace& w, const nn::Model& vgg) {
  Phi phi;
  phi.net = nn::FeatureExtractor::cut_from(dynamic_cast<const nn::Vgg16Bn&>(*vgg.net), e.phi.layer);
  phi.net->card.mean_rgb = vgg.card.mean_rgb;
  phi.net->card.std_rgb = vgg.card.std_rgb;
  // That of the VGG: the scale is a sum whose last bits the number of threads may change.
  phi.sha256 = nn::content_hash(vgg) + " " + e.phi.layer;
  nn::move_to(*phi.net, e.compute.device);
  scale_features(*phi.net, vgg.card, w, e.compute);
  nn::move_to(*phi.net, e.compute.device);
  phi.description = e.phi.layer + " cut from a VGG16-BN trained on " + w.data.train.name +
                    " itself (no ImageNet weights were given)";
  return phi;
}

// Of phi, without loading it where it can be had otherwise.
std::string phi_hash(const Experiment& e, const Workspace& w) {
  if (!e.phi.file.empty()) return phi_from_file(e).sha256;
  return recorded(e.phi_folder(), phi_stage(e, w)) + " " + e.phi.layer;
}

// A training that was interrupted in what it needs left no run of its own: resuming goes on there.
// Decided before anything is trained.
Mode resumed(Mode mode, const fs::path& folder, const std::vector<fs::path>& needed) {
  if (mode != Mode::Resume || read_stage(folder)) return mode;
  for (const auto& other : needed)
    if (const auto record = read_stage(other); record && !record->finished) return Mode::Keep;
  fail(ErrorCode::NotFound,
       "{} holds no checkpoint to resume from; --continue also begins what is missing",
       folder.string());
}

// Where phi is trained, if it is.
std::vector<fs::path> phi_folders(const Experiment& e) {
  return e.phi.file.empty() ? std::vector{e.phi_folder()} : std::vector<fs::path>();
}

// Says which key of the configuration an error comes of.
template <class Work>
void naming(const std::string& key, Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    throw Error(error.code(), key + ": " + error.what());
  }
}

// The mode of what a training needs and no command names.
Mode of_needed(Mode mode) {
  return mode == Mode::Complete || mode == Mode::Force ? Mode::Complete : Mode::Keep;
}

// A freshly initialised transformation network on the compute device.
nn::Model make_transform(const Experiment& e, const Workspace& w, const Phi& phi,
                         const std::map<std::string, std::string>& notes) {
  auto card = base_card(e, w);
  card.role = model::Role::Transform;
  card.architecture = e.transform.kind;
  card.bits = e.transform.bits;
  if (e.transform.bits > 0 && e.transform.quantiser != "sign")
    card.quantiser = e.transform.quantiser;
  card.base_width = e.transform.width;
  card.notes["phi"] = phi.description;
  card.notes["recipe"] = e.transform.recipe.name;
  card.notes.insert(notes.begin(), notes.end());
  torch::manual_seed(e.transform.recipe.seed);
  auto h = nn::make_model(card);
  nn::move_to(*h.net, e.compute.device);
  return h;
}

// The fewest validation pictures by which h is judged.
constexpr size_t kFewestToJudge = 20;

std::vector<int32_t> labels_of(const data::Dataset& set, std::span<const uint32_t> positions) {
  std::vector<int32_t> labels;
  for (const auto i : positions) labels.push_back(set.labels[i]);
  return labels;
}

// Looks at how h hides some validation pictures, spread over all of them.
train::TransformTask::Judge judge_of(nn::FeatureExtractor& phi, const model::Card& card,
                                     const Workspace& w, train::Group* group) {
  constexpr size_t kMost = 40;
  const auto& all = w.split.validation;
  std::vector<uint32_t> some(std::min(all.size(), kMost));
  for (size_t i = 0; i < some.size(); ++i) some[i] = all[i * all.size() / some.size()];
  return [&phi, card, group, pictures = w.data.train.pictures.subset(some),
          labels = labels_of(w.data.train, some)](const nn::Model& h) {
    auto margin =
        torch::tensor({measure::look_at(h, phi, card, pictures, labels).margin()}, torch::kDouble);
    // Of several processes one judges, or two machines that round differently would drift apart.
    if (group) group->take_from_first(margin);
    return margin.item<double>();
  };
}

// Judges h by validation pictures, and a coded one by its bound on the test pictures: in the log
// and in its card, where it stays.
void say_whether_it_hides(const Experiment& e, nn::Model& h, nn::FeatureExtractor& phi,
                          const model::Card& card, const Workspace& w, const train::Run& run) {
  constexpr size_t kMost = 1000;
  const auto& all = w.split.validation;
  if (all.size() < kFewestToJudge) return;
  const auto some = std::span(all).first(std::min(all.size(), kMost));
  const auto verdict = measure::look_at(h, phi, card, w.data.train.pictures.subset(some),
                                        labels_of(w.data.train, some));
  if (verdict.hides())
    spdlog::info("{}: {}", run.title, verdict.text());
  else
    spdlog::warn("{}: {}", run.title, verdict.text());
  h.card.notes[model::kVerdictNote] = verdict.text();
  if (h.card.bits > 0 && w.data.test.size() > 1) {
    auto point = e;
    point.transform.epsilon = 0;  // the model's own; chance is up to who protects with it
    auto text = record::to_text(*bound_of(*protection_of(point, h), w));
    if (e.transform.epsilon > 0)
      text += ". With chance: " + record::to_text(*bound_of(*protection_of(e, h), w));
    spdlog::info("{}: {}", run.title, text);
    h.card.notes[model::kBoundNote] = std::move(text);
  }
  nn::save_model(h, run.folder / "model.safetensors", Overwrite::Yes);
}

}  // namespace

Recipe gan_recipe(const Experiment& e) {
  auto recipe = e.transform.recipe;
  if (e.gan.epochs > 0) recipe.epochs = e.gan.epochs;
  return recipe;
}

Stage itn_stage(const Experiment& e, const Workspace& w, const std::string& h) {
  auto stage = training_stage(e, w, "attack-itn", kItnVersion);
  add(stage, train::settings_of(e.attack.recipe, "attack."));
  add(stage, {{"attack.width", std::to_string(e.attack.width)}});
  if (e.transform.epsilon > 0)
    stage.settings["transform.epsilon"] = fmt::format("{}", e.transform.epsilon);
  stage.inputs["transform"] = h;
  return stage;
}

Settings machine_of(const train::Compute& compute) {
  Settings out;
  std::istringstream lines(describe(compute));
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(": ");
    out[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return out;
}

data::TrainTest load_data(const Experiment& e) {
  const auto& d = e.data;
  return data::source(d.source).load({.path = d.path,
                                      .height = d.height,
                                      .width = d.width,
                                      .class_names = d.class_names,
                                      .seed = d.seed,
                                      .train_size = static_cast<size_t>(d.train_size),
                                      .test_size = static_cast<size_t>(d.test_size)});
}

namespace {

// Raises what is too short for so few pictures, and says so: train::fit_to.
void fit(Experiment& e, int64_t pictures) {
  const auto say = [&](const char* what, const std::string& fitted) {
    if (!fitted.empty()) spdlog::info("{} fitted to {} pictures: {}", what, pictures, fitted);
  };
  const auto fit_recipe = [&](const char* table, Recipe& recipe) {
    const auto before = recipe;
    train::fit_to(recipe, pictures);
    say(table, train::fitted(before, recipe));
  };
  const auto fit_epochs = [&](const char* key, int64_t& epochs, int64_t least_steps) {
    const auto before = epochs;
    epochs = epochs_for(epochs, least_steps, e.classifier.recipe, pictures);
    if (epochs != before) say(key, std::to_string(epochs));
  };
  fit_recipe("[classifier]", e.classifier.recipe);
  fit_recipe("[transform]", e.transform.recipe);
  fit_recipe("[attack]", e.attack.recipe);
  fit_epochs("phi.epochs", e.phi.epochs, e.phi.least_steps);
  auto& o = e.transform.options;
  if (o.encoder_epochs > 0)
    fit_epochs("transform.encoder_epochs", o.encoder_epochs, e.transform.encoder_least_steps);
}

}  // namespace

Workspace open_workspace(Experiment& e) {
  Workspace w;
  w.data = load_data(e);
  for (const auto& note : w.data.notes) spdlog::info("data: {}", note);
  w.data_sha256 = w.data.hash();
  w.split = w.data.split ? *w.data.split
                         : data::stratified_split(w.data.train.labels, e.data.validation_fraction,
                                                  e.data.split_seed);
  fit(e, static_cast<int64_t>(w.split.train.size()));
  return w;
}

const std::vector<std::string>& training_files() {
  static const std::vector<std::string> files{"config.toml",
                                              "log.jsonl",
                                              "model.safetensors",
                                              "checkpoint/state.pt",
                                              "metrics.json",
                                              "member-*/log.jsonl",
                                              "member-*/model.safetensors",
                                              "member-*/checkpoint/state.pt"};
  return files;
}

nn::Model train_stage(const Experiment& e, const fs::path& folder, Stage stage, model::Role role,
                      const std::string& title, Mode mode,
                      const std::function<nn::Model(const train::Run&)>& work) {
  if (e.rehearsal) {
    if (const auto record = read_stage(folder); record && is_result_of(*record, stage)) {
      e.rehearsal->add_finished(title, stage.key());
      return load_result(folder, record->result, role, e.compute.device);
    }
    return work({.folder = folder, .title = title, .key = stage.key(), .rehearsal = e.rehearsal});
  }
  const auto key = stage.key();
  std::optional<StageFolder> place;  // of several processes the first's
  const auto open = [&] {
    place.emplace(folder, std::move(stage), training_files(), machine_of(e.compute), mode);
    if (!place->finished()) write_file(folder / "config.toml", e.resolved_toml, Overwrite::Yes);
    return nlohmann::json{{"key", key},
                          {"result", place->finished() ? place->result() : ""},
                          {"resumes", place->resumes()}}
        .dump();
  };
  const auto& group = e.compute.group;
  const auto found = nlohmann::json::parse(group ? group->from_first(open) : open());
  if (found["key"] != key)
    fail(ErrorCode::InvalidArgument,
         "{}: process {} has other settings or other data than process 0; all need the same "
         "configuration, data and compute.precision",
         title, group->rank());
  if (found["result"] != "") return load_result(folder, found["result"], role, e.compute.device);
  auto model = work({folder, title, key, found["resumes"], e.checkpoint_minutes});
  if (place) place->finish(nn::content_hash(model));
  return model;
}

void check_fits(const nn::Model& psi, const data::TrainTest& data, const fs::path& psi_path) {
  const auto& card = psi.card;
  if (card.class_names != data.train.class_names)
    fail(ErrorCode::InvalidArgument,
         "{} knows {} classes ({}, ...); the data set {} has {} ({}, ...); they must be the same",
         psi_path.string(), card.class_names.size(), card.class_names.front(), data.train.name,
         data.train.class_names.size(), data.train.class_names.front());
  if (card.height != data.train.pictures.height() || card.width != data.train.pictures.width())
    fail(ErrorCode::InvalidArgument, "{} was trained on {}x{} pictures; the data set {} has {}x{}",
         psi_path.string(), card.width, card.height, data.train.name, data.train.pictures.width(),
         data.train.pictures.height());
}

namespace {

// The classifiers that teach, whose names `key` holds.
std::vector<nn::Model> teachers_of(const char* key, const std::vector<std::string>& names,
                                   const Experiment& e, const Workspace& w) {
  std::vector<nn::Model> models;
  naming(key, [&] {
    for (const auto& name : names) {
      const auto file = model::file_of(name);
      models.push_back(nn::load_model(file, model::Role::Classifier, e.compute.device));
      check_fits(models.back(), w.data, file);
    }
  });
  return models;
}

std::vector<nn::Model> encoder_teachers_of(const Experiment& e, const Workspace& w) {
  return teachers_of("transform.encoder_teachers", e.transform.encoder_teachers, e, w);
}

}  // namespace

nn::Model train_classifier(const Experiment& e, const Workspace& w, Mode mode) {
  model::Card network;
  network.architecture = e.classifier.architecture;
  network.depth = e.classifier.depth;
  const train::Teachers teachers{teachers_of("classifier.teachers", e.classifier.teachers, e, w),
                                 e.classifier.distillation, e.classifier.temperature};
  return train_classifier_in(e.classifier_folder(), classifier_stage(e, w), e, w, network,
                             e.classifier.recipe, "train psi", mode, e.classifier.from, {},
                             teachers);
}

std::optional<nn::Model> finished_classifier(const Experiment& e, const Workspace& w) {
  const auto folder = e.classifier_folder();
  auto model = finished_model(e, folder, classifier_stage(e, w), model::Role::Classifier);
  if (model) check_fits(*model, w.data, folder / "model.safetensors");
  return model;
}

Phi open_phi(const Experiment& e, const Workspace& w, Mode mode) {
  if (!e.phi.file.empty()) return phi_from_file(e);
  model::Card network;
  network.architecture = "vgg16_bn";
  const auto vgg = train_classifier_in(e.phi_folder(), phi_stage(e, w), e, w, network,
                                       phi_recipe(e), "train VGG for phi", mode);
  return phi_from_vgg(e, w, vgg);
}

std::optional<Phi> finished_phi(const Experiment& e, const Workspace& w) {
  if (!e.phi.file.empty()) return phi_from_file(e);
  const auto vgg = finished_model(e, e.phi_folder(), phi_stage(e, w), model::Role::Classifier);
  if (!vgg) return std::nullopt;
  return phi_from_vgg(e, w, *vgg);
}

namespace {

// What h and the GAN-based transformation need: phi, and paddings that fit.
void check_phi(const Experiment& e, const Workspace& w) {
  const auto& pictures = w.data.train.pictures;
  const int height = pictures.height(), width = pictures.width();
  if (e.phi.file.empty()) {
    naming("phi.file is not set", [&] { require_sides(w.data, "vgg16_bn"); });
  } else {
    naming(fmt::format("phi.file, phi.layer \"{}\"", e.phi.layer), [&] { phi_from_file(e); });
  }
  const int padding = e.transform.recipe.crop_padding, side = std::max(height, width);
  if (padding > side)
    fail(ErrorCode::InvalidArgument,
         "transform.crop_padding is {}; allowed with pictures of {}x{}: 0 to {}", padding, width,
         height, side);
}

}  // namespace

void check_transform(const Experiment& e, const Workspace& w) {
  check_phi(e, w);
  const auto& from = e.transform.encoder_from;
  if (e.transform.options.encoder_epochs > 0 && !from.empty())
    naming("transform.encoder_from", [&] {
      auto card = base_card(e, w);
      card.role = model::Role::Classifier;
      card.architecture = "unet_encoder";
      card.base_width = e.transform.width;
      auto fresh = nn::make_model(card);
      take_start(fresh, *start_of(from), from);
    });
  encoder_teachers_of(e, w);
  services_of(e, w);
}

nn::Model train_transform(const Experiment& e, const Workspace& w, const nn::Model& psi,
                          Mode mode) {
  check_fits(psi, w.data, e.classifier_folder() / "model.safetensors");
  check_learned(e, psi, e.classifier_folder(), "psi");
  check_transform(e, w);
  auto needed = phi_folders(e);
  if (e.transform.options.encoder_epochs > 0) needed.push_back(e.encoder_folder());
  mode = resumed(mode, e.transform_folder(), needed);
  auto services = services_of(e, w);
  const auto phi = open_phi(e, w, of_needed(mode));
  nn::Model encoder;
  std::string encoder_hash;
  if (e.transform.options.encoder_epochs > 0) {
    model::Card network;
    network.architecture = "unet_encoder";
    network.base_width = e.transform.width;
    train::Teachers teachers;
    if (e.transform.encoder_distillation > 0) {
      teachers = {encoder_teachers_of(e, w), e.transform.encoder_distillation,
                  e.transform.encoder_temperature};
      if (teachers.models.empty()) teachers.models = {psi};
    }
    encoder = train_classifier_in(e.encoder_folder(), encoder_stage(e, w, nn::content_hash(psi)), e,
                                  w, network, encoder_recipe(e), "train the encoder of h",
                                  of_needed(mode), e.transform.encoder_from, {}, teachers);
    const auto check = [&] {  // the first of several processes alone knows its verdict
      check_learned(e, encoder, e.encoder_folder(), "the encoder of h");
      return std::string();
    };
    e.compute.group ? e.compute.group->from_first(check) : check();
    encoder_hash = nn::content_hash(encoder);
  }
  const auto alpha = alpha_text(e.transform.options.alpha);
  return train_stage(
      e, e.transform_folder(),
      transform_stage(e, w, nn::content_hash(psi), phi.sha256, encoder_hash, services),
      model::Role::Transform, "train h, alpha " + alpha, mode, [&](const train::Run& run) {
        auto options = e.transform.options;
        const auto looked_at = w.split.validation.size();
        if (options.drive == "protection" && looked_at < kFewestToJudge) {
          spdlog::warn(
              "{} validation pictures are too few to see how h hides them ({}): alpha follows the "
              "steps, and h gets no verdict. data.validation_fraction sets aside more",
              looked_at, kFewestToJudge);
          options.drive = "steps";
        }
        train::TransformTask task(
            make_transform(e, w, phi,
                           {{"alpha", alpha}, {"classifier_sha256", nn::content_hash(psi)}}),
            psi, phi.net, options, dynamic_cast<const nn::UNetEncoder*>(encoder.net.get()),
            std::move(services));
        if (options.drive == "protection")
          task.judge_by(judge_of(*phi.net, psi.card, w, e.compute.group.get()));
        run_training(task, {w.data.train, w.split}, e.transform.recipe, e.compute, run);
        // That of the configuration is the least that it comes down to.
        if (const auto last = task.driven_alpha(); last && *last > options.alpha)
          task.model().card.notes["alpha_at_end"] = alpha_text(*last);
        if (!run.rehearsal && e.compute.writes())
          say_whether_it_hides(e, task.model(), *phi.net, psi.card, w, run);
        return task.model();
      });
}

std::optional<nn::Model> finished_transform(const Experiment& e, const Workspace& w) {
  const auto folder = e.transform_folder();
  if (!read_stage(folder)) return std::nullopt;  // and nobody asks for what it would be made from
  const auto psi = recorded(e.classifier_folder(), classifier_stage(e, w));
  const auto encoder = e.transform.options.encoder_epochs > 0
                           ? recorded(e.encoder_folder(), encoder_stage(e, w, psi))
                           : std::string();
  return finished_model(e, folder,
                        transform_stage(e, w, psi, phi_hash(e, w), encoder, services_of(e, w)),
                        model::Role::Transform);
}

std::optional<nn::Model> finished_encoder(const Experiment& e, const Workspace& w) {
  if (e.transform.options.encoder_epochs == 0) return std::nullopt;
  std::string psi;
  if (e.transform.encoder_distillation > 0) {
    const auto record = finished_stage(e.classifier_folder(), classifier_stage(e, w));
    if (!record) return std::nullopt;
    psi = record->result;
  }
  return finished_model(e, e.encoder_folder(), encoder_stage(e, w, psi), model::Role::Classifier);
}

nn::Model train_scheme(const Experiment& e, const Workspace& w, Mode mode) {
  if (e.scheme.options.id.empty() || e.scheme.options.id == "gan")
    fail(ErrorCode::InvalidArgument,
         "scheme.id is \"{}\"; a classifier learns from the keyed schemes and the baselines, for "
         "instance pe",
         e.scheme.options.id);
  model::Card network;
  network.architecture = e.classifier.architecture;
  network.depth = e.classifier.depth;
  if (e.scheme.adaptation != "none") {
    network.adaptation = e.scheme.adaptation;
    network.block_size = e.scheme.options.block_size;
  }
  network.notes = {{"scheme", e.scheme.label()}, {"recipe", e.classifier.recipe.name}};
  return train_classifier_in(e.scheme_folder(), scheme_stage(e, w), e, w, network, scheme_recipe(e),
                             "train on " + e.scheme.label(), mode, "", [&] {
                               return train::encrypted_training(e.scheme, w.data.train, w.split);
                             });
}

std::optional<nn::Model> finished_scheme(const Experiment& e, const Workspace& w) {
  return finished_model(e, e.scheme_folder(), scheme_stage(e, w), model::Role::Classifier);
}

nn::Model train_gan(const Experiment& e, const Workspace& w, const nn::Model& psi, Mode mode) {
  check_fits(psi, w.data, e.classifier_folder() / "model.safetensors");
  check_learned(e, psi, e.classifier_folder(), "psi");
  check_phi(e, w);
  mode = resumed(mode, e.scheme_folder(), phi_folders(e));
  const auto phi = open_phi(e, w, of_needed(mode));
  return train_stage(e, e.scheme_folder(), gan_stage(e, w, nn::content_hash(psi), phi.sha256),
                     model::Role::Transform, "train the GAN-based transformation", mode,
                     [&](const train::Run& run) {
                       auto generator = e;
                       generator.transform.kind = "unet";
                       generator.transform.bits = 0;
                       train::GanTask task(
                           make_transform(generator, w, phi, {{"scheme", e.scheme.label()}}), psi,
                           phi.net, e.gan.options);
                       run_training(task, {w.data.train, w.split}, gan_recipe(e), e.compute, run);
                       if (!run.rehearsal && e.compute.writes())
                         say_whether_it_hides(e, task.model(), *phi.net, psi.card, w, run);
                       return task.model();
                     });
}

std::optional<nn::Model> finished_gan(const Experiment& e, const Workspace& w) {
  const auto folder = e.scheme_folder();
  if (!read_stage(folder)) return std::nullopt;
  return finished_model(
      e, folder,
      gan_stage(e, w, recorded(e.classifier_folder(), classifier_stage(e, w)), phi_hash(e, w)),
      model::Role::Transform);
}

nn::Model train_itn(const Experiment& e, const Workspace& w, const nn::Model& h, Mode mode) {
  if (h.card.height != w.data.train.pictures.height() ||
      h.card.width != w.data.train.pictures.width())
    fail(ErrorCode::InvalidArgument,
         "the attacked model was trained on {}x{} pictures; the data set {} has {}x{}",
         h.card.width, h.card.height, w.data.train.name, w.data.train.pictures.width(),
         w.data.train.pictures.height());
  return train_stage(e, e.itn_folder(), itn_stage(e, w, nn::content_hash(h)), model::Role::Inverse,
                     "ITN-Attack, alpha " + alpha_text(e.transform.options.alpha), mode,
                     [&](const train::Run& run) {
                       model::Card card = h.card;
                       card.role = model::Role::Inverse;
                       card.architecture = "unet";
                       card.bits = 0;
                       card.quantiser.clear();
                       card.base_width = e.attack.width;
                       card.notes = {{"data_sha256", w.data_sha256},
                                     {"commit", commit()},
                                     {"attacks_alpha", h.card.notes.at("alpha")}};
                       const auto& train = w.data.train;
                       return attack::train_inverse(
                           {run, e.attack.recipe, e.compute}, card,
                           [&] {
                             // As the attacker runs it himself, chance included.
                             return data::Pairs(
                                 protection_of(e, h)->protect_without_key(
                                     train.pictures, protection::kFirstAttackerKey, train.labels),
                                 train.pictures);
                           },
                           w.split);
                     });
}

std::optional<nn::Model> finished_itn(const Experiment& e, const Workspace& w, const nn::Model& h) {
  return finished_model(e, e.itn_folder(), itn_stage(e, w, nn::content_hash(h)),
                        model::Role::Inverse);
}

std::vector<nn::Model> services_of(const Experiment& e, const Workspace& w) {
  const int height = w.data.train.pictures.height(), width = w.data.train.pictures.width();
  std::vector<nn::Model> services;
  for (const auto& name : e.transform.services) {
    services.push_back(
        nn::load_model(model::file_of(name), model::Role::Classifier, e.compute.device));
    const auto& card = services.back().card;
    if (card.height != height || card.width != width)
      fail(ErrorCode::InvalidArgument,
           "transform.services: {} was trained on {}x{} pictures; the data set {} has {}x{}", name,
           card.width, card.height, w.data.train.name, width, height);
  }
  return services;
}

nn::Model required(std::optional<nn::Model> model, const fs::path& folder,
                   const std::string& command) {
  if (!model)
    fail(ErrorCode::NotFound, "{} holds no finished training; run `veilnet {}` first",
         folder.string(), command);
  return std::move(*model);
}

}  // namespace veilnet::experiment
