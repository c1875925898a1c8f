#include "train/checkpoint.h"

#include <cmath>
#include <limits>
#include <sstream>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
#include <torch/serialize.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/json_file.h"
#include "nn/network.h"

namespace veilnet::train {
namespace {

using nlohmann::json;
using torch::serialize::InputArchive;
using torch::serialize::OutputArchive;

constexpr std::uint64_t kMaxBytes = 8ull << 30;
constexpr std::string_view kMagic = "veilnet-checkpoint 1 ";

void check_finite(const std::string& file, const std::string& name, const torch::Tensor& tensor) {
  if (tensor.defined() && tensor.is_floating_point() && !torch::isfinite(tensor).all().item<bool>())
    fail(ErrorCode::BadData, "{}: {} holds a value that is not finite", file, name);
}

std::map<std::string, torch::Tensor> tensors_of(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& p : module.named_parameters()) tensors[p.key()] = p.value();
  for (const auto& b : module.named_buffers()) tensors[b.key()] = b.value();
  return tensors;
}

using Shapes = std::map<std::string, std::vector<std::int64_t>>;
Shapes shapes_of(const torch::nn::Module& module) {
  Shapes shapes;
  for (const auto& [name, tensor] : tensors_of(module)) shapes[name] = tensor.sizes().vec();
  return shapes;
}

// LibTorch takes whatever shape an archive has.
void check_shapes(const std::string& file, const torch::nn::Module& module, const Shapes& shapes) {
  for (const auto& [name, tensor] : tensors_of(module))
    if (tensor.sizes().vec() != shapes.at(name))
      fail(ErrorCode::BadData, "{}: {} does not have the shape that this training gives it", file,
           name);
}

void check_finite(const std::string& file, const Checkpoint& what, const TrainingState& state) {
  for (const auto* module : {&what.model, what.auxiliary}) {
    if (!module) continue;
    for (const auto& [name, tensor] : tensors_of(*module)) check_finite(file, name, tensor);
  }
  for (const auto& [name, tensor] : state.best) check_finite(file, "best " + name, tensor);
  for (const auto& [parameter, kept] : what.optimizer.state()) {
    if (const auto* sgd = dynamic_cast<const torch::optim::SGDParamState*>(kept.get()))
      check_finite(file, "the optimiser", sgd->momentum_buffer());
    if (const auto* adam = dynamic_cast<const torch::optim::AdamWParamState*>(kept.get())) {
      check_finite(file, "the optimiser", adam->exp_avg());
      check_finite(file, "the optimiser", adam->exp_avg_sq());
    }
  }
}

// The archive behind a first line that states its SHA-256.
std::span<const std::uint8_t> checked_archive(const std::string& file,
                                              std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kHead = kMagic.size() + 64 + 1;
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), kHead));
  if (head.size() < kHead || !head.starts_with(kMagic) || head.back() != '\n')
    fail(ErrorCode::BadData, "{}: is no checkpoint of this training: it does not begin with \"{}\"",
         file, kMagic);
  const auto archive = bytes.subspan(kHead);
  if (sha256_hex(archive) != head.substr(kMagic.size(), 64))
    fail(ErrorCode::BadData,
         "{}: is no checkpoint of this training: it is damaged (its SHA-256 is not the one it "
         "states)",
         file);
  return archive;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& what,
                     const TrainingState& state) {
  OutputArchive archive, model_part, auxiliary_part, optimizer_part;
  what.model.save(model_part);
  archive.write("model", model_part);
  if (what.auxiliary) {
    what.auxiliary->save(auxiliary_part);
    archive.write("auxiliary", auxiliary_part);
  }
  what.optimizer.save(optimizer_part);
  archive.write("optimizer", optimizer_part);
  auto names = json::array();
  for (const auto& [name, tensor] : state.best) {
    archive.write("best_" + std::to_string(names.size()), tensor);
    names.push_back(name);
  }
  archive.write("state", c10::IValue(json{
                             {"key", what.key},
                             {"step", state.step},
                             {"validated", state.validated},
                             {"best_epoch", state.best_epoch},
                             {"best_figures", state.best_figures},
                             {"best_names",
                              names}}.dump()));
  std::ostringstream out;
  archive.save_to(out);
  const auto text = out.str();
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  write_file(path, std::string(kMagic) + sha256_hex(bytes) + "\n" + text, Overwrite::Yes);
}

TrainingState load_checkpoint(const std::filesystem::path& path, const Checkpoint& what,
                              std::int64_t total_steps, const torch::Device& device) {
  const auto file = path.string();
  const auto bytes = read_file(path, kMaxBytes);
  const auto content = checked_archive(file, bytes);
  TrainingState state;
  try {
    InputArchive archive, model_part, auxiliary_part, optimizer_part;
    archive.load_from(reinterpret_cast<const char*>(content.data()), content.size(), device);
    c10::IValue text;
    archive.read("state", text);
    const auto kept = parse_json(text.toStringRef(), file);
    if (kept.at("key") != what.key)
      fail(ErrorCode::InvalidArgument,
           "{}: is the checkpoint of another training (key {:.12}..., expected {:.12}...)", file,
           kept.at("key").get<std::string>(), what.key);
    const auto& step = kept.at("step");
    if (!step.is_number_integer() || step < 0 || step > total_steps)
      fail(ErrorCode::BadData, "{}: step is {}; allowed: a whole number from 0 to {}", file,
           step.dump(), total_steps);
    state.step = step;
    // Checkpoints were once saved after a validation only.
    state.validated = kept.value("validated", std::numeric_limits<std::int64_t>::max());
    state.best_epoch = kept.at("best_epoch");
    state.best_figures = kept.at("best_figures").get<std::map<std::string, double>>();
    const auto load = [&](const char* part, InputArchive& from, torch::nn::Module& module) {
      const auto shapes = shapes_of(module);
      archive.read(part, from);
      module.load(from);
      check_shapes(file, module, shapes);
    };
    load("model", model_part, what.model);
    if (what.auxiliary) load("auxiliary", auxiliary_part, *what.auxiliary);
    archive.read("optimizer", optimizer_part);
    what.optimizer.load(optimizer_part);
    for (std::size_t i = 0; i < kept.at("best_names").size(); ++i) {
      torch::Tensor tensor;
      archive.read("best_" + std::to_string(i), tensor);
      state.best[kept["best_names"][i]] = tensor;
    }
    if (!state.best.empty()) {
      state.best_figures.at("loss");
      for (const auto& [name, tensor] : nn::state_tensors(what.model))
        if (!state.best.contains(name) || state.best[name].sizes() != tensor.sizes())
          fail(ErrorCode::BadData, "{}: best {} is missing or of another shape", file, name);
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    const std::string_view reason = e.what();
    fail(ErrorCode::BadData, "{}: is no checkpoint of this training: {}", file,
         reason.substr(0, reason.find('\n')));
  }
  for (const auto& [name, value] : state.best_figures) {
    if (!std::isfinite(value)) fail(ErrorCode::BadData, "{}: {} is {}", file, name, value);
  }
  check_finite(file, what, state);
  return state;
}

}  // namespace veilnet::train
