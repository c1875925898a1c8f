// `veilnet export`: a model in the form of other programs.
#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <set>
#include <spdlog/spdlog.h>

#include "cli/client/models.h"
#include "cli/command.h"
#include "core/error.h"
#include "core/files.h"
#include "core/output_folder.h"
#include "core/progress.h"
#include "core/signals.h"
#include "image/image.h"
#include "model/coded.h"
#include "model/onnx.h"
#include "model/torchscript.h"
#include "model/zoo.h"
#include "runtime/coded.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;

struct ExportOptions {
  CommonOptions common;
  fs::path model, output;
  std::string format = "onnx", size;
  bool force = false;
};

bool is_name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

/// A Triton model repository's config.pbtxt for an ONNX file that to_onnx wrote.
std::string triton_config(const model::Card& card, const std::string& name, int64_t height,
                          int64_t width) {
  const auto size = fmt::format("3, {}, {}", height, width);
  const bool classifier = card.role == model::Role::Classifier;
  return fmt::format(
      R"(name: "{}"
backend: "onnxruntime"
max_batch_size: 64
input [ {{ name: "pictures" data_type: TYPE_FP32 dims: [ {} ] }} ]
output [ {{ name: "{}" data_type: TYPE_FP32 dims: [ {} ]{} }} ]
dynamic_batching {{ preferred_batch_size: [ 8, 32 ] max_queue_delay_microseconds: 500 }}
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
)",
      name, size,
      classifier                            ? "logits"
      : card.role == model::Role::Transform ? "protected"
                                            : "reconstructed",
      classifier ? std::to_string(card.class_names.size()) : size,
      classifier ? " label_filename: \"labels.txt\"" : "");
}

/// Every picture that a coded transformation can make: a client may carry those and the encoder
/// alone, and the picture of a code is the same on every machine.
void export_codebook(const ExportOptions& o, const model::Model& h) {
  constexpr auto kMostBits = model::kMostCodebookBits;
  const auto bits = h.card.bits;
  if (h.card.role != model::Role::Transform || bits < 1 || bits > kMostBits)
    fail(ErrorCode::InvalidArgument,
         "{}: is a {}; a codebook is written of coded transformations of 1 to {} bits",
         o.model.string(), describe(h.card), kMostBits);
  const runtime::CodedNetwork network(h);
  const auto overwrite = o.force ? Overwrite::Yes : Overwrite::No;
  const OutputFolder folder(o.output);
  const InterruptGuard guard;
  // Until all pictures are this model's, the folder vouches for none.
  if (o.force) folder.write("codebook.json", "{}\n", overwrite);
  Progress progress("codebook", uint64_t{1} << bits, 0, "pictures");
  std::set<std::string> distinct;
  for (uint64_t code = 0; code < uint64_t{1} << bits; ++code) {
    if (interrupted())
      fail(ErrorCode::Interrupted, "interrupted: {} of {} pictures are written", code,
           uint64_t{1} << bits);
    const auto png =
        image::encode_png({static_cast<int>(h.card.height), static_cast<int>(h.card.width),
                           network.pictures({&code, 1})});
    distinct.insert(sha256_hex(png));
    folder.write(fmt::format("{:05}.png", code), png, overwrite);
    progress.update(code + 1, "");
  }
  folder.flush();
  const nlohmann::json about = {{"bits", bits},
                                {"pictures", uint64_t{1} << bits},
                                {"distinct", distinct.size()},
                                {"model_sha256", model::content_hash(o.model)}};
  folder.write("codebook.json", about.dump(2) + "\n", overwrite);
  spdlog::info("{} of {} pictures differ; written to {}", distinct.size(), uint64_t{1} << bits,
               o.output.string());
}

void run(ExportOptions o) {
  o.model = model::file_of(o.model.native());
  const auto model = model::load(o.model);
  const auto& card = model.card;
  if (!o.size.empty() && o.format != "onnx" && o.format != "triton")
    fail(ErrorCode::InvalidArgument, "--size {}: goes with onnx and triton; {}", o.size,
         o.format == "torchscript"
             ? "a TorchScript module takes pictures of every size that its network can take"
             : "a coded transformation has one size");
  if (o.format == "codebook") return export_codebook(o, model);
  if (card.role == model::Role::Encoder)
    fail(ErrorCode::InvalidArgument, "{}: is {}; allowed is a whole model", o.model.string(),
         describe(card));
  const auto overwrite = o.force ? Overwrite::Yes : Overwrite::No;
  if (o.format == "encoder") {
    model::save(model::encoder_of(model, model::content_hash(o.model)), o.output, overwrite);
    spdlog::info("the encoder of {} written to {}", describe(card), o.output.string());
    return;
  }
  if (o.format == "torchscript") {
    write_file(o.output, model::to_torchscript(model), overwrite);
    spdlog::info("{} written to {}", describe(card), o.output.string());
    return;
  }
  const auto [height, width] = picture_size(o.size, card);
  const auto onnx = model::to_onnx(model, height, width);
  if (o.format == "onnx") {
    write_file(o.output, onnx, overwrite);
  } else {
    auto folder = std::filesystem::absolute(o.output).lexically_normal();
    if (!folder.has_filename()) folder = folder.parent_path();  // "psi/"
    const auto name = folder.filename().string();
    if (name.empty() || !std::ranges::all_of(name, is_name_letter))
      fail(ErrorCode::InvalidArgument,
           "--output {}: the folder's name is the model's; allowed are letters, digits, -, _ and .",
           o.output.string());
    // First what stands where no model is yet, so that nothing is half replaced.
    write_file(folder / "config.pbtxt", triton_config(card, name, height, width), overwrite);
    std::string labels;
    for (const auto& name : card.class_names) labels += name + "\n";
    if (card.role == model::Role::Classifier) write_file(folder / "labels.txt", labels, overwrite);
    write_file(folder / "1" / "model.onnx", onnx, overwrite);
  }
  spdlog::info("{} for pictures of {}x{} written to {}", describe(card), width, height,
               o.output.string());
}

}  // namespace

void add_export(CLI::App& command) {
  const auto options = std::make_shared<ExportOptions>();
  command
      .add_option("--model", options->model,
                  "Model (model.safetensors), or the name of one that `veilnet models` lists")
      ->required()
      ->type_name("FILE");
  command
      .add_option(
          "--format", options->format,
          "onnx, torchscript: one file, with normalisation and sigmoid inside; triton: a model's "
          "folder for a Triton repository; of a coded transformation codebook: the folder of all "
          "its pictures, 00000.png and so on, each named by its code; encoder: what protect needs "
          "beside those")
      ->check(CLI::IsMember({"onnx", "torchscript", "triton", "codebook", "encoder"}))
      ->capture_default_str();
  command
      .add_option("--output,-o", options->output, "The file, or for triton and codebook the folder")
      ->required()
      ->type_name("PATH");
  add_picture_size(command, options->size);
  command.add_flag("--force", options->force, "Replace existing files");
  examples(command, {"veilnet export --model cifar10-h -o h.onnx",
                     "veilnet export --model h.safetensors --format torchscript -o h.pt",
                     "veilnet export --model psi.safetensors --format triton -o repository/psi"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
