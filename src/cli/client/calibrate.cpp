// `veilnet calibrate`: what int8 needs to know of a model.
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <spdlog/spdlog.h>

#include "cli/client/models.h"
#include "cli/picture_work.h"
#include "core/error.h"
#include "core/text.h"
#include "model/prepare.h"
#include "model/zoo.h"
#include "runtime/network.h"

namespace veilnet::cli {
namespace {

struct CalibrateOptions : PictureOptions {
  ModelOptions model;
  std::filesystem::path to;
  bool replace = false;
};

void run(const CalibrateOptions& o) {
  std::error_code ignored;
  if (!o.replace && std::filesystem::exists(o.to, ignored))
    fail(ErrorCode::AlreadyExists, "{}: exists already; --force replaces it", o.to.string());
  auto model = model::load(model::file_of(o.model.model.native()));
  if (model.card.bits > 0)
    fail(ErrorCode::InvalidArgument,
         "{}: a coded h computes in fp32 only, as a value that is rounded may turn its code; "
         "calibrate takes other networks",
         o.model.model.string());
  const runtime::Network network(model, {.threads = o.model.threads});
  runtime::Ranges ranges;
  std::size_t pictures = 0;
  run_pictures(o, {.title = "calibrate",
                   .done = "read",
                   .record = {{"model", as_utf8(o.model.model.native())}},
                   .read =
                       [&](std::span<const std::uint8_t> bytes, const std::string& name) {
                         return model::decode_fitted(bytes, name, model.card);
                       },
                   .together =
                       [&](std::span<Item> items) {
                         const auto batch = batch_of(items);
                         network.calibrate(batch.pixels(), batch.height(), batch.width(), ranges);
                         pictures += items.size();
                       },
                   .encode = {},
                   .at_end = {}});
  if (pictures == 0)
    fail(ErrorCode::InvalidArgument, "{}: no picture was read; int8 needs some to know its ranges",
         o.shard.empty() ? "calibrate" : "--shard " + o.shard);
  for (const auto& [layer, largest] : ranges)
    if (!std::isfinite(largest))
      fail(ErrorCode::BadData, "{}: computes no finite values of these pictures",
           o.model.model.string());
  model.card.notes[runtime::kRangesNote] = runtime::to_note(ranges, model.graph);
  model::save(model, o.to, o.replace ? Overwrite::Yes : Overwrite::No);
  spdlog::info("{} calibrated with {} pictures written to {}", describe(model.card), pictures,
               o.to.string());
}

}  // namespace

void add_calibrate(CLI::App& command) {
  const auto options = std::make_shared<CalibrateOptions>();
  add_picture_options(command, *options);
  command
      .add_option("--model", options->model.model,
                  "Model (model.safetensors), or the name of one that `veilnet models` lists")
      ->required()
      ->type_name("FILE");
  command.add_option("--output,-o", options->to, "The same model with what int8 needs to know")
      ->required()
      ->type_name("FILE");
  command.add_flag("--force", options->replace, "Replace an existing file");
  examples(
      command,
      {"veilnet calibrate photos/ --model h.safetensors -o h-int8.safetensors",
       "veilnet calibrate photos/ protected/ --model psi.safetensors -o psi-int8.safetensors"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
