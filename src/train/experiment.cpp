#include "train/experiment.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <sstream>
#include <torch/utils.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/version.h"
#include "data/sources.h"
#include "train/classifier.h"
#include "train/scheme.h"
#include "train/transform.h"

namespace veilnet::train {
namespace {

namespace fs = std::filesystem;

std::array<double, 3> three(const std::vector<double>& values, const char* key) {
  if (values.size() != 3) {
    throw Error(ErrorCode::InvalidArgument, std::string(key) + " has " +
                                                std::to_string(values.size()) +
                                                " values; expected 3 (R, G, B)");
  }
  return {values[0], values[1], values[2]};
}

model::Card base_card(const Experiment& e, const Workspace& w) {
  model::Card card;
  card.class_names = w.data.train.class_names;
  card.height = w.data.train.height;
  card.width = w.data.train.width;
  card.mean_rgb = e.classifier.mean_rgb;
  card.std_rgb = e.classifier.std_rgb;
  card.notes = {{"config_sha256", e.config_sha256},
                {"data_sha256", w.data_sha256},
                {"data", w.data.train.name},
                {"commit", commit()}};
  return card;
}

void require_sides(const data::TrainTest& data, int minimum, const std::string& what) {
  if (data.train.height >= minimum && data.train.width >= minimum) return;
  throw Error(ErrorCode::InvalidArgument,
              what + " needs pictures of at least " + std::to_string(minimum) + "x" +
                  std::to_string(minimum) + "; the data has " + std::to_string(data.train.height) +
                  "x" + std::to_string(data.train.width));
}

// Trains the classifier that `network` describes in `folder`, on plain pictures or on those of
// `encrypted`, and returns the finished model.
nn::Model train_classifier_in(const fs::path& folder, const Experiment& e, const Workspace& w,
                              const model::Card& network, const Recipe& recipe,
                              const std::string& title, RunMode mode,
                              const std::function<EncryptedTraining()>& encrypted = nullptr) {
  if (mode == RunMode::Complete && is_finished(folder)) {
    auto model = finished_model(e, folder, model::Role::Classifier);
    check_fits(model, w.data, folder / "model.safetensors");
    return model;
  }
  const auto& architecture = network.architecture;
  require_sides(w.data,
                architecture == "vgg16_bn"       ? 32
                : architecture == "unet_encoder" ? 16
                                                 : 8,
                architecture);
  auto options = start_run(e, folder, title, mode);
  auto card = base_card(e, w);
  card.role = model::Role::Classifier;
  card.architecture = architecture;
  card.depth = network.depth;
  card.base_width = network.base_width;
  card.adaptation = network.adaptation;
  card.block_size = network.block_size;
  card.notes.insert(network.notes.begin(), network.notes.end());
  EncryptedTraining training;
  if (encrypted) {
    training = encrypted();
    options.encrypt = training.encrypt;
    // Encrypted values are spread over the whole range.
    card.mean_rgb.fill(0.5);
    card.std_rgb.fill(0.25);
  }
  torch::manual_seed(recipe.seed);
  ClassifierTask task(nn::make_model(card), recipe.label_smoothing);
  run_training(task, encrypted ? training.pictures : w.data.train, w.split, recipe, e.compute,
               options);
  return task.model();
}

// Scales the last convolution so that the mean squared feature distance between different training
// pictures is what the ImageNet-trained VGG gives at relu2_2 on CIFAR-10, for which the papers
// chose alpha. Batch normalisation leaves a self-trained VGG's features much smaller.
void scale_features(nn::FeatureExtractor& phi, const model::Card& card, const Workspace& w,
                    const Compute& compute) {
  constexpr double kImageNetDistance = 19.0;
  torch::NoGradGuard no_grad;
  const auto count = std::min<size_t>(256, w.split.train.size());
  for_each_batch(w.data.train, std::span(w.split.train).first(count), static_cast<int64_t>(count),
                 compute.device, [&](const torch::Tensor& pictures, const torch::Tensor&, size_t) {
                   const auto features = phi.forward(nn::normalise(pictures, card));
                   const double distance =
                       torch::mse_loss(features, features.roll(1, 0)).item<double>();
                   const auto modules = phi.features->children();
                   auto* last = modules[modules.size() - 2]->as<torch::nn::Conv2d>();
                   const double scale = std::sqrt(kImageNetDistance / std::max(distance, 1e-12));
                   last->weight.mul_(scale);
                   last->bias.mul_(scale);
                 });
}

// What a training depends on: a resolved configuration without the keys that choose what else is
// done.
std::string what_trains(const std::string& resolved_toml) {
  static const std::set<std::string> kOthers{
      "attacks.schemes", "attacks.only", "attacks.transports", "attacks.attributes",
      "attacks.curve",   "table1.rows",  "curve.alphas"};
  std::istringstream lines(resolved_toml);
  std::string table, out;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('[')) table = line.substr(1, line.size() - 2) + ".";
    if (!kOthers.contains(table + line.substr(0, line.find(" = ")))) out += line + "\n";
  }
  return out;
}

}  // namespace

