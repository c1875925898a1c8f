// `veilnet bench`: how fast a model computes here, where its time goes, and how far its results are
// from another back end's.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <memory>

#include "cli/client/models.h"
#include "cli/command.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/safetensors.h"
#include "core/text.h"
#include "model/zoo.h"
#include "runtime/peak.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;

struct BenchOptions {
  CommonOptions common;
  fs::path model, against;
  int threads = 0;
  std::vector<int64_t> batches = {1, 32};
  std::string size, precision = "fp32", choice = "estimate";
  double seconds = 1;
  bool profile = false;
};

/// Smooth colours; what they are does not matter to the time.
std::vector<uint8_t> drawn_pictures(int64_t count, int64_t height, int64_t width) {
  std::vector<uint8_t> pixels;
  pixels.reserve(static_cast<size_t>(count * height * width * 3));
  for (int64_t n = 0; n < count; ++n)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < 3; ++c)
          pixels.push_back(static_cast<uint8_t>((n * 37 + y * (c + 2) + x * (3 - c) + 50) % 256));
  return pixels;
}

/// Median seconds of a batch, the first ones left out.
double measure(const runtime::Network& network, int64_t batch, int64_t height, int64_t width,
               double seconds) {
  const auto pictures = drawn_pictures(batch, height, width);
  const auto once = [&] {
    if (network.card().role == model::Role::Classifier) {
      network.logits(pictures, height, width);
    } else {
      network.transform(pictures, height, width);
    }
  };
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) once();
  std::vector<double> times;
  for (double total = 0; total < seconds || times.size() < 3; total += times.back()) {
    const auto begin = Clock::now();
    once();
    times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

runtime::Choice choice_of(const std::string& name) {
  if (name == "try") return runtime::Choice::Try;
  return name == "onednn" ? runtime::Choice::OneDnn : runtime::Choice::Estimate;
}

json profile(const runtime::Network& network, int64_t batch, int64_t height, int64_t width,
             double peak) {
  const auto steps = network.profile(batch, height, width, /*repeats=*/10);
  double total = 0;
  for (const auto& step : steps) total += step.seconds;
  auto rows = json::array();
  for (const auto& step : steps) {
    const double gflops = 2e-9 * step.multiplications / step.seconds;
    const bool computes = step.multiplications > 0;
    fmt::print("{:9.3f} ms {:5.1f} % {:>7} {:>6}  {}\n", 1e3 * step.seconds,
               100 * step.seconds / total, computes ? fmt::format("{:.0f}", gflops) : "",
               computes ? fmt::format("{:.2f}", gflops / peak) : "", step.name);
    rows.push_back({{"step", step.name}, {"seconds", step.seconds}, {"gflop_per_s", gflops}});
  }
  fmt::print(
      "{:9.3f} ms in all; then GFLOP/s of the plain computation, and that in terms of the {:.0f} "
      "GFLOP/s that fp32 reaches on registers alone; Winograd, which multiplies less, can pass 1\n",
      1e3 * total, peak);
  return rows;
}

/// The tensor's values, of pictures [N, C, H, W] with C behind the sides.
std::vector<float> channels_last(const TensorView& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  const auto side = [&](size_t i) { return i < tensor.shape.size() ? tensor.shape[i] : 1; };
  const auto* from = tensor.bytes.data();
  for (int64_t n = 0; n < side(0); ++n)
    for (int64_t c = 0; c < side(1); ++c)
      for (int64_t p = 0; p < side(2) * side(3); ++p, from += sizeof(float))
        std::copy_n(from, sizeof(float),
                    reinterpret_cast<uint8_t*>(
                        &values[static_cast<size_t>((n * side(2) * side(3) + p) * side(1) + c)]));
  return values;
}

/// Differences from the outputs that another back end had for stored pictures, as parts of the
/// largest of these.
json drift(const runtime::Network& network, const fs::path& path) {
  const auto file = Safetensors::load(path);
  const auto &pictures = file.at("pictures"), &output = file.at("output");
  const auto& card = network.card();
  const bool classifier = card.role == model::Role::Classifier;
  const auto& shape = pictures.shape;
  if (pictures.dtype != DType::F32 || output.dtype != DType::F32 || shape.size() != 4 ||
      shape[1] != 3 || shape[0] < 1 || output.shape.empty() || output.shape[0] != shape[0] ||
      (classifier
           ? output.shape != std::vector{shape[0], static_cast<int64_t>(card.class_names.size())}
           : output.shape != shape))
    fail(ErrorCode::BadData,
         "{}: must hold float32 tensors \"pictures\" [N, 3, H, W] with values in [0, 1] and "
         "\"output\", [N, {}]",
         path.string(),
         classifier ? fmt::format("{}", card.class_names.size()) : std::string("3, H, W"));
  std::vector<uint8_t> pixels;
  for (const float x : channels_last(pictures)) {
    const float level = x * 255;
    if (!(level > -0.5f && level < 255.5f) || std::abs(level - std::nearbyint(level)) > 1e-3f)
      fail(ErrorCode::BadData,
           "{}: \"pictures\" holds {}; allowed are the multiples of 1/255 in "
           "[0, 1]",
           path.string(), x);
    pixels.push_back(static_cast<uint8_t>(std::nearbyint(level)));
  }
  const auto got = network.outputs(pixels, shape[2], shape[3]);
  const auto expected = channels_last(output);
  double largest = 0;
  bool finite = true;
  for (const float x : expected) {
    finite = finite && std::isfinite(x);
    largest = std::max(largest, std::abs(double{x}));
  }
  if (!finite || largest == 0)
    fail(ErrorCode::BadData, "{}: \"output\" {}; differences are parts of its largest value",
         path.string(), finite ? "is zero throughout" : "holds values that are not finite");
  std::vector<double> differences;
  for (size_t i = 0; i < got.size(); ++i)
    differences.push_back(std::abs(double{got[i]} - expected[i]) / largest);
  std::ranges::sort(differences);
  double sum = 0;
  for (const double d : differences) sum += d;
  const double mean = sum / static_cast<double>(differences.size());
  const double most = differences[differences.size() * 99 / 100];
  fmt::print(
      "{} values, differences as parts of the largest value: mean {:.2g}, 99 % below "
      "{:.2g}, largest {:.2g}\n",
      differences.size(), mean, most, differences.back());
  json record = {
      {"values", differences.size()}, {"mean", mean}, {"p99", most}, {"max", differences.back()}};
  if (!classifier) {
    // As they are written.
    const auto bytes = network.transform(pixels, shape[2], shape[3]);
    size_t equal = 0;
    double levels = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      const double apart = std::abs(bytes[i] - std::nearbyint(255 * double{expected[i]}));
      equal += apart == 0;
      levels = std::max(levels, apart);
    }
    const double share = static_cast<double>(equal) / static_cast<double>(bytes.size());
    fmt::print("in 8 bits {} of the values are not equal, up to {:g} levels apart\n",
               bytes.size() - equal, levels);
    record["equal_share"] = share;
    record["most_levels"] = levels;
  }
  return record;
}

