#include <atomic>
#include <fmt/format.h>
#include <memory>
#include <spdlog/spdlog.h>

#include "cli/client/models.h"
#include "cli/picture_work.h"
#include "core/text.h"
#include "model/prepare.h"
#include "runtime/network.h"

namespace veilnet::cli {
namespace {

struct ProtectOptions : PictureOptions {
  ModelOptions model;
  bool keep_size = false;
};

void protect(const runtime::Network& h, std::span<Item> items) {
  const auto plain = batch_of(items);
  const image::Batch done(plain.height(), plain.width(),
                          h.transform(plain.pixels(), plain.height(), plain.width()));
  for (std::size_t i = 0; i < items.size(); ++i) items[i].picture = done.image(i);
}

void run(const ProtectOptions& o) {
  const auto file = find_model(o.model, model::Role::Transform);
  const auto h = load_network(o.model, file, model::Role::Transform);
  const auto& card = h.card();
  std::atomic<std::size_t> of_other_size = 0;
  run_pictures(
      o,
      {.title = "protect",
       .done = "protected",
       .record = {{"model", as_utf8(file.native())}},
       .read =
           [&](std::span<const std::uint8_t> bytes, const std::string& name) {
             auto picture = image::decode(bytes, name);
             if (!o.keep_size) return model::fit(picture, card);
             if (picture.height != card.height || picture.width != card.width) ++of_other_size;
             return picture;
           },
       .together = [&](std::span<Item> items) { protect(h, items); },
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
  add_output_options(command, *options);
  command.add_flag("--keep-size", options->keep_size,
                   "Protect at the picture's own size instead of the size the model was trained "
                   "on (accuracy was measured only there)");
  examples(command, {"veilnet protect photos/ --model runs/demo -o protected/",
                     "veilnet protect cat.jpg --model h.safetensors -o cat.png"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
