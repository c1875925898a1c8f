#include <algorithm>
#include <fmt/format.h>
#include <iostream>
#include <memory>
#include <spdlog/spdlog.h>

#include "cli/command.h"
#include "cli/lab/experiment_command.h"
#include "core/output_folder.h"
#include "data/sources.h"
#include "image/image.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;

struct DataOptions {
  CommonOptions common;
  fs::path export_folder, grid;
  bool force = false;
};

void export_set(const data::Dataset& set, const OutputFolder& folder, const fs::path& part,
                Overwrite overwrite) {
  for (size_t i = 0; i < set.size(); ++i) {
    const auto& name = set.class_names[static_cast<size_t>(set.labels[i])];
    folder.write(part / name / fmt::format("{:06}.png", i),
                 image::encode_png(set.pictures.image(i)), overwrite);
  }
}

// One row per class, ten pictures each.
image::Image class_grid(const data::Dataset& set) {
  constexpr size_t kColumns = 10;
  std::vector<image::Image> pictures;
  for (size_t c = 0; c < set.class_names.size(); ++c) {
    size_t found = 0;
    for (size_t i = 0; i < set.size() && found < kColumns; ++i) {
      if (set.labels[i] == static_cast<int32_t>(c)) {
        pictures.push_back(set.pictures.image(i));
        ++found;
      }
    }
    auto white = set.pictures.image(0);
    std::ranges::fill(white.rgb, uint8_t{255});
    pictures.insert(pictures.end(), kColumns - found, white);
  }
  return image::tile(pictures, kColumns, 2, 2);
}

void run(const DataOptions& o) {
  auto e = open_experiment(o.common);
  if (!e) return;
  const auto w = experiment::open_workspace(*e);
  const auto overwrite = o.force ? Overwrite::Yes : Overwrite::No;
  std::vector<size_t> counts(w.data.train.class_names.size());
  for (const auto label : w.data.train.labels) ++counts[static_cast<size_t>(label)];
  fmt::print("{}: {} training ({} for validation), {} test pictures of {}x{}, SHA-256 {}\n",
             w.data.train.name, w.data.train.size(), w.split.validation.size(), w.data.test.size(),
             w.data.train.pictures.width(), w.data.train.pictures.height(), w.data_sha256);
  nlohmann::json classes = nlohmann::json::array();
  for (size_t c = 0; c < counts.size(); ++c) {
    fmt::print("  {:<20} {} training pictures\n", w.data.train.class_names[c], counts[c]);
    classes.push_back({{"name", w.data.train.class_names[c]}, {"train", counts[c]}});
  }
  if (!o.export_folder.empty()) {
    const OutputFolder folder(o.export_folder);
    export_set(w.data.train, folder, "train", overwrite);
    export_set(w.data.test, folder, "test", overwrite);
    folder.flush();
    spdlog::info("exported to {}", o.export_folder.string());
  }
  if (!o.grid.empty()) image::write_png(o.grid, class_grid(w.data.test), overwrite);
  write_json(o.common, {{"name", w.data.train.name},
                        {"sha256", w.data_sha256},
                        {"train", w.split.train.size()},
                        {"validation", w.split.validation.size()},
                        {"test", w.data.test.size()},
                        {"notes", w.data.notes},
                        {"classes", classes}});
}

}  // namespace

void add_data(CLI::App& command) {
  const auto options = std::make_shared<DataOptions>();
  add_common(command, options->common);
  command
      .add_option("--export", options->export_folder,
                  "Write all pictures as <folder>/{train,test}/<class>/NNNNNN.png")
      ->type_name("FOLDER");
  command.add_option("--grid", options->grid, "Write ten test pictures of each class as one PNG")
      ->type_name("FILE.png");
  command.add_flag("--force", options->force, "Replace existing files");
  std::string sources = "Sources of pictures (data.source):";
  for (const auto& source : data::sources())
    sources += fmt::format("\n  {:<10} {}", source.name, source.reads);
  command.footer(sources);
  examples(command,
           {"veilnet data --config configs/cifar10-cpu.toml",
            "veilnet data --set data.source=folder --set data.path=pictures/ --grid grid.png"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
