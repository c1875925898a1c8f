#include "cli/client/models.h"

#include <algorithm>
#include <charconv>
#include <fmt/ranges.h>
#include <optional>
#include <regex>
#include <spdlog/spdlog.h>
#include <system_error>
#include <vector>

#include "cli/inputs.h"
#include "core/error.h"
#include "core/text.h"
#include "model/zoo.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "model.safetensors";

/// A trained transformation network of an experiment.
struct Trained {
  double alpha;
  fs::path file;
};

/// The alpha in the name of an experiment's folder: with "transform" as `kind` in
/// "transform-a0.01".
std::optional<double> alpha_of(const fs::path& folder, const std::string& kind) {
  const auto name = folder.filename().string();
  std::smatch start;
  if (!std::regex_search(name, start, std::regex("^" + kind + "-a"))) return std::nullopt;
  double alpha = 0;
  const auto [end, error] =
      std::from_chars(name.data() + start.length(), name.data() + name.size(), alpha);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return alpha;
}

/// By alpha; with those of the curve where a strength chooses, and coded ones where there are no
/// others.
std::vector<Trained> transforms_in(const fs::path& experiment, bool curve) {
  std::vector<Trained> found;
  const auto add = [&](const std::string& kind) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(experiment, ignored))
      if (const auto alpha = alpha_of(entry.path(), kind);
          alpha && fs::exists(entry.path() / kFile, ignored))
        found.push_back({*alpha, entry.path() / kFile});
  };
  add("transform");
  if (found.empty()) add("coded[0-9]+");
  if (curve) add("curve");
  std::ranges::sort(found, {}, &Trained::alpha);
  return found;
}

fs::path of_strength(const std::vector<Trained>& trained, const ModelOptions& options) {
  if (options.strength == "low") return trained.front().file;
  if (options.strength == "high") return trained.back().file;
  if (options.strength == "mid" && trained.size() > 2) return trained[trained.size() / 2].file;
  std::vector<std::string> names;
  for (const auto& one : trained) names.push_back(fmt::format("{}", one.alpha));
  fail(ErrorCode::InvalidArgument,
       "--model {}: holds transformation networks of alpha {}; --strength low or high{} chooses "
       "one, "
       "or give its file",
       options.model.string(), fmt::join(names, ", "), trained.size() > 2 ? " or mid" : "");
}

std::vector<model::ZooModel> zoo_for(const fs::path& given, const fs::path& folder) {
  try {
    return model::zoo(folder);
  } catch (const Error& e) {
    fail(e.code(), "--model {}: no such file or folder; and of models by name: {}", given.string(),
         e.what());
  }
}

}  // namespace

void add_model_options(CLI::App& command, ModelOptions& options, model::Role role) {
  const bool transform = role == model::Role::Transform;
  command
      .add_option("--model", options.model,
                  fmt::format("{} (model.safetensors), the folder of an experiment, or a name "
                              "that `veilnet models` lists",
                              transform ? "Transformation network" : "Classifier"))
      ->required()
      ->type_name("FILE");
  command
      .add_option("--threads", options.threads,
                  "Threads of the network; unless given the physical cores, one for a few small "
                  "files")
      ->check(CLI::Range(1, 1024));
  add_precision(command, options.precision);
  if (!transform) return;
  command
      .add_option("--strength", options.strength,
                  "Of an experiment with several alphas: low hides least and keeps accuracy, high "
                  "hides most")
      ->check(CLI::IsMember({"low", "mid", "high"}));
  command
      .add_option("--codebook", options.codebook,
                  "For a coded model or its encoder: the folder of its pictures (veilnet export "
                  "--format codebook), which are then the same on every machine")
      ->type_name("DIR");
}

