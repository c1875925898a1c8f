// Veilnet's side of bench/train.py.
//
//   train_step inputs FOLDER            draws psi, h, phi and batches of pictures: psi.safetensors,
//                                       h.safetensors, phi.safetensors, batches.safetensors
//   train_step measure FOLDER TASK N    trains psi ("psi") or h ("transform", the published loss)
//                                       for N steps; prints losses and seconds of each as JSON
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <chrono>
#include <cstdlib>
#include <fmt/ranges.h>
#include <malloc.h>
#include <torch/utils.h>

#include "core/progress.h"
#include "core/safetensors.h"
#include "nn/convolution.h"
#include "train/step.h"
#include "train/tasks/classifier.h"
#include "train/tasks/transform.h"

namespace {

namespace fs = std::filesystem;
namespace nn = veilnet::nn;
namespace train = veilnet::train;
using veilnet::model::Role;

constexpr int64_t kBatch = 128, kBatches = 4, kSide = 32, kWidth = 16;

veilnet::model::Card card_of(Role role) {
  veilnet::model::Card card;
  card.role = role;
  card.architecture = role == Role::Transform ? "unet" : "resnet";
  (role == Role::Transform ? card.base_width : card.depth) = role == Role::Transform ? kWidth : 20;
  card.height = card.width = kSide;
  card.class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  return card;
}

void write(const fs::path& path, const std::vector<std::pair<std::string, torch::Tensor>>& all) {
  std::vector<torch::Tensor> kept;
  std::vector<veilnet::TensorView> views;
  for (const auto& [name, tensor] : all) {
    kept.push_back(tensor.detach().to(torch::kFloat).contiguous());
    const auto& t = kept.back();
    views.push_back({name,
                     veilnet::DType::F32,
                     t.sizes().vec(),
                     {static_cast<const uint8_t*>(t.data_ptr()), static_cast<size_t>(t.nbytes())}});
  }
  veilnet::save_safetensors(path, views, {}, veilnet::Overwrite::Yes);
}

void draw(const fs::path& folder) {
  torch::manual_seed(1);
  const auto smooth = at::upsample_bilinear2d(torch::rand({kBatches * kBatch, 3, 4, 4}),
                                              {kSide, kSide}, /*align_corners=*/false);
  const auto pictures =
      (smooth + 0.05 * torch::randn({kBatches * kBatch, 3, kSide, kSide})).clamp(0, 1);
  write(folder / "batches.safetensors",
        {{"pictures", pictures}, {"labels", torch::randint(10, {kBatches * kBatch})}});
  auto psi = nn::make_model(card_of(Role::Classifier));
  psi.net->train();
  {
    // Statistics of real activations, as a psi that has learned has them.
    const torch::NoGradGuard guard;
    for (int i = 0; i < 20; ++i) nn::classify(psi, pictures.slice(0, 0, kBatch));
  }
  psi.net->eval();
  nn::save_model(psi, folder / "psi.safetensors", veilnet::Overwrite::Yes);
  nn::save_model(nn::make_model(card_of(Role::Transform)), folder / "h.safetensors",
                 veilnet::Overwrite::Yes);
  write(folder / "phi.safetensors", nn::state_tensors(nn::FeatureExtractor("relu2_2")));
}

torch::Tensor read(const veilnet::Safetensors& file, const char* name) {
  const auto& view = file.at(name);
  auto tensor = torch::empty(view.shape);
  std::copy_n(view.bytes.data(), view.bytes.size(), static_cast<uint8_t*>(tensor.data_ptr()));
  return tensor;
}

void measure(const fs::path& folder, const std::string& what, int64_t steps) {
  nn::use_own_convolutions();
  const auto file = veilnet::Safetensors::load(folder / "batches.safetensors");
  const auto pictures = read(file, "pictures");
  const auto labels = read(file, "labels").to(torch::kLong);
  train::Recipe recipe;  // the paper's; bench/train.py has the same numbers
  // A random psi follows small steps alone: larger ones carry rounding errors apart.
  recipe.lr = what == "psi" ? 1e-2 : 1e-5;
  const train::Compute compute{torch::kCPU, at::get_num_threads()};
  auto psi = nn::load_model(folder / "psi.safetensors");
  std::unique_ptr<train::Task> task;
  if (what == "psi") {
    task = std::make_unique<train::ClassifierTask>(std::move(psi), 0);
  } else {
    auto phi = nn::load_feature_extractor(folder / "phi.safetensors", "relu2_2");
    nn::move_to(*psi.net, torch::kCPU);
    nn::move_to(*phi, torch::kCPU);
    task = std::make_unique<train::TransformTask>(nn::load_model(folder / "h.safetensors"),
                                                  std::move(psi), std::move(phi),
                                                  train::TransformOptions{});
  }
  train::Step step(*task, recipe, compute);
  train::StepInfo info{0, 1'000'000, 1'000};
  std::vector<double> losses, seconds;
  for (; info.step < steps; ++info.step) {
    const auto begin = std::chrono::steady_clock::now();
    const int64_t first = info.step % kBatches * kBatch;
    const train::Batch batch{
        pictures.slice(0, first, first + kBatch).contiguous(torch::MemoryFormat::ChannelsLast),
        labels.slice(0, first, first + kBatch),
        {}};
    losses.push_back(step.take(batch, info).total.item<double>());
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  fmt::print("{{\"losses\": [{}], \"seconds\": [{}]}}\n", fmt::join(losses, ", "),
             fmt::join(seconds, ", "));
}

}  // namespace

int main(int argc, char** argv) {
  // As veilnet-lab keeps its memory (src/cli/lab/main.cpp).
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  at::set_num_threads(veilnet::physical_cores());
  try {
    const std::string command = argc > 1 ? argv[1] : "", what = argc > 3 ? argv[3] : "";
    if (command == "inputs" && argc == 3) {
      draw(argv[2]);
    } else if (command == "measure" && argc == 5 && (what == "psi" || what == "transform")) {
      measure(argv[2], what, std::atoll(argv[4]));
    } else {
      fmt::print(stderr, "usage: train_step inputs FOLDER | measure FOLDER psi|transform STEPS\n");
      return 2;
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "train_step: {}\n", e.what());
    return 1;
  }
}
