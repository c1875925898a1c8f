#include <fmt/format.h>
#include <memory>

#include "cipher/mixing.h"
#include "cipher/scheme.h"
#include "cli/command.h"
#include "data/sources.h"
#include "image/image.h"

namespace veilnet::cli {
namespace {

struct SchemesOptions {
  CommonOptions common;
  std::filesystem::path grid;
  bool force = false;
};

// One synthetic picture: plain, under every scheme, and mixed by PBM and InstaHide.
image::Image grid() {
  data::SyntheticOptions options;
  options.train_size = 200;
  options.test_size = 10;
  const auto set = data::make_synthetic(options).train;
  constexpr size_t kShown = 1;
  const auto plain = set.image(kShown);
  const auto key = cipher::key_from_seed(1);
  const auto picture = [&](std::span<const uint8_t> bytes) {
    return image::Image{set.pictures.height(), set.pictures.width(), {bytes.begin(), bytes.end()}};
  };
  std::vector<image::Image> pictures{picture(plain)};
  for (const auto& variant : cipher::scheme_forms()) {
    std::vector<uint8_t> out(plain.size());
    cipher::make_scheme(variant, key, set.pictures.height(), set.pictures.width())
        ->encrypt(plain, out);
    pictures.push_back(picture(out));
  }
  const std::vector<int64_t> labels(set.labels.begin(), set.labels.end());
  const cipher::PictureSet all{set.pictures.pixels(), labels, set.pictures.height(),
                               set.pictures.width(), static_cast<int64_t>(set.class_names.size())};
  const auto shown = [&](const std::vector<uint8_t>& mixed) {
    return picture(std::span(mixed).subspan(kShown * set.image_bytes(), set.image_bytes()));
  };
  pictures.push_back(shown(cipher::mix_blocks(all, {}, 1)));
  pictures.push_back(shown(cipher::mix_instahide(all, {}, 1).images_nhwc));
  constexpr int kColumns = 5;
  while (pictures.size() % kColumns != 0)
    pictures.push_back(picture(std::vector<uint8_t>(plain.size(), 255)));
  return image::tile(pictures, kColumns, 2, 3);
}

void run(const SchemesOptions& o) {
  nlohmann::json list = nlohmann::json::array();
  constexpr const char* kRow = "{:<36} {:>18}  {:<7}  {}\n";
  fmt::print(kRow, "scheme", "key space at 32x32", "inverse", "what it does");
  for (const auto& options : cipher::scheme_forms()) {
    const auto& spec = cipher::scheme_spec(options.id);
    const auto scheme = cipher::make_scheme(options, cipher::key_from_seed(1), 32, 32);
    const auto bits = scheme->key_space_bits();
    fmt::print(kRow, cipher::describe(options), bits > 0 ? fmt::format("2^{:.0f}", bits) : "no key",
               scheme->invertible() ? "yes" : "no",
               options.variant ? spec.variant.help : spec.text);
    list.push_back({{"scheme", options.id},
                    {"description", cipher::describe(options)},
                    {"text", spec.text},
                    {"source", spec.source},
                    {"key_space_bits", bits},
                    {"invertible", scheme->invertible()}});
  }
  if (!o.grid.empty()) image::write_png(o.grid, grid(), o.force ? Overwrite::Yes : Overwrite::No);
  write_json(o.common, list);
}

}  // namespace

void add_schemes(CLI::App& command) {
  const auto options = std::make_shared<SchemesOptions>();
  command
      .add_option("--grid", options->grid,
                  "Write a picture: a synthetic one plain, under every scheme in the order of the "
                  "list, mixed by PBM and by InstaHide")
      ->type_name("FILE.png");
  command.add_flag("--force", options->force, "Replace an existing file");
  add_json(command, options->common);
  examples(command, {"veilnet schemes", "veilnet schemes --grid schemes.png --json schemes.json"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