void run(const BenchOptions& o) {
  const auto precision = precision_of(o.precision);
  const auto isa = runtime::instruction_set(precision);
  auto model = model::load(model::file_of(o.model.native()));
  if (model.card.role == model::Role::Encoder)
    fail(ErrorCode::InvalidArgument,
         "{}: is an encoder, which computes codes; allowed: the coded h", o.model.string());
  if (model.card.bits > 0 && precision != runtime::Type::Float32)
    fail(ErrorCode::InvalidArgument, "{}: a coded h computes in fp32 only; --precision is {}",
         o.model.string(), o.precision);
  const auto [height, width] = picture_size(o.size, model.card);
  const auto padded = model::padded_shape(model.graph, height, width);
  // For a time, any ranges do.
  if (precision == runtime::Type::Int8 && o.against.empty() && runtime::ranges_of(model).empty()) {
    const runtime::Network wide(model, {.threads = o.threads});
    runtime::Ranges ranges;
    wide.calibrate(drawn_pictures(1, model.card.height, model.card.width), model.card.height,
                   model.card.width, ranges);
    model.card.notes[runtime::kRangesNote] = runtime::to_note(ranges, model.graph);
  }
  const auto graph = model.graph;
  const runtime::Network network(
      std::move(model),
      {.threads = o.threads, .precision = precision, .choice = choice_of(o.choice)});
  json record = {{"model", as_utf8(o.model.native())},
                 {"precision", o.precision},
                 {"kernels", isa},
                 {"height", height},
                 {"width", width}};
  if (!o.against.empty()) {
    record["against"] = drift(network, o.against);
  } else {
    const double peak = runtime::peak_gflop_per_s(o.threads > 0 ? o.threads : physical_cores());
    record["fp32_peak_gflop_per_s"] = peak;
    const double work =
        2e-9 * static_cast<double>(model::multiplications(graph, padded.height, padded.width));
    auto& rows = record["batches"] = json::array();
    for (const auto batch : o.batches) {
      const double seconds = measure(network, batch, height, width, o.seconds);
      fmt::print("{} x {}x{}: {:.3f} ms, {:.0f} pictures/s ({}, {})\n", batch, width, height,
                 1e3 * seconds, static_cast<double>(batch) / seconds, o.precision, isa);
      rows.push_back({{"batch", batch},
                      {"seconds", seconds},
                      {"share_of_fp32_peak", work * static_cast<double>(batch) / seconds / peak}});
      if (o.profile) rows.back()["profile"] = profile(network, batch, height, width, peak);
    }
  }
  write_json(o.common, record);
}

}  // namespace

void add_bench(CLI::App& command) {
  const auto options = std::make_shared<BenchOptions>();
  command
      .add_option("--model", options->model,
                  "Model (model.safetensors), or the name of one that `veilnet models` lists; of a "
                  "coded h encoder and decoder are timed, as protect needs them without --codebook")
      ->required()
      ->type_name("FILE");
  command.add_option("--batch", options->batches, "Pictures that go through at once")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  add_picture_size(command, options->size);
  command.add_option("--seconds", options->seconds, "How long each batch size is measured")
      ->check(between(0.01, 3600))
      ->capture_default_str();
  command
      .add_option("--threads", options->threads,
                  "Threads of the network; the physical cores unless given")
      ->check(CLI::Range(1, 1024));
  add_precision(command, options->precision);
  command
      .add_option("--choice", options->choice,
                  "How the way to compute each convolution in fp32 is chosen: estimate, as all "
                  "commands do; try, by trying all; onednn, always oneDNN's")
      ->check(CLI::IsMember({"estimate", "try", "onednn"}))
      ->capture_default_str();
  command.add_flag("--profile", options->profile, "Print the time and the speed of every step");
  command
      .add_option("--against", options->against,
                  "Instead of the time, print how far results are from another back end's: a "
                  "safetensors file with \"pictures\" and \"output\", laid out as those of an "
                  "exported ONNX model")
      ->type_name("FILE")
      ->excludes("--batch", "--size", "--seconds", "--profile");
  add_json(command, options->common);
  examples(command, {"veilnet bench --model h.safetensors --profile",
                     "veilnet bench --model h.safetensors --against stored.safetensors"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
