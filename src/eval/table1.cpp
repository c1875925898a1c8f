#include "eval/table1.h"

#include <cstdio>
#include <functional>
#include <optional>
#include <spdlog/spdlog.h>

#include "core/error.h"
#include "eval/evaluate.h"
#include "eval/record.h"
#include "eval/scheme.h"

namespace veilnet::eval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What the papers report, in percent; where a paper does not say under which key mode, its figure stands at both.
struct PaperFigure {
  const char *row, *data;
  double accuracy;
  const char* source;
};
constexpr const char* kIto = "arXiv 2008.03143, Table I, ResNet-20";
constexpr const char* kMadono = "arXiv 2001.07761, Table 3, PyramidNet-110 with ShakeDrop behind ELE-AdaptNet";
constexpr PaperFigure kPapers[] = {{"plain", "cifar10", 91.23, kIto},
                                   {"plain", "cifar100", 67.9, kIto},
                                   {"transform-a0.005", "cifar10", 91.72, kIto},
                                   {"transform-a0.005", "cifar100", 70.78, kIto},
                                   {"transform-a0.01", "cifar10", 91.41, kIto},
                                   {"transform-a0.01", "cifar100", 70.08, kIto},
                                   {"transform-a0.05", "cifar10", 89.63, kIto},
                                   {"transform-a0.05", "cifar100", 42.91, kIto},
                                   {"transform-a0.1", "cifar10", 39.92, kIto},
                                   {"transform-a0.1", "cifar100", 1.0, kIto},
                                   {"le", "cifar10", 85.18, kIto},
                                   {"le", "cifar100", 60.08, kIto},
                                   {"pe-same", "cifar10", 90.99, kIto},
                                   {"pe-same", "cifar100", 60.5, kIto},
                                   {"pe-independent", "cifar10", 90.99, kIto},
                                   {"pe-independent", "cifar100", 60.5, kIto},
                                   {"ele", "cifar10", 83.06, kMadono},
                                   {"ele", "cifar100", 62.97, kMadono},
                                   {"etc-as-published", "cifar10", 89.09, kMadono},
                                   {"etc-as-published", "cifar100", 71.91, kMadono},
                                   {"etc", "cifar10", 89.09, kMadono},
                                   {"etc", "cifar100", 71.91, kMadono}};

json paper_figure(const std::string& row, const std::string& data) {
  for (const auto& figure : kPapers) {
    if (row == figure.row && data == figure.data) return {{"accuracy", figure.accuracy / 100}, {"source", figure.source}};
  }
  return nullptr;
}

struct Row {
  std::string name;
  std::function<json()> run;  // trains what is missing; returns "recipe", "classifier" and "metrics"
};

class Table {
 public:
  explicit Table(const train::Experiment& e) : e_(e) {
    for (const auto& name : e.table1_rows) {
      if (name == "plain") {
        rows_.push_back({name, [this] { return plain(); }});
      } else if (name == "transform") {
        std::vector<train::Experiment> points{e};
        for (const double alpha : e.curve.alphas) points.push_back(e.at_curve_point(alpha));
        for (const auto& point : points) {
          rows_.push_back(
              {"transform-a" + train::alpha_text(point.transform.options.alpha), [this, point] { return transform(point); }});
        }
      } else {
        rows_.push_back({name, [this, point = e.at_scheme(name)] { return scheme(point); }});
      }
    }
  }

  const std::vector<Row>& rows() const { return rows_; }
  // Loaded when the first row needs it.
  const train::Workspace& workspace() {
    if (!workspace_) workspace_ = train::open_workspace(e_);
    return *workspace_;
  }

 private:
  nn::Model psi() { return train::train_classifier(e_, workspace(), train::RunMode::Complete); }
  std::string classifier_recipe() const {
    return e_.classifier.recipe.name + ", " + std::to_string(e_.classifier.recipe.epochs) + " epochs";
  }

