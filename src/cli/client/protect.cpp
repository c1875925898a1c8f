#include <atomic>
#include <fmt/format.h>
#include <memory>
#include <spdlog/spdlog.h>

#include "cli/client/chance.h"
#include "cli/client/models.h"
#include "cli/picture_work.h"
#include "core/error.h"
#include "core/text.h"
#include "model/prepare.h"

namespace veilnet::cli {
namespace {

constexpr const char* kSuffix = "protected";

struct ProtectOptions : PictureOptions {
  ModelOptions model;
  ChanceOptions chance;
  bool keep_size = false;
};

void run(const ProtectOptions& o, const CLI::App& command) {
  const auto file = find_model(o.model, model::Role::Transform);
  nlohmann::json about = {{"model", as_utf8(file.native())}};
  const auto h = load_transformation(o.model, file);
  const auto& card = h.card();
  const auto answer = answer_of(o.chance, command, card, file, about);
  if (const auto verdict = card.notes.find(model::kVerdictNote); verdict != card.notes.end()) {
    about["verdict"] = verdict->second;
    if (verdict->second.starts_with("does not protect"))
      spdlog::warn("{}: its own training says that this model {}", file.string(), verdict->second);
  } else {
    spdlog::info(
        "{}: no verdict says whether this model protects; `veilnet verify` and `veilnet "
        "audit` measure it",
        file.string());
  }
  if (const auto bound = card.notes.find(model::kBoundNote); bound != card.notes.end())
    about["bound"] = bound->second;
  std::atomic<std::size_t> of_other_size = 0;
  run_pictures(
      o,
      {.title = "protect",
       .done = "protected",
       .suffix = kSuffix,
       .record = std::move(about),
       .read =
           [&](std::span<const std::uint8_t> bytes, const std::string& name) {
             if (!o.keep_size) return model::decode_fitted(bytes, name, card);
             auto picture = image::decode(bytes, name);
             if (picture.height != card.height || picture.width != card.width) ++of_other_size;
             return picture;
           },
       .together = [&](std::span<Item> items) { protect(h, items, answer); },
       .encode = image::encode_png,
       .at_end =
           [&](nlohmann::json& record) {
             if (of_other_size == 0) return;
             const auto warning = fmt::format(
                 "{} pictures are not of {}x{}, the size that this model was trained on: what a "
                 "classifier makes of them was never measured, and one that shrinks them names few "
                 "of them right",
                 of_other_size.load(), card.width, card.height);
             spdlog::warn("{}", warning);
             record["warning"] = warning;
           }});
}

}  // namespace

void add_protect(CLI::App& command) {
  const auto options = std::make_shared<ProtectOptions>();
  add_picture_options(command, *options);
  add_model_options(command, options->model, model::Role::Transform);
  add_output_options(command, *options, kSuffix);
  command.add_flag("--keep-size", options->keep_size,
                   "Protect at the picture's own size instead of the size the model was trained "
                   "on (accuracy was measured only there)");
  add_chance_options(command, options->chance);
  examples(command, {"veilnet protect photos/ --model runs/demo -o protected/",
                     "veilnet protect cat.jpg --model coded4.safetensors --epsilon 6 --secret "
                     "client.secret -o cat.png",
                     "veilnet protect photos/ --model encoder.safetensors --codebook book/ -o "
                     "protected/"});
  command.callback([options, &command] { run(*options, command); });
}

}  // namespace veilnet::cli
