#include <atomic>
#include <fmt/format.h>
#include <memory>
#include <spdlog/spdlog.h>

#include "cli/client/models.h"
#include "cli/picture_work.h"
#include "core/text.h"
#include "model/labels.h"
#include "model/prepare.h"
#include "runtime/network.h"

namespace veilnet::cli {
namespace {

struct ClassifyOptions : PictureOptions {
  ModelOptions model;
  int top_k = 3;
};

/// Names the picture of these logits.
void name(Item& item, std::span<const float> logits, const std::vector<std::string>& class_names,
          std::size_t top_k) {
  const auto probabilities = model::softmax(logits);
  auto& top = item.result["top"] = nlohmann::json::array();
  item.line = printable(item.path.native(), 4096);
  for (const auto i : model::largest(logits, top_k)) {
    top.push_back({{"class", class_names[i]}, {"probability", probabilities[i]}});
    item.line += fmt::format("  {} {:.1f}%", printable(class_names[i]), 100 * probabilities[i]);
  }
}

void run(const ClassifyOptions& o) {
  const auto file = find_model(o.model, model::Role::Classifier);
  const runtime::Network psi(model::load(file, model::Role::Classifier), runtime_options(o.model));
  const auto& card = psi.card();
  std::atomic<std::size_t> of_other_size = 0;
  run_pictures(o,
               {.title = "classify",
                .done = "classified",
                .record = {{"model", as_utf8(file.native())}},
                .read =
                    [&](std::span<const std::uint8_t> bytes, const std::string& name) {
                      const auto picture = image::decode_to_cover(
                          bytes, name, static_cast<int>(card.height), static_cast<int>(card.width));
                      if (picture.height != card.height || picture.width != card.width)
                        ++of_other_size;
                      return model::fit(picture, card);
                    },
                .together =
                    [&](std::span<Item> items) {
                      const auto batch = batch_of(items);
                      const auto logits = psi.logits(batch.pixels(), batch.height(), batch.width());
                      const auto classes = card.class_names.size();
                      for (std::size_t i = 0; i < items.size(); ++i)
                        name(items[i], std::span(logits).subspan(i * classes, classes),
                             card.class_names, static_cast<std::size_t>(o.top_k));
                    },
                .encode = {},
                .at_end =
                    [&](nlohmann::json& record) {
                      if (of_other_size == 0) return;
                      const auto warning = fmt::format(
                          "{} pictures were brought to {}x{}, this model's size. Plain ones may "
                          "be; protected "
                          "ones lose what they are named by: protect them without --keep-size",
                          of_other_size.load(), card.width, card.height);
                      spdlog::warn("{}", warning);
                      record["warning"] = warning;
                    }});
}

}  // namespace

void add_classify(CLI::App& command) {
  const auto options = std::make_shared<ClassifyOptions>();
  add_picture_options(command, *options);
  add_model_options(command, options->model, model::Role::Classifier);
  command.add_option("--top-k", options->top_k, "How many classes to print")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  examples(command,
           {"veilnet classify protected/ --model runs/demo",
            "veilnet classify cat.png --model psi.safetensors --top-k 5 --json names.json"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
