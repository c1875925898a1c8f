#include "experiment/settings.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/sources.h"
#include "experiment/stage.h"
#include "nn/vgg.h"

namespace veilnet::experiment {
namespace {

namespace fs = std::filesystem;
using train::Subject;

std::array<double, 3> three(const std::vector<double>& values, const char* key) {
  if (values.size() != 3) {
    fail(ErrorCode::InvalidArgument, "{} has {} values; expected 3 (R, G, B)", key, values.size());
  }
  return {values[0], values[1], values[2]};
}

}  // namespace

std::string alpha_text(double alpha) { return nlohmann::json(alpha).dump(); }

namespace {

// What a transformation network is called; empty for the paper's.
std::string kind_of(const Experiment& e) {
  std::string kind = e.transform.bits > 0 ? fmt::format("coded{}", e.transform.bits) : "";
  if (e.transform.options.adversary_weight > 0) kind += "minmax";
  if (e.transform.options.correlation_weight > 0) kind += "nopeek";
  if (!e.transform.services.empty()) kind += "shared";
  return kind;
}

}  // namespace

std::string Experiment::transform_label() const {
  const auto own = kind_of(*this), kind = own.empty() ? "transform" : own;
  const auto run = kind + "-a" + alpha_text(transform.options.alpha);
  return transform.epsilon > 0 ? fmt::format("{}-eps{}", run, transform.epsilon) : run;
}

fs::path Experiment::transform_folder() const {
  const auto kind = kind_of(*this);
  const std::string role =
      !on_curve ? (kind.empty() ? "transform-a" : "-a") : (kind.empty() ? "curve-a" : "-curve-a");
  return folder() / (kind + role + alpha_text(transform.options.alpha));
}

namespace {

// The point with a configuration that says what it is.
Experiment stated(Experiment& point, const std::vector<std::string>& assignments) {
  auto config = Config::parse(point.resolved_toml, "the configuration");
  for (const auto& assignment : assignments) config.set(assignment);
  const auto read = read_experiment(config);
  point.resolved_toml = read.resolved_toml;
  point.config_sha256 = read.config_sha256;
  return point;
}

}  // namespace

Experiment Experiment::at_bits(int64_t bits, double epsilon) const {
  Experiment point = *this;
  point.transform.kind = "coded";
  point.transform.bits = bits;
  point.transform.epsilon = epsilon;
  return stated(point, {"transform.kind=\"coded\"", fmt::format("transform.bits={}", bits),
                        "transform.epsilon=" + alpha_text(epsilon)});
}

Experiment Experiment::without_services() const {
  Experiment point = *this;
  point.transform.services.clear();
  return stated(point, {"transform.services=[]"});
}

Experiment Experiment::at_rival(const std::string& name) const {
  // Of the order of the loss of psi that they stand beside.
  constexpr double kAdversary = 10, kCorrelation = 1;
  const bool minmax = name == "minmax";
  Experiment point = *this;
  auto& o = point.transform.options;
  o.alpha = o.alpha_start = 0;
  o.drive = "steps";
  o.start_noise = 0;
  auto& weight = minmax ? o.adversary_weight : o.correlation_weight;
  if (weight == 0) weight = minmax ? kAdversary : kCorrelation;
  (minmax ? o.correlation_weight : o.adversary_weight) = 0;
  return stated(point, {"transform.alpha=0", "transform.alpha_start=0",
                        "transform.adversary_weight=" + alpha_text(o.adversary_weight),
                        "transform.correlation_weight=" + alpha_text(o.correlation_weight),
                        "transform.drive=" + o.drive, "transform.start_noise=0"});
}

Experiment Experiment::at_curve_point(double alpha) const {
  Experiment point = *this;
  point.on_curve = true;
  auto& o = point.transform.options;
  const auto by_rule = [&](double a) {
    return train::transform_options_for(transform.options, transform.recipe.name, a).alpha_start;
  };
  // A start that is not the recipe's is the configuration's, and stands.
  if (alpha == 0 || o.alpha_start == by_rule(o.alpha)) o.alpha_start = by_rule(alpha);
  o.alpha = alpha;
  if (alpha == 0) o.drive = "steps";  // nothing to drive
  if (curve.epochs > 0) point.transform.recipe.epochs = curve.epochs;
  if (curve.attack_epochs > 0) point.attack.recipe.epochs = curve.attack_epochs;
  return stated(point,
                {"transform.alpha=" + alpha_text(o.alpha),
                 "transform.alpha_start=" + alpha_text(o.alpha_start), "transform.drive=" + o.drive,
                 fmt::format("transform.epochs={}", point.transform.recipe.epochs),
                 fmt::format("attack.epochs={}", point.attack.recipe.epochs),
                 "transform.least_steps=0", "attack.least_steps=0"});
}

std::vector<Experiment> Experiment::points() const {
  std::vector<Experiment> out{*this};
  for (const double alpha : curve.alphas)
    if (alpha != transform.options.alpha) out.push_back(at_curve_point(alpha));
  for (const auto bits : curve.bits)
    if (bits != transform.bits) out.push_back(at_bits(bits, transform.epsilon));
  return out;
}

Experiment Experiment::at_scheme(const std::string& label, const std::string& others) const {
  auto schemes = cipher::scheme_ids();
  schemes.push_back("gan");
  std::string known;
  const auto tried = [&](const std::string& id, bool independent, const std::string& augmentation) {
    Experiment point = *this;
    point.scheme.options.id = id;
    point.scheme.independent_keys = independent;
    point.scheme.augmentation = augmentation;
    if (id != scheme.options.id) point.scheme.adaptation = default_adaptation(id);
    return point;
  };
  for (const auto& id : schemes) {
    for (const bool independent : {false, true}) {
      if (independent && (id == "gan" || !cipher::scheme_spec(id).own_keys)) continue;
      known +=
          (known.empty() ? "" : ", ") + tried(id, independent, scheme.augmentation).scheme.label();
      for (const auto& augmentation :
           {scheme.augmentation, std::string("encrypted"), std::string("none")}) {
        auto point = tried(id, independent, augmentation);
        if (point.scheme.label() == label) return point;
      }
    }
  }
  fail(ErrorCode::InvalidArgument, "\"{}\" names no scheme; allowed: {}{}{}", label, known,
       others.empty() ? "" : ", ", others);
}

std::string default_adaptation(const std::string& id) {
  if (id == "gan" || id.empty()) return "none";
  return std::string(cipher::scheme_spec(id).adaptation);
}

Experiment read_experiment(Config& config) {
  Experiment e;
  e.name = config.get_string("name", "experiment");
  if (e.name.empty() || e.name.find_first_of("/\\") != std::string::npos || e.name.front() == '.') {
    fail(ErrorCode::InvalidArgument, "name is \"{}\"; allowed: a folder name without slashes",
         e.name);
  }
  e.runs = config.get_path("runs", "runs");

  e.checkpoint_minutes = config.get_double("checkpoint_minutes", 5, 0, 1e6);
  e.anyway = config.get_bool("anyway", false);

  e.data.source = config.get_choice("data.source", "synthetic", data::source_names());
  const auto& source = data::source(e.data.source);
  e.data.path = config.get_path("data.path", "");
  e.data.height = static_cast<int>(config.get_int("data.height", 32, 8, 1024));
  e.data.width = static_cast<int>(config.get_int("data.width", 32, 8, 1024));
  e.data.class_names = config.get_strings("data.class_names", {});
  e.data.seed = static_cast<uint64_t>(config.get_int("data.seed", 1, 0, INT64_MAX));
  e.data.train_size = config.get_int("data.train_size", 6000, 20, 10'000'000);
  e.data.test_size = config.get_int("data.test_size", 1000, 10, 10'000'000);
  e.data.validation_fraction =
      config.get_double("data.validation_fraction", source.validation_fraction, 0.001, 0.9);
  e.data.split_seed = static_cast<uint64_t>(config.get_int("data.split_seed", 300, 0, INT64_MAX));
  if (source.needs_path && e.data.path.empty()) {
    fail(ErrorCode::InvalidArgument, "data.path is not set; the source \"{}\" reads {}",
         source.name, source.reads);
  }

  e.compute = train::configure_compute(config);

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
  e.classifier.from = config.get_string("classifier.from", "");
  e.classifier.teachers = config.get_strings("classifier.teachers", {});
  e.classifier.distillation =
      config.get_double("classifier.distillation", e.classifier.distillation, 0, 1);
  e.classifier.temperature =
      config.get_double("classifier.temperature", e.classifier.temperature, 0.1, 100);
  e.classifier.recipe = train::read_recipe(config, Subject::Classifier, e.classifier.architecture);

  e.phi.file = config.get_path("phi.file", "");
  e.phi.layer = config.get_choice("phi.layer", "relu2_2", nn::FeatureExtractor::layers());
  // What the configuration leaves open follows the recipe of the classifier.
  const auto least_steps = [&](const char* key, const char* epochs, int64_t of_quick) {
    const bool open = e.classifier.recipe.name == "quick" && !config.has(epochs);
    return config.get_int(key, open ? of_quick : 0, 0, 1'000'000'000);
  };
  e.phi.epochs = config.get_int("phi.epochs", 10, 1, 10'000);
  e.phi.least_steps = least_steps("phi.least_steps", "phi.epochs", train::kLeastPhiSteps);

  e.transform.kind = config.get_choice("transform.kind", "unet", {"unet", "coded"});
  const auto bits = config.get_int("transform.bits", 10, 1, 64);
  e.transform.quantiser =
      config.get_choice("transform.quantiser", "categorical", {"categorical", "sign"});
  const auto epsilon = config.get_double("transform.epsilon", 0, 0, 40);
  if (e.transform.kind == "coded") {
    e.transform.bits = bits;
    e.transform.epsilon = epsilon;
  } else if (epsilon > 0) {
    fail(ErrorCode::InvalidArgument,
         "transform.epsilon is {} with transform.kind \"{}\"; chance needs a code: \"coded\"",
         epsilon, e.transform.kind);
  }
  e.transform.width = config.get_int("transform.width", 16, 1, 256);
  e.transform.recipe = train::read_recipe(config, Subject::Transform);
  e.transform.options = train::read_transform_options(config, e.transform.recipe.name);
  e.transform.encoder_least_steps =
      least_steps("transform.encoder_least_steps", "transform.encoder_epochs", train::kLeastSteps);
  e.transform.encoder_from = config.get_string("transform.encoder_from", "");
  e.transform.encoder_lr = config.get_double("transform.encoder_lr", 0, 0, 100);
  e.transform.encoder_cutout = static_cast<int>(
      config.get_int("transform.encoder_cutout", e.classifier.recipe.cutout, 0, 1024));
  e.transform.encoder_label_smoothing = config.get_double(
      "transform.encoder_label_smoothing", e.classifier.recipe.label_smoothing, 0, 0.9);
  e.transform.encoder_teachers = config.get_strings("transform.encoder_teachers", {});
  e.transform.encoder_distillation =
      config.get_double("transform.encoder_distillation",
                        e.transform.encoder_teachers.empty() ? 0 : e.classifier.distillation, 0, 1);
  e.transform.encoder_temperature =
      config.get_double("transform.encoder_temperature", e.transform.encoder_temperature, 0.1, 100);
  e.transform.services = config.get_strings("transform.services", {});
  e.attack.width = config.get_int("attack.width", 16, 1, 256);
  e.attack.recipe = train::read_recipe(config, Subject::Inverse);
  e.curve.alphas = config.get_doubles("curve.alphas", {}, 0, 10);
  for (const double bits : config.get_doubles("curve.bits", {}, 1, 64)) {
    if (bits != std::floor(bits))
      fail(ErrorCode::InvalidArgument, "curve.bits holds {}; allowed: whole numbers of 1 to 64",
           bits);
    e.curve.bits.push_back(static_cast<int64_t>(bits));
  }
  e.curve.epochs = config.get_int("curve.epochs", 0, 0, 100'000);
  e.curve.attack_epochs = config.get_int("curve.attack_epochs", 0, 0, 100'000);

  auto schemes = cipher::scheme_ids();
  schemes.insert(schemes.end(), {"gan", ""});
  auto& options = e.scheme.options;
  options.id = config.get_choice("scheme.id", "", schemes);
  options.block_size =
      static_cast<int>(config.get_int("scheme.block_size", options.block_size, 1, 64));
  for (const auto& spec : cipher::schemes()) {
    if (spec.variant.name.empty()) continue;
    const bool chosen = config.get_bool("scheme." + std::string(spec.variant.name), false);
    if (spec.id == options.id) options.variant = chosen;
  }
  options.strength = config.get_double("scheme.strength", options.strength, 0, 1e6);
  e.scheme.independent_keys =
      config.get_choice("scheme.key_mode", "same", {"same", "independent"}) == "independent";
  e.scheme.augmentation = config.get_choice("scheme.augmentation", e.scheme.augmentation,
                                            {"published", "encrypted", "none"});
  e.scheme.key_seed = static_cast<uint64_t>(config.get_int("scheme.key_seed", 1, 0, INT64_MAX));
  e.scheme.adaptation = config.get_choice("scheme.adaptation", default_adaptation(options.id),
                                          {"none", "tanaka", "le", "ele", "pixel"});
  if (e.scheme.independent_keys &&
      (options.id.empty() || options.id == "gan" || !cipher::scheme_spec(options.id).own_keys)) {
    fail(ErrorCode::InvalidArgument,
         "scheme.key_mode is \"independent\" with scheme.id \"{}\"; a classifier can learn without "
         "a common key from \"pe\" only",
         options.id);
  }

  e.gan.epochs = config.get_int("gan.epochs", 0, 0, 100'000);
  e.gan.options.fields(ReadFields(config, "gan."));
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
  e.attacks.optimised = config.get_int("attacks.optimised", 0, 0, 10'000'000);
  e.attacks.optimise_steps = config.get_int("attacks.optimise_steps", 0, 0, 1'000'000);
  e.attacks.transports = config.get_strings(
      "attacks.transports",
      {"png", "jpeg:95", "jpeg:75", "jpeg:50", "webp:80", "webp:50", "resize:0.5", "crop:0.875"});
  e.attacks.attributes = config.get_bool("attacks.attributes", true);
  e.attacks.curve = config.get_bool("attacks.curve", true);

  config.refuse_unknown();
  e.resolved_toml = config.resolved_toml();
  e.config_sha256 = sha256_of(e.resolved_toml);
  return e;
}

}  // namespace veilnet::experiment