std::string alpha_text(double alpha) { return nlohmann::json(alpha).dump(); }

fs::path Experiment::transform_folder() const {
  return folder() /
         ((curve.epochs == -1 ? "curve-a" : "transform-a") + alpha_text(transform.options.alpha));
}

Experiment Experiment::at_curve_point(double alpha) const {
  Experiment point = *this;
  point.transform.options = transform_options_for(transform.options, transform.recipe.name, alpha);
  point.transform.recipe.epochs = curve.epochs;
  point.attack.recipe.epochs = curve.attack_epochs;
  point.curve.epochs = -1;
  return point;
}

Experiment Experiment::at_scheme(const std::string& label) const {
  auto schemes = cipher::scheme_ids();
  schemes.push_back("gan");
  std::string known;
  for (const auto& id : schemes) {
    for (const bool independent : {false, true}) {
      Experiment point = *this;
      point.scheme.options.id = id;
      point.scheme.independent_keys = independent;
      if (independent && id != "pe") continue;
      if (point.scheme.label() == label) {
        if (id != scheme.options.id) point.scheme.adaptation = default_adaptation(id);
        return point;
      }
      known += (known.empty() ? "" : ", ") + point.scheme.label();
    }
  }
  throw Error(ErrorCode::InvalidArgument, "\"" + label + "\" names no scheme; allowed: " + known);
}

std::string Experiment::Scheme::label() const {
  const auto& id = options.id;
  std::string label = id;
  if (id == "pe") label += independent_keys ? "-independent" : "-same";  // published with both
  if (id == "gan" || id.empty()) return label;
  const cipher::SchemeOptions defaults;
  const auto& traits = cipher::scheme_traits(id);
  if (id == "pe" && options.shuffle_components) label += "-shuffled";
  if (id == "etc" && options.as_published) label += "-as-published";
  if (traits.blocks && options.block_size != defaults.block_size)
    label += "-block" + std::to_string(options.block_size);
  if (traits.default_strength > 0 && options.strength != 0 &&
      options.strength != traits.default_strength)
    label += "-strength" + alpha_text(options.strength);
  if (key_seed != Scheme{}.key_seed) label += "-seed" + std::to_string(key_seed);
  return label;
}

std::string default_adaptation(const std::string& id) {
  if (id == "le") return "tanaka";
  if (id == "ele" || id == "etc") return "ele";
  if (id == "pe") return "pixel";
  if (id == "pixel-shuffle" || id == "bit-flip" || id == "ffx") return "le";
  return "none";
}

