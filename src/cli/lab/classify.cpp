#include <fmt/format.h>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "image/image.h"
#include "nn/model.h"

namespace veilnet::cli {
namespace {

struct ClassifyOptions {
  CommonOptions common;
  std::filesystem::path model;
  std::vector<std::string> inputs;
  int top_k = 3;
};

void run(const ClassifyOptions& o) {
  const auto psi = nn::load_model(o.model, model::Role::Classifier);
  const auto classes = static_cast<int64_t>(psi.card.class_names.size());
  const int64_t k = std::min<int64_t>(o.top_k, classes);
  nlohmann::json results = nlohmann::json::array();
  torch::NoGradGuard no_grad;
  for (const auto& input : collect_inputs(o.inputs)) {
    const auto picture =
        image::resize_and_crop(image::read_image(input.path), static_cast<int>(psi.card.height),
                               static_cast<int>(psi.card.width));
    const auto logits =
        nn::classify(psi, nn::to_tensor(picture.rgb, 1, picture.height, picture.width));
    const auto [values, indices] = torch::softmax(logits, 1)[0].topk(k);
    nlohmann::json top = nlohmann::json::array();
    std::string line = input.path.string();
    for (int64_t i = 0; i < k; ++i) {
      const auto& name = psi.card.class_names[static_cast<size_t>(indices[i].item<int64_t>())];
      top.push_back({{"class", name}, {"probability", values[i].item<double>()}});
      line += fmt::format("  {} {:.1f}%", name, 100 * values[i].item<double>());
    }
    std::cout << line << "\n";
    results.push_back({{"input", input.path.string()}, {"top", top}});
  }
  write_json(o.common, {{"model", o.model.string()}, {"results", results}});
}

}  // namespace

void add_classify(CLI::App& command) {
  const auto options = std::make_shared<ClassifyOptions>();
  command.add_option("input", options->inputs, "Picture files or folders")
      ->required()
      ->type_name("INPUT");
  command.add_option("--model", options->model, "Classifier (model.safetensors)")
      ->required()
      ->type_name("FILE");
  command.add_option("--top-k", options->top_k, "How many classes to print")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_json(command, options->common);
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