  json plain() {
    const auto model = psi();
    const auto& test = workspace().data.test;
    const double accuracy = accuracy_on_bytes(model, test, test.images_nhwc, e_.compute);
    return {{"recipe", classifier_recipe()},
            {"classifier", model.card.architecture + (model.card.depth ? "-" + std::to_string(model.card.depth) : "")},
            {"metrics", {{"accuracy", accuracy}, {"plain_accuracy", accuracy}}}};
  }

  json transform(const train::Experiment& point) {
    const auto model = psi();
    const auto h = train::train_transform(point, workspace(), model, train::RunMode::Complete);
    ModelPictures pictures;
    const auto figures = evaluate_model(point, workspace(), model, h, nullptr, pictures);
    const auto& accuracy = figures.at("accuracy");
    return {{"recipe", "h: " + figures.at("recipe").get<std::string>() + "; psi: " + classifier_recipe()},
            {"classifier", model.card.architecture + (model.card.depth ? "-" + std::to_string(model.card.depth) : "")},
            {"metrics",
             {{"accuracy", accuracy.at("protected_float")},
              {"accuracy_png8", accuracy.at("protected_png8")},
              {"plain_accuracy", accuracy.at("plain")},
              {"ssim_mean", measured(figures.at("similarity").at("ssim"))},
              {"psnr_db_mean", measured(figures.at("similarity").at("psnr_db"))}}}};
  }

  json scheme(const train::Experiment& point) {
    const bool gan = point.scheme.options.id == "gan";
    if (gan) {
      train::train_gan(point, workspace(), psi(), train::RunMode::Complete);
    } else {
      train::train_scheme(point, workspace(), train::RunMode::Complete);
    }
    const auto figures = evaluate_scheme(point, workspace());
    json metrics = {{"accuracy", figures.at("accuracy")},
                    {"plain_accuracy", figures.at("plain_accuracy")},
                    {"ssim_mean", measured(figures.at("similarity").at("ssim"))},
                    {"psnr_db_mean", measured(figures.at("similarity").at("psnr_db"))}};
    if (!gan) metrics["key_space_bits"] = figures.at("key_space_bits");
    return {{"recipe", gan ? "generator: " + point.transform.recipe.name + ", " + std::to_string(point.gan.epochs) +
                                 " epochs; psi: " + classifier_recipe()
                           : classifier_recipe()},
            {"classifier", figures.at("classifier")},
            {"metrics", metrics}};
  }

  const train::Experiment& e_;
  std::vector<Row> rows_;
  std::optional<train::Workspace> workspace_;
};

std::string percent(const json& share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", 100 * share.get<double>());
  return text;
}

}  // namespace

json reproduce_table1(const train::Experiment& e, const fs::path& results) {
  Table table(e);
  json records = json::array();
  for (const auto& row : table.rows()) {
    const auto name = "table1-" + e.data.source + "-" + row.name;
    const auto path = results / (name + ".json");
    if (fs::exists(path)) {
      spdlog::info("{} exists; its row is kept", path.string());
      try {
        records.push_back(json::parse(read_text(path)));
      } catch (const json::exception& error) {
        throw Error(ErrorCode::BadData, path.string() + ": " + error.what());
      }
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
      "| row | classifier | recipe | accuracy % | paper % | on plain pictures % | SSIM plain/protected | key space, bits |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const auto& record : records) {
    const auto& metrics = record.at("metrics");
    const auto text = [&](const char* key) { return record.value(key, std::string("-")); };
    char ssim[16] = "-", bits[16] = "-";
    if (metrics.contains("ssim_mean")) std::snprintf(ssim, sizeof ssim, "%.3f", metrics["ssim_mean"]["mean"].get<double>());
    if (metrics.contains("key_space_bits")) std::snprintf(bits, sizeof bits, "%.0f", metrics["key_space_bits"].get<double>());
    const auto& paper = record.at("paper");
    out += "| " + text("row") + " | " + text("classifier") + " | " + text("recipe") + " | " + percent(metrics.at("accuracy")) +
           " | " + (paper.is_null() ? "-" : percent(paper.at("accuracy"))) + " | " + percent(metrics.at("plain_accuracy")) +
           " | " + ssim + " | " + bits + " |\n";
  }
  return out;
}

}  // namespace veilnet::eval