Experiment read_experiment(Config& config) {
  Experiment e;
  e.name = config.get_string("name", "experiment");
  if (e.name.empty() || e.name.find_first_of("/\\") != std::string::npos || e.name.front() == '.') {
    throw Error(ErrorCode::InvalidArgument,
                "name is \"" + e.name + "\"; allowed: a folder name without slashes");
  }
  e.runs = config.get_string("runs", "runs");

  e.checkpoint_minutes = config.get_double("checkpoint_minutes", 5, 0, 1e6);

  e.data.source =
      config.get_choice("data.source", "synthetic", {"cifar10", "cifar100", "folder", "synthetic"});
  e.data.path = config.get_string("data.path", "");
  e.data.height = static_cast<int>(config.get_int("data.height", 32, 8, 1024));
  e.data.width = static_cast<int>(config.get_int("data.width", 32, 8, 1024));
  e.data.seed = static_cast<uint64_t>(config.get_int("data.seed", 1, 0, INT64_MAX));
  e.data.train_size = config.get_int("data.train_size", 6000, 20, 10'000'000);
  e.data.test_size = config.get_int("data.test_size", 1000, 10, 10'000'000);
  e.data.validation_fraction = config.get_double(
      "data.validation_fraction", e.data.source == "cifar100" ? 0.05 : 0.1, 0.001, 0.9);
  e.data.split_seed = static_cast<uint64_t>(config.get_int("data.split_seed", 300, 0, INT64_MAX));
  if (e.data.source != "synthetic" && e.data.path.empty()) {
    throw Error(ErrorCode::InvalidArgument, "data.path is not set; the source \"" + e.data.source +
                                                "\" needs the folder of the data");
  }

  e.compute = configure_compute(config);

  e.classifier.architecture = config.get_choice("classifier.architecture", "resnet",
                                                {"resnet", "resnet18", "vgg16_bn", "densenet"});
  // Read in any case, so that a file made for a resnet still serves when --classifier names
  // another.
  const auto depth = config.get_int("classifier.depth", 20, 8, 1202);
  e.classifier.depth = e.classifier.architecture == "resnet" ? depth : 0;
  e.classifier.mean_rgb =
      three(config.get_doubles("classifier.mean_rgb", {0.485, 0.456, 0.406}, 0, 1),
            "classifier.mean_rgb");
  e.classifier.std_rgb =
      three(config.get_doubles("classifier.std_rgb", {0.229, 0.224, 0.225}, 1e-6, 10),
            "classifier.std_rgb");
  e.classifier.recipe = read_recipe(config, Subject::Classifier);

  e.phi.file = config.get_string("phi.file", "");
  e.phi.layer = config.get_choice("phi.layer", "relu2_2", nn::FeatureExtractor::layers());
  e.phi.epochs = config.get_int("phi.epochs", 10, 1, 10'000);

  e.transform.width = config.get_int("transform.width", 16, 1, 256);
  e.transform.recipe = read_recipe(config, Subject::Transform);
  e.transform.options = read_transform_options(config, e.transform.recipe.name);
  e.attack.width = config.get_int("attack.width", 16, 1, 256);
  e.attack.recipe = read_recipe(config, Subject::Inverse);
  e.curve.alphas = config.get_doubles("curve.alphas", {}, 0, 10);
  e.curve.epochs = config.get_int("curve.epochs", e.transform.recipe.epochs, 1, 100'000);
  e.curve.attack_epochs = config.get_int("curve.attack_epochs", e.attack.recipe.epochs, 1, 100'000);

  auto schemes = cipher::scheme_ids();
  schemes.insert(schemes.end(), {"gan", ""});
  auto& options = e.scheme.options;
  options.id = config.get_choice("scheme.id", "", schemes);
  options.block_size =
      static_cast<int>(config.get_int("scheme.block_size", options.block_size, 1, 64));
  options.shuffle_components =
      config.get_bool("scheme.shuffle_components", options.shuffle_components);
  options.as_published = config.get_bool("scheme.as_published", options.as_published);
  options.strength = config.get_double("scheme.strength", options.strength, 0, 1e6);
  e.scheme.independent_keys =
      config.get_choice("scheme.key_mode", "same", {"same", "independent"}) == "independent";
  e.scheme.key_seed = static_cast<uint64_t>(config.get_int("scheme.key_seed", 1, 0, INT64_MAX));
  e.scheme.adaptation = config.get_choice("scheme.adaptation", default_adaptation(options.id),
                                          {"none", "tanaka", "le", "ele", "pixel"});
  if (e.scheme.independent_keys && options.id != "pe") {
    throw Error(ErrorCode::InvalidArgument,
                "scheme.key_mode is \"independent\" with scheme.id \"" + options.id +
                    "\"; a classifier can learn without a common key from \"pe\" only");
  }

  e.gan.epochs = config.get_int("gan.epochs", e.transform.recipe.epochs, 1, 100'000);
  auto& gan = e.gan.options;
  gan.discriminator_width =
      config.get_int("gan.discriminator_width", gan.discriminator_width, 1, 512);
  gan.adversarial_weight =
      config.get_double("gan.adversarial_weight", gan.adversarial_weight, 0, 1e4);
  gan.classification_weight =
      config.get_double("gan.classification_weight", gan.classification_weight, 0, 1e4);
  gan.pixel_weight = config.get_double("gan.pixel_weight", gan.pixel_weight, 0, 1e4);
  gan.perceptual_weight = config.get_double("gan.perceptual_weight", gan.perceptual_weight, 0, 1e4);
  e.table1_rows = config.get_strings("table1.rows", {"plain", "transform", "le", "pe-same",
                                                     "pe-independent", "ele", "etc", "gan"});

  e.attacks.schemes =
      config.get_strings("attacks.schemes", {"le", "pe-same", "pe-independent", "ele", "etc",
                                             "pixel-shuffle", "bit-flip", "ffx", "blur", "pixelate",
                                             "noise", "transform", "gan", "random"});
  e.attacks.only = config.get_strings("attacks.only", {});
  e.attacks.budget =
      config.get_choice("attacks.budget", e.attacks.budget, {"small", "standard", "large"});
  e.attacks.attacked = config.get_int("attacks.attacked", 0, 0, 10'000'000);
  e.attacks.known = config.get_int("attacks.known", 0, 0, 10'000'000);
  e.attacks.epochs = config.get_int("attacks.epochs", 0, 0, 100'000);
  e.attacks.transports = config.get_strings(
      "attacks.transports",
      {"png", "jpeg:95", "jpeg:75", "jpeg:50", "webp:80", "webp:50", "resize:0.5", "crop:0.875"});
  e.attacks.attributes = config.get_bool("attacks.attributes", true);
  e.attacks.curve = config.get_bool("attacks.curve", true);

  config.refuse_unknown();
  e.resolved_toml = config.resolved_toml();
  e.config_sha256 = sha256_hex(
      std::span(reinterpret_cast<const uint8_t*>(e.resolved_toml.data()), e.resolved_toml.size()));
  return e;
}

data::TrainTest load_data(const Experiment& e) {
  data::TrainTest loaded;
  if (e.data.source == "cifar10") {
    loaded = data::load_cifar10(e.data.path);
  } else if (e.data.source == "cifar100") {
    loaded = data::load_cifar100(e.data.path);
  } else if (e.data.source == "folder") {
    loaded = data::load_image_folder(e.data.path, e.data.height, e.data.width);
  } else {
    data::SyntheticOptions options;
    options.seed = e.data.seed;
    options.train_size = static_cast<size_t>(e.data.train_size);
    options.test_size = static_cast<size_t>(e.data.test_size);
    loaded = data::make_synthetic(options);
  }
  data::check(loaded);
  return loaded;
}

Workspace open_workspace(const Experiment& e) {
  Workspace w;
  w.data = load_data(e);
  w.data_sha256 = w.data.hash();
  w.split =
      data::stratified_split(w.data.train.labels, e.data.validation_fraction, e.data.split_seed);
  return w;
}

bool is_finished(const fs::path& folder) { return fs::exists(folder / "model.safetensors"); }

nn::Model finished_model(const Experiment& e, const fs::path& folder, model::Role role) {
  return nn::load_model(folder / "model.safetensors", role, e.compute.device);
}

LoopOptions start_run(const Experiment& e, const fs::path& folder, const std::string& title,
                      RunMode mode) {
  LoopOptions options;
  options.run_folder = folder;
  options.title = title;
  options.checkpoint_minutes = e.checkpoint_minutes;
  const bool exists = fs::exists(folder / "config.toml");
  const bool checkpoint = fs::exists(folder / "checkpoint" / "state.pt");
  if (mode == RunMode::Fresh && exists) {
    throw Error(ErrorCode::AlreadyExists,
                folder.string() +
                    " holds a run already; continue it with --resume or replace it with --force");
  }
  if (mode == RunMode::Resume && !checkpoint) {
    throw Error(ErrorCode::NotFound, folder.string() + " holds no checkpoint to resume from");
  }
  options.resume = (mode == RunMode::Resume || mode == RunMode::Complete) && checkpoint;
  if (options.resume) {
    if (what_trains(read_text(folder / "config.toml")) != what_trains(e.resolved_toml)) {
      throw Error(ErrorCode::InvalidArgument, "the configuration differs from " +
                                                  (folder / "config.toml").string() +
                                                  "; a run is resumed with the configuration it "
                                                  "was started with (or replaced with --force)");
    }
    return options;
  }
  fs::remove_all(folder);
  write_file(folder / "config.toml", e.resolved_toml, Overwrite::Yes);
  return options;
}

void check_fits(const nn::Model& psi, const data::TrainTest& data, const fs::path& psi_path) {
  const auto& card = psi.card;
  if (card.class_names != data.train.class_names) {
    throw Error(ErrorCode::InvalidArgument,
                psi_path.string() + " knows " + std::to_string(card.class_names.size()) +
                    " classes (" + card.class_names.front() + ", ...); the data set " +
                    data.train.name + " has " + std::to_string(data.train.class_names.size()) +
                    " (" + data.train.class_names.front() + ", ...); they must be the same");
  }
  if (card.height != data.train.height || card.width != data.train.width) {
    throw Error(ErrorCode::InvalidArgument,
                psi_path.string() + " was trained on " + std::to_string(card.height) + "x" +
                    std::to_string(card.width) + " pictures; the data set " + data.train.name +
                    " has " + std::to_string(data.train.height) + "x" +
                    std::to_string(data.train.width));
  }
}

nn::Model train_classifier(const Experiment& e, const Workspace& w, RunMode mode) {
  model::Card network;
  network.architecture = e.classifier.architecture;
  network.depth = e.classifier.depth;
  return train_classifier_in(e.classifier_folder(), e, w, network, e.classifier.recipe, "train psi",
                             mode);
}

Phi open_phi(const Experiment& e, const Workspace& w) {
  Phi phi;
  if (!e.phi.file.empty()) {
    phi.net = nn::load_feature_extractor(e.phi.file, e.phi.layer);
    phi.description = e.phi.layer + " of " + e.phi.file.filename().string();
  } else {
    Recipe recipe = e.classifier.recipe;
    recipe.epochs = e.phi.epochs;
    recipe.lr =
        std::min(recipe.lr, 0.05);  // VGG has no shortcuts and diverges at the rates a ResNet takes
    model::Card network;
    network.architecture = "vgg16_bn";
    const auto vgg = train_classifier_in(e.phi_folder(), e, w, network, recipe, "train VGG for phi",
                                         RunMode::Complete);
    phi.net =
        nn::FeatureExtractor::cut_from(dynamic_cast<const nn::Vgg16Bn&>(*vgg.net), e.phi.layer);
    nn::move_to(*phi.net, e.compute.device);
    scale_features(*phi.net, vgg.card, w, e.compute);
    phi.description = e.phi.layer + " cut from a VGG16-BN trained on " + w.data.train.name +
                      " itself (no ImageNet weights were given)";
  }
  nn::move_to(*phi.net, e.compute.device);
  return phi;
}

namespace {

// A freshly initialised transformation network on the compute device.
nn::Model make_transform(const Experiment& e, const Workspace& w, const Phi& phi,
                         const std::map<std::string, std::string>& notes) {
  auto card = base_card(e, w);
  card.role = model::Role::Transform;
  card.architecture = "unet";
  card.base_width = e.transform.width;
  card.notes["phi"] = phi.description;
  card.notes["recipe"] = e.transform.recipe.name;
  card.notes.insert(notes.begin(), notes.end());
  torch::manual_seed(e.transform.recipe.seed);
  auto h = nn::make_model(card);
  nn::move_to(*h.net, e.compute.device);
  return h;
}

}  // namespace

nn::Model train_transform(const Experiment& e, const Workspace& w, const nn::Model& psi,
                          RunMode mode) {
  const auto folder = e.transform_folder();
  if (mode == RunMode::Complete && is_finished(folder))
    return finished_model(e, folder, model::Role::Transform);
  check_fits(psi, w.data, e.classifier_folder() / "model.safetensors");
  const auto phi = open_phi(e, w);
  nn::Model encoder;
  if (e.transform.options.encoder_epochs > 0) {
    Recipe recipe = e.classifier.recipe;
    recipe.epochs = e.transform.options.encoder_epochs;
    recipe.lr = std::min(recipe.lr, 0.15);  // no shortcuts
    model::Card network;
    network.architecture = "unet_encoder";
    network.base_width = e.transform.width;
    encoder = train_classifier_in(e.encoder_folder(), e, w, network, recipe,
                                  "train the encoder of h", RunMode::Complete);
  }
  const auto options =
      start_run(e, folder, "train h, alpha " + alpha_text(e.transform.options.alpha), mode);
  auto h = make_transform(e, w, phi, {{"alpha", alpha_text(e.transform.options.alpha)}});
  TransformTask task(std::move(h), psi, phi.net, e.transform.options,
                     dynamic_cast<const nn::UNetEncoder*>(encoder.net.get()));
  run_training(task, w.data.train, w.split, e.transform.recipe, e.compute, options);
  return task.model();
}

nn::Model train_scheme(const Experiment& e, const Workspace& w, RunMode mode) {
  if (e.scheme.options.id.empty() || e.scheme.options.id == "gan") {
    throw Error(
        ErrorCode::InvalidArgument,
        "scheme.id is \"" + e.scheme.options.id +
            "\"; a classifier learns from the keyed schemes and the baselines, for instance pe");
  }
  model::Card network;
  network.architecture = e.classifier.architecture;
  network.depth = e.classifier.depth;
  if (e.scheme.adaptation != "none") {
    network.adaptation = e.scheme.adaptation;
    network.block_size = e.scheme.options.block_size;
  }
  network.notes = {{"scheme", e.scheme.label()}, {"recipe", e.classifier.recipe.name}};
  return train_classifier_in(e.scheme_folder(), e, w, network, e.classifier.recipe,
                             "train on " + e.scheme.label(), mode,
                             [&] { return encrypted_training(e.scheme, w.data.train, w.split); });
}

nn::Model train_gan(const Experiment& e, const Workspace& w, const nn::Model& psi, RunMode mode) {
  const auto folder = e.scheme_folder();
  if (mode == RunMode::Complete && is_finished(folder))
    return finished_model(e, folder, model::Role::Transform);
  check_fits(psi, w.data, e.classifier_folder() / "model.safetensors");
  const auto phi = open_phi(e, w);
  const auto options = start_run(e, folder, "train the GAN-based transformation", mode);
  auto recipe = e.transform.recipe;
  recipe.epochs = e.gan.epochs;
  GanTask task(make_transform(e, w, phi, {{"scheme", e.scheme.label()}}), psi, phi.net,
               e.gan.options);
  run_training(task, w.data.train, w.split, recipe, e.compute, options);
  return task.model();
}

}  // namespace veilnet::train
