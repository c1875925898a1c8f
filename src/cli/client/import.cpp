// `veilnet import`: weights that were trained elsewhere, as a model.
#include <fmt/format.h>
#include <memory>
#include <spdlog/spdlog.h>
#include <sstream>

#include "cli/client/models.h"
#include "cli/command.h"
#include "core/error.h"
#include "core/files.h"
#include "model/state_dict.h"

namespace veilnet::cli {
namespace {

struct ImportOptions {
  std::filesystem::path from, labels, to;
  std::string role, size;
  model::Card card;
  bool force = false;
};

/// One name a line; empty lines at the end, as CIFAR's batches.meta.txt has, name nothing.
std::vector<std::string> labels_of(const std::filesystem::path& path) {
  std::vector<std::string> names;
  std::istringstream lines(read_text(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    names.push_back(std::move(line));
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  for (size_t i = 0; i < names.size(); ++i) {
    try {
      model::check_class_name(names[i]);
    } catch (const Error& e) {
      fail(e.code(), "{}:{}: {}", path.string(), i + 1, e.what());
    }
  }
  return names;
}

void run(ImportOptions o) {
  auto& card = o.card;
  card.role = model::role_of(o.role);
  std::tie(card.height, card.width) = picture_size(o.size, card);
  if (!o.labels.empty()) card.class_names = labels_of(o.labels);
  if (card.role == model::Role::Classifier && o.labels.empty())
    fail(ErrorCode::InvalidArgument,
         "a classifier needs --labels, the names of its classes, one a line");
  const auto model = model::from_state_dict(o.from, card);
  model::save(model, o.to, o.force ? Overwrite::Yes : Overwrite::No);
  spdlog::info("{} for pictures of {}x{} written to {}", describe(model.card), card.width,
               card.height, o.to.string());
}

}  // namespace

void add_import(CLI::App& command) {
  const auto options = std::make_shared<ImportOptions>();
  auto& o = *options;
  command
      .add_option("state_dict", o.from,
                  "PyTorch state dict with the reference network's names, as safetensors")
      ->required()
      ->type_name("FILE");
  std::vector<std::string> roles;
  for (const auto role : model::kRoles)
    if (role != model::Role::Encoder) roles.emplace_back(role_name(role));  // of coded h alone
  command.add_option("--role", o.role, "What the network is for")
      ->required()
      ->check(CLI::IsMember(roles));
  command
      .add_option(
          "--architecture", o.card.architecture,
          "resnet (of CIFAR, any depth), resnet18, vgg16_bn, densenet, unet, ...; depth and "
          "width are read off the tensors")
      ->required()
      ->type_name("NAME");
  command.add_option("--size", o.size, "Of the pictures that it was trained on")
      ->required()
      ->type_name("WIDTHxHEIGHT");
  command.add_option("--labels", o.labels, "Of a classifier: the names of its classes, one a line")
      ->type_name("FILE");
  command
      .add_option("--mean", o.card.mean_rgb,
                  "Of a classifier: subtracted from pictures in [0, 1]; ImageNet's unless given")
      ->delimiter(',')
      ->check(between(-1e6, 1e6))
      ->type_name("R,G,B");
  command
      .add_option("--std", o.card.std_rgb,
                  "Of a classifier: what they are divided by then; ImageNet's unless given")
      ->delimiter(',')
      ->check(between(1e-6, 1e6))
      ->type_name("R,G,B");
  command.add_option("--output,-o", o.to, "The model (model.safetensors)")
      ->required()
      ->type_name("FILE");
  command.add_flag("--force", o.force, "Replace an existing file");
  examples(command,
           {"veilnet import resnet20.safetensors --role classifier --architecture resnet "
            "--size 32x32 --labels batches.meta.txt -o psi.safetensors",
            "veilnet import unet.safetensors --role transform --architecture unet --size 32x32 "
            "-o h.safetensors"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
