#include <memory>
#include <torch/torch.h>

#include "cli/picture_work.h"
#include "core/text.h"
#include "nn/model.h"

namespace veilnet::cli {
namespace {

struct ProtectOptions : PictureOptions {
  std::filesystem::path model;
  bool keep_size = false;
};

void protect(const nn::Model& h, std::span<Item> items) {
  const torch::NoGradGuard no_grad;
  const auto plain = batch_of(items);
  const auto pictures = nn::to_tensor(plain.pixels(), static_cast<std::int64_t>(plain.count()),
                                      plain.height(), plain.width());
  const image::Batch done(plain.height(), plain.width(), nn::to_bytes(nn::transform(h, pictures)));
  for (std::size_t i = 0; i < items.size(); ++i) items[i].picture = done.image(i);
}

void run(const ProtectOptions& o) {
  const auto h = nn::load_model(o.model, model::Role::Transform);
  const auto height = static_cast<int>(h.card.height), width = static_cast<int>(h.card.width);
  run_pictures(o, {.title = "protect",
                   .done = "protected",
                   .record = {{"model", as_utf8(o.model.native())}},
                   .read =
                       [&](std::span<const std::uint8_t> bytes, const std::string& name) {
                         auto picture = image::decode(bytes, name);
                         return o.keep_size ? picture
                                            : image::resize_and_crop(picture, height, width);
                       },
                   .together = [&](std::span<Item> items) { protect(h, items); },
                   .encode = image::encode_png});
}

}  // namespace

void add_protect(CLI::App& command) {
  const auto options = std::make_shared<ProtectOptions>();
  add_picture_options(command, *options);
  command.add_option("--model", options->model, "Transformation network (model.safetensors)")
      ->required()
      ->type_name("FILE");
  add_output_options(command, *options);
  command.add_flag("--keep-size", options->keep_size,
                   "Protect at the picture's own size instead of the size the model was trained "
                   "on (accuracy was measured only there)");
  examples(command, {"veilnet protect photos/ --model runs/demo -o protected/",
                     "veilnet protect cat.jpg --model h.safetensors -o cat.png"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
