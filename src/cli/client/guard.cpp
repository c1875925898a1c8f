// `veilnet guard`: fits the leak guard of a server to what h makes of training pictures, and
// measures it on pictures that it was not fitted to.
#include "service/guard.h"

#include <fmt/format.h>
#include <memory>
#include <spdlog/spdlog.h>

#include "cipher/scheme.h"
#include "cli/client/models.h"
#include "cli/command.h"
#include "core/error.h"
#include "core/text.h"
#include "data/sources.h"
#include "model/card.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;
using image::Batch;
using nlohmann::json;

struct GuardOptions {
  CommonOptions common;
  ModelOptions h;
  fs::path psi, path, output;
  std::string source = "cifar10";
  std::vector<std::string> misses;  ///< further sources, as source=path
  double false_alarms = 0.005;
  size_t pictures = 20'000;
  bool force = false;
};

Batch part(const Batch& all, size_t first, size_t count) {
  std::vector<uint32_t> positions;
  for (auto i = first; i < std::min(all.count(), first + count); ++i)
    positions.push_back(static_cast<uint32_t>(i));
  return all.subset(positions);
}

Batch protected_by(const runtime::Transformation& h, const Batch& plain) {
  return {plain.height(), plain.width(),
          h.transform(plain.pixels(), plain.height(), plain.width())};
}

/// Each picture under a key of its own.
Batch encrypted(const cipher::SchemeOptions& options, const Batch& plain) {
  Batch all;
  const auto master = cipher::key_from_seed(1);
  for (size_t i = 0; i < plain.count(); ++i) {
    const auto scheme =
        cipher::make_scheme(options, cipher::derive_key(master, i), plain.height(), plain.width());
    if (i == 0) all = Batch(scheme->padded_height(), scheme->padded_width(), plain.count());
    scheme->encrypt(plain.picture(i), all.picture(i));
  }
  return all;
}

/// Share of the pictures that the guard takes for protected.
double accepted(const service::Guard& guard, const Batch& pictures) {
  size_t count = 0;
  for (size_t i = 0; i < pictures.count(); ++i)
    count += !guard.looks_unprotected(pictures.picture(i), pictures.height(), pictures.width());
  return static_cast<double>(count) / static_cast<double>(pictures.count());
}

data::TrainTest load(const std::string& source, const fs::path& path, const model::Card& card) {
  data::SourceOptions options;
  options.path = path;
  options.height = static_cast<int>(card.height);
  options.width = static_cast<int>(card.width);
  return data::source(source).load(options);
}

void run(const GuardOptions& o) {
  ModelOptions of_psi;
  of_psi.model = o.psi;
  const auto psi = find_model(of_psi, model::Role::Classifier);
  const auto h_file = find_model(o.h, model::Role::Transform);
  const auto h = load_transformation(o.h, h_file);
  const auto pictures = load(o.source, o.path, h.card());
  const auto& train = pictures.train.pictures;
  const auto fitted = std::min(o.pictures, train.count() / 2);
  const auto guard =
      service::Guard::fit(protected_by(h, part(train, 0, fitted)),
                          protected_by(h, part(train, fitted, fitted)), o.false_alarms);
  const auto output = o.output.empty() ? psi.parent_path() / "guard.safetensors" : o.output;
  guard.save(output,
             {{"classifier_sha256", model::content_hash(psi)},
              {"transform_sha256", model::content_hash(h_file)},
              {"data", pictures.train.name}},
             o.force ? Overwrite::Yes : Overwrite::No);

  // Test pictures, none of which the guard has seen.
  const auto& test = pictures.test.pictures;
  const double false_alarms = 1 - accepted(guard, protected_by(h, test));
  fmt::print("threshold {:.3f}\n{:<40} {:>9}\n{:<40} {:>8.2f}%  refused though protected\n",
             guard.threshold(), "pictures", "share", "protected, test", 100 * false_alarms);
  json missed = json::object();
  const auto tell = [&](const std::string& name, const Batch& plain) {
    const double share = accepted(guard, plain);
    fmt::print("{:<40} {:>8.2f}%  taken for protected\n", printable(name), 100 * share);
    missed[name] = share;
  };
  tell(pictures.test.name, test);
  for (const auto& text : o.misses) {
    const auto equals = std::min(text.find('='), text.size());
    const auto other =
        load(text.substr(0, equals), text.substr(std::min(equals + 1, text.size())), h.card());
    tell(other.test.name, other.test.pictures);
  }
  for (const auto& options : cipher::scheme_forms()) {
    const auto made = encrypted(options, test);
    if (made.same_size(test)) tell(cipher::describe(options), made);
  }
  write_json(o.common, {{"threshold", guard.threshold()},
                        {"false_alarm_rate", false_alarms},
                        {"miss_rates", missed}});
  spdlog::info("wrote {}", output.string());
}

}  // namespace

void add_guard(CLI::App& command) {
  const auto o = std::make_shared<GuardOptions>();
  add_model_options(command, o->h, model::Role::Transform);
  command.add_option("--psi", o->psi, "Classifier that is served, or the folder of an experiment")
      ->required()
      ->type_name("FILE");
  command.add_option("--source", o->source, "Kind of the training data")
      ->check(CLI::IsMember(data::source_names()))
      ->capture_default_str();
  command.add_option("--path", o->path, "Its folder")->type_name("PATH");
  command
      .add_option("--also", o->misses,
                  "Further data whose test pictures are shown to the guard; repeatable")
      ->type_name("SOURCE=PATH")
      ->allow_extra_args(false);
  command.add_option("--false-alarms", o->false_alarms, "Share of protected pictures to refuse")
      ->check(between(0, 0.5))
      ->capture_default_str();
  command
      .add_option("--pictures", o->pictures,
                  "Training pictures to fit, and as many to set the "
                  "threshold")
      ->check(CLI::Range(1000, 10'000'000))
      ->capture_default_str();
  command
      .add_option("--output,-o", o->output,
                  "File to write; guard.safetensors beside psi unless given")
      ->type_name("FILE");
  command.add_flag("--force", o->force, "Replace an existing file");
  add_json(command, o->common);
  examples(command,
           {"veilnet guard --model runs/cifar10-cpu --psi runs/cifar10-cpu --path data/",
            "veilnet guard --model h.safetensors --psi psi.safetensors --source synthetic --also "
            "cifar10=data/"});
  command.callback([o] { run(*o); });
}

}  // namespace veilnet::cli
