#include <fmt/format.h>
#include <memory>
#include <torch/torch.h>

#include "cli/picture_work.h"
#include "core/text.h"
#include "nn/model.h"

namespace veilnet::cli {
namespace {

struct ClassifyOptions : PictureOptions {
  std::filesystem::path model;
  int top_k = 3;
};

void classify(const nn::Model& psi, std::int64_t top_k, std::span<Item> items) {
  const torch::NoGradGuard no_grad;
  const auto batch = batch_of(items);
  const auto pictures = nn::to_tensor(batch.pixels(), static_cast<std::int64_t>(batch.count()),
                                      batch.height(), batch.width());
  const auto [values, indices] = torch::softmax(nn::classify(psi, pictures), 1).topk(top_k);
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto top = nlohmann::json::array();
    const auto row = static_cast<std::int64_t>(i);
    auto line = printable(items[i].path.native(), 4096);
    for (std::int64_t k = 0; k < top_k; ++k) {
      const auto& name =
          psi.card.class_names[static_cast<std::size_t>(indices[row][k].item<std::int64_t>())];
      const auto probability = values[row][k].item<double>();
      top.push_back({{"class", name}, {"probability", probability}});
      line += fmt::format("  {} {:.1f}%", printable(name), 100 * probability);
    }
    items[i].result["top"] = top;
    items[i].line = line;
  }
}

void run(const ClassifyOptions& o) {
  const auto psi = nn::load_model(o.model, model::Role::Classifier);
  const auto height = static_cast<int>(psi.card.height), width = static_cast<int>(psi.card.width);
  const auto classes = static_cast<std::int64_t>(psi.card.class_names.size());
  run_pictures(o, {.title = "classify",
                   .done = "classified",
                   .record = {{"model", as_utf8(o.model.native())}},
                   .read =
                       [&](std::span<const std::uint8_t> bytes, const std::string& name) {
                         return image::resize_and_crop(image::decode(bytes, name), height, width);
                       },
                   .together =
                       [&](std::span<Item> items) {
                         classify(psi, std::min<std::int64_t>(o.top_k, classes), items);
                       },
                   .encode = {}});
}

}  // namespace

void add_classify(CLI::App& command) {
  const auto options = std::make_shared<ClassifyOptions>();
  add_picture_options(command, *options);
  command.add_option("--model", options->model, "Classifier (model.safetensors)")
      ->required()
      ->type_name("FILE");
  command.add_option("--top-k", options->top_k, "How many classes to print")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  examples(command,
           {"veilnet classify protected/ --model runs/demo",
            "veilnet classify cat.png --model psi.safetensors --top-k 5 --json names.json"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
