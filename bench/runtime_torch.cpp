// LibTorch's side of bench/runtime.py.
//
//   runtime_torch models FOLDER            draws the networks and writes <name>.safetensors, and
//                                          <name>-<side>.safetensors: "pictures" [32, 3, side,
//                                          side] with values in [0, 1] and what LibTorch makes of
//                                          them
//   runtime_torch measure MODEL SIDE BATCH SECONDS   prints seconds a batch, for both layouts
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/progress.h"
#include "core/safetensors.h"
#include "nn/model.h"

namespace {

namespace fs = std::filesystem;
namespace model = veilnet::model;
namespace nn = veilnet::nn;

struct Case {
  std::string name, architecture;
  int64_t width, depth;
  std::vector<int64_t> sides;
};
const std::vector<Case> kCases = {{"unet_w4", "unet", 4, 0, {32, 224}},
                                  {"unet_w16", "unet", 16, 0, {32, 224}},
                                  {"unet_w64", "unet", 64, 0, {32, 224}},
                                  {"resnet20", "resnet", 0, 20, {32, 224}},
                                  {"vgg16_bn", "vgg16_bn", 0, 0, {32, 224}}};

// Smooth colours with some noise, of 256 levels, as photographs have.
torch::Tensor draw_pictures(int64_t count, int64_t side) {
  const auto smooth = at::upsample_bilinear2d(torch::rand({count, 3, 4, 4}), {side, side},
                                              /*align_corners=*/false);
  return ((smooth + 0.05 * torch::randn({count, 3, side, side})).clamp(0, 1) * 255).round() / 255;
}

torch::Tensor result(const nn::Model& m, const torch::Tensor& pictures) {
  return m.card.role == model::Role::Classifier ? nn::classify(m, pictures)
                                                : nn::transform(m, pictures);
}

void write_models(const fs::path& folder) {
  torch::manual_seed(1);
  for (const auto& [name, architecture, width, depth, sides] : kCases) {
    model::Card card;
    card.role = architecture == "unet" ? model::Role::Transform : model::Role::Classifier;
    card.architecture = architecture;
    card.base_width = width;
    card.depth = depth;
    card.height = card.width = sides[0];
    card.class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    auto m = nn::make_model(card);
    // Statistics of real activations in the norms, or signals would die out or explode.
    m.net->train();
    {
      const torch::NoGradGuard guard;
      for (int i = 0; i < 20; ++i) result(m, draw_pictures(16, sides[0]));
    }
    m.net->eval();
    nn::save_model(m, folder / (name + ".safetensors"), veilnet::Overwrite::Yes);
    const torch::InferenceMode guard;
    for (const auto side : sides) {
      const auto pictures = draw_pictures(32, side).contiguous();
      const auto output = result(m, pictures).contiguous();
      const auto view = [](const char* tensor, const torch::Tensor& t) {
        return veilnet::TensorView{
            tensor,
            veilnet::DType::F32,
            t.sizes().vec(),
            {static_cast<const uint8_t*>(t.data_ptr()), static_cast<size_t>(t.nbytes())}};
      };
      const std::vector<veilnet::TensorView> tensors = {view("pictures", pictures),
                                                        view("output", output)};
      veilnet::save_safetensors(folder / fmt::format("{}-{}.safetensors", name, side), tensors, {},
                                veilnet::Overwrite::Yes);
    }
  }
}

double measure(const nn::Model& m, const torch::Tensor& pictures, double seconds) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) result(m, pictures);
  std::vector<double> times;
  for (double total = 0; total < seconds || times.size() < 3; total += times.back()) {
    const auto begin = Clock::now();
    result(m, pictures);
    times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  at::set_num_threads(veilnet::physical_cores());
  try {
    const std::string command = argc > 1 ? argv[1] : "";
    if (command == "models" && argc == 3) {
      write_models(argv[2]);
    } else if (command == "measure" && argc == 6) {
      const auto m = nn::load_model(argv[2]);
      const auto pictures = draw_pictures(std::atoll(argv[4]), std::atoll(argv[3]));
      const double seconds = std::atof(argv[5]) / 2;
      const torch::InferenceMode guard;
      const double plain = measure(m, pictures, seconds);
      nn::move_to(*m.net, torch::kCPU);  // weights in channels-last memory
      const double last = measure(m, pictures.contiguous(at::MemoryFormat::ChannelsLast), seconds);
      fmt::print("{{\"torch\": {}, \"torch_channels_last\": {}}}\n", plain, last);
    } else {
      fmt::print(stderr, "usage: runtime_torch models FOLDER | measure MODEL SIDE BATCH SECONDS\n");
      return 2;
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "runtime_torch: {}\n", e.what());
    return 1;
  }
}
