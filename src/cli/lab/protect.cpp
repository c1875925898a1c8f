#include <iostream>
#include <iterator>
#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "image/image.h"
#include "nn/model.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;

struct ProtectOptions {
  CommonOptions common;
  fs::path model;
  std::vector<std::string> inputs;
  fs::path output;
  bool keep_size = false, force = false;
};

image::Image protect(const nn::Model& h, const image::Image& plain, bool keep_size) {
  const auto fitted = keep_size ? plain
                                : image::resize_and_crop(plain, static_cast<int>(h.card.height),
                                                         static_cast<int>(h.card.width));
  torch::NoGradGuard no_grad;
  const auto pictures = nn::to_tensor(fitted.rgb, 1, fitted.height, fitted.width);
  return {fitted.height, fitted.width, nn::to_bytes(nn::transform(h, pictures))};
}

std::vector<uint8_t> read_stdin() {
  const std::vector<char> bytes{std::istreambuf_iterator<char>(std::cin), {}};
  return {bytes.begin(), bytes.end()};
}

void protect_stdin(const ProtectOptions& o, const nn::Model& h) {
  const auto png =
      image::encode_png(protect(h, image::decode(read_stdin(), "standard input"), o.keep_size));
  if (o.output.empty() || o.output == "-") {
    std::cout.write(reinterpret_cast<const char*>(png.data()),
                    static_cast<std::streamsize>(png.size()));
    std::cout.flush();
  } else {
    write_file(o.output, png, o.force ? Overwrite::Yes : Overwrite::No);
  }
}

void run(const ProtectOptions& o) {
  const auto h = nn::load_model(o.model, model::Role::Transform);
  if (o.inputs == std::vector<std::string>{"-"}) return protect_stdin(o, h);
  if (o.output.empty())
    throw Error(ErrorCode::InvalidArgument,
                "--output is not set; give the folder for the protected pictures");
  convert_pictures(o.common, o.inputs, o.output, o.force ? Overwrite::Yes : Overwrite::No,
                   "protected", {{"model", o.model.string()}}, [&](const fs::path& path) {
                     return image::encode_png(protect(h, image::read_image(path), o.keep_size));
                   });
}

}  // namespace

void add_protect(CLI::App& command) {
  const auto options = std::make_shared<ProtectOptions>();
  command.add_option("input", options->inputs, "Picture files, folders, or - for standard input")
      ->required()
      ->type_name("INPUT");
  command.add_option("--model", options->model, "Transformation network (model.safetensors)")
      ->required()
      ->type_name("FILE");
  command
      .add_option("--output,-o", options->output,
                  "Folder to write to; a file or - for standard input")
      ->type_name("PATH");
  command.add_flag("--keep-size", options->keep_size,
                   "Protect at the picture's own size instead of the size the model was trained "
                   "on (accuracy was measured only there)");
  command.add_flag("--force", options->force, "Replace existing files");
  add_json(command, options->common);
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
