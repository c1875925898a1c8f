#include "eval/table1.h"

#include <cstdio>
#include <functional>
#include <optional>
#include <spdlog/spdlog.h>

#include "core/error.h"
#include "eval/evaluate.h"
#include "eval/json_reader.h"
#include "eval/papers.h"
#include "eval/record.h"
#include "eval/scheme.h"

namespace veilnet::eval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Row {
  std::string name;
  std::function<json()> run;  // trains what is missing; returns what becomes of the record:
                              // "recipe", "classifier", "metrics"
};

class Comparison {
 public:
  explicit Comparison(const experiment::Experiment& e) : e_(e) {
    for (const auto& name : e.table1_rows) {
      if (name == "plain") {
        rows_.push_back({name, [this] { return plain(); }});
      } else if (name == "transform") {
        for (const auto& point : e.points()) {
          rows_.push_back({"transform-a" + experiment::alpha_text(point.transform.options.alpha),
                           [this, point] { return transform(point); }});
        }
      } else {
        rows_.push_back({name, [this, point = e.at_scheme(name)] { return scheme(point); }});
      }
    }
  }

  const std::vector<Row>& rows() const { return rows_; }
  // Loaded when the first row needs it.
  const experiment::Workspace& workspace() {
    if (!workspace_) workspace_ = experiment::open_workspace(e_);
    return *workspace_;
  }

 private:
  nn::Model psi() {
    return experiment::train_classifier(e_, workspace(), experiment::Mode::Complete);
  }

  json plain() {
    const auto model = psi();
    const auto& test = workspace().data.test;
    const double accuracy = accuracy_on_bytes(model, test, test.pictures.pixels(), e_.compute);
    return {{"recipe", train::describe(e_.classifier.recipe)},
            {"seed", e_.classifier.recipe.seed},
            {"classifier", model::describe(model.card)},
            {"metrics", {{"accuracy", accuracy}, {"plain_accuracy", accuracy}}}};
  }

  json transform(const experiment::Experiment& point) {
    const auto model = psi();
    const auto h =
        experiment::train_transform(point, workspace(), model, experiment::Mode::Complete);
    ModelPictures pictures;
    const auto figures = evaluate_model(point, workspace(), model, h, nullptr, pictures);
    const auto& accuracy = figures.at("accuracy");
    return {{"recipe", "h: " + figures.at("recipe").get<std::string>() +
                           "; psi: " + train::describe(e_.classifier.recipe)},
            {"classifier", model::describe(model.card)},
            {"metrics",
             {{"accuracy", accuracy.at("protected_float")},
              {"accuracy_png8", accuracy.at("protected_png8")},
              {"plain_accuracy", accuracy.at("plain")},
              {"ssim_mean", measured(figures.at("similarity").at("ssim"))},
              {"psnr_db_mean", measured(figures.at("similarity").at("psnr_db"))}}}};
  }

  json scheme(const experiment::Experiment& point) {
    const bool gan = point.scheme.options.id == "gan";
    if (gan) {
      experiment::train_gan(point, workspace(), psi(), experiment::Mode::Complete);
    } else {
      experiment::train_scheme(point, workspace(), experiment::Mode::Complete);
    }
    const auto figures = evaluate_scheme(point, workspace());
    json metrics = {{"accuracy", figures.at("accuracy")},
                    {"plain_accuracy", figures.at("plain_accuracy")},
                    {"ssim_mean", measured(figures.at("similarity").at("ssim"))},
                    {"psnr_db_mean", measured(figures.at("similarity").at("psnr_db"))}};
    if (!gan) metrics["key_space_bits"] = figures.at("key_space_bits");
    json record = {{"recipe", train::describe(e_.classifier.recipe)},
                   {"classifier", figures.at("classifier")},
                   {"metrics", metrics}};
    if (gan) {
      auto recipe = point.transform.recipe;
      recipe.epochs = point.gan.epochs;
      record["recipe"] = "generator: " + train::describe(recipe) +
                         "; psi: " + train::describe(e_.classifier.recipe);
    } else {
      record["seed"] = e_.classifier.recipe.seed;
    }
    return record;
  }

  const experiment::Experiment& e_;
  std::vector<Row> rows_;
  std::optional<experiment::Workspace> workspace_;
};

std::string percent(const json& share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", 100 * share.get<double>());
  return text;
}

}  // namespace

json reproduce_table1(const experiment::Experiment& e, const fs::path& results) {
  Comparison table(e);
  json records = json::array();
  for (const auto& row : table.rows()) {
    const auto name = "table1-" + e.data.source + "-" + row.name;
    const auto path = results / (name + ".json");
    if (fs::exists(path)) {
      spdlog::info("{} exists; its row is kept", path.string());
      records.push_back(read_json(path));
      continue;
    }
    spdlog::info("row {}", row.name);
    auto record = record_of(e, name);
    record.update(row.run());
    record["row"] = row.name;
    record["data"] = dataset_json(table.workspace());
    record["paper"] = paper_figure(row.name, e.data.source);
    write_file(path, record.dump(1) + "\n", Overwrite::No);
    records.push_back(record);
  }
  return records;
}

std::string table1_markdown(const json& records) {
  std::string out =
      "| row | classifier | recipe | accuracy % | paper % | on plain pictures % | SSIM "
      "plain/protected | key space, bits |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const auto& record : records) {
    const auto& metrics = record.at("metrics");
    const auto text = [&](const char* key) { return record.value(key, std::string("-")); };
    char ssim[16] = "-", bits[16] = "-";
    if (metrics.contains("ssim_mean"))
      std::snprintf(ssim, sizeof ssim, "%.3f", metrics["ssim_mean"]["mean"].get<double>());
    if (metrics.contains("key_space_bits"))
      std::snprintf(bits, sizeof bits, "%.0f", metrics["key_space_bits"].get<double>());
    const auto& paper = record.at("paper");
    out += "| " + text("row") + " | " + text("classifier") + " | " + text("recipe") + " | " +
           percent(metrics.at("accuracy")) + " | " +
           (paper.is_null() ? "-" : percent(paper.at("accuracy"))) + " | " +
           percent(metrics.at("plain_accuracy")) + " | " + ssim + " | " + bits + " |\n";
  }
  return out;
}

}  // namespace veilnet::eval