fs::path find_model(const ModelOptions& options, model::Role role) {
  const auto& given = options.model;
  std::error_code cause;
  const bool folder = fs::is_directory(given, cause);
  const auto trained = folder && role == model::Role::Transform
                           ? transforms_in(given, !options.strength.empty())
                           : std::vector<Trained>();
  if (!options.strength.empty() && trained.size() < 2)
    fail(ErrorCode::InvalidArgument,
         "--strength {}: --model {} is not the folder of an experiment with several alphas",
         options.strength, given.string());
  if (!folder) {
    if (!fs::exists(given, cause)) {
      if (cause && !is_absence(cause))
        fail(ErrorCode::Io, "--model {}: {}", given.string(), cause.message());
      const auto place = model::zoo_folder();
      for (const auto& listed : zoo_for(given, place))
        if (listed.name == given) return model::checked(place, listed);
      fail(ErrorCode::NotFound, "--model {}: no such file or folder{}{}", given.string(),
           given.is_relative() ? fmt::format(" (in {}), nor a name that `veilnet models` lists",
                                             fs::current_path(cause).string())
                               : "",
           place.empty() && given.is_relative()
               ? ", for there is no folder of models (VEILNET_MODELS names one)"
               : "");
    }
    return given;
  }
  if (fs::exists(given / kFile, cause)) return given / kFile;
  if (trained.size() == 1) return trained.front().file;
  if (trained.size() > 1) return of_strength(trained, options);
  const auto psi = given / "classifier" / kFile;
  if (role == model::Role::Classifier && fs::exists(psi, cause)) return psi;
  fail(ErrorCode::NotFound, "--model {}: holds neither {} nor an experiment with a trained {}",
       given.string(), kFile,
       role == model::Role::Transform ? "transformation network (transform-a* or "
                                        "coded*-a*/model.safetensors)"
                                      : "classifier (classifier/model.safetensors)");
}

void add_precision(CLI::App& command, std::string& precision) {
  command
      .add_option(
          "--precision", precision,
          "What the network computes in: fp32, bf16 or int8. Fewer bits are faster for wide "
          "networks on processors with instructions for them (veilnet bench measures it); int8 "
          "needs a model from veilnet calibrate")
      ->check(CLI::IsMember({"fp32", "bf16", "int8"}))
      ->capture_default_str();
}

runtime::Type precision_of(const std::string& name) {
  if (name == "fp32") return runtime::Type::Float32;
  if (name == "bf16") return runtime::Type::BFloat16;
  if (name == "int8") return runtime::Type::Int8;
  fail(ErrorCode::InvalidArgument, "--precision is \"{}\"; allowed: fp32, bf16, int8",
       printable(name));
}

runtime::Options runtime_options(const ModelOptions& options) {
  const auto precision = precision_of(options.precision);
  if (precision != runtime::Type::Float32 && runtime::instruction_set(precision) == "portable")
    spdlog::warn("this processor has no instructions for {}: fp32 is faster", options.precision);
  return {.threads = options.threads, .precision = precision};
}

runtime::Transformation load_transformation(const ModelOptions& options, const fs::path& file) {
  return runtime::Transformation(file, runtime_options(options), options.codebook);
}

void protect(const runtime::Transformation& h, std::span<Item> items,
             const runtime::Transformation::Answer& answer) {
  const auto plain = batch_of(items);
  const auto height = plain.height(), width = plain.width();
  const image::Batch done(height, width, h.transform(plain.pixels(), height, width, answer));
  for (std::size_t i = 0; i < items.size(); ++i) items[i].picture = done.image(i);
}

void add_picture_size(CLI::App& command, std::string& size) {
  command.add_option("--size", size, "Of the pictures; the model's own unless given")
      ->type_name("WIDTHxHEIGHT");
}

std::pair<int64_t, int64_t> picture_size(const std::string& size, const model::Card& card) {
  if (size.empty()) return {card.height, card.width};
  static const std::regex form("([1-9][0-9]{0,4})x([1-9][0-9]{0,4})");
  std::smatch sides;
  if (!std::regex_match(size, sides, form))
    fail(ErrorCode::InvalidArgument, "--size is \"{}\"; allowed is WIDTHxHEIGHT, as 224x224",
         printable(size));
  return {std::stoll(sides[2]), std::stoll(sides[1])};
}

}  // namespace veilnet::cli
