#include "measure/hiding.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_solve.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <torch/nn/functional.h>
#include <torch/utils.h>

#include "core/error.h"
#include "image/metrics.h"
#include "nn/infer.h"

namespace veilnet::measure {
namespace {

constexpr int64_t kProbe = 5, kInputs = 3 * kProbe * kProbe, kHidden = 256;
// Of so many pixels the surroundings are held at once: 70 MB.
constexpr int64_t kPixelsAtOnce = 50 * 1024;

torch::Tensor floats(const image::Batch& pictures) {
  return nn::to_tensor(pictures.pixels(), static_cast<int64_t>(pictures.count()), pictures.height(),
                       pictures.width(), torch::kCPU);
}

// A layer of random weights (extreme learning machine): outlines are seen in how much a pixel
// differs, and a linear function knows no size without a sign.
struct Hidden {
  torch::Tensor weights, bias;
  Hidden() {
    auto generator = at::detail::createCPUGenerator(1);
    weights = torch::randn({kInputs, kHidden}, generator) / std::sqrt(double{kInputs});
    bias = torch::randn({kHidden}, generator);
  }
};

// Every pixel's surroundings in terms of `scale`, what the layer makes of them, and a one.
torch::Tensor inputs(const torch::Tensor& pictures, double scale, const Hidden& hidden) {
  namespace F = torch::nn::functional;
  const auto padded = F::pad(
      pictures,
      F::PadFuncOptions({kProbe / 2, kProbe / 2, kProbe / 2, kProbe / 2}).mode(torch::kReplicate));
  const auto columns = torch::im2col(padded, {kProbe, kProbe}, {1, 1}, {0, 0}, {1, 1});
  const auto rows = columns.transpose(1, 2).flatten(0, 1) / scale;
  return torch::cat({rows, torch::relu(torch::addmm(hidden.bias, rows, hidden.weights)),
                     torch::ones({rows.size(0), 1})},
                    1);
}

torch::Tensor pixels(const torch::Tensor& pictures) {
  return pictures.permute({0, 2, 3, 1}).reshape({-1, 3});
}

// Mean squared error of the probe on the second half, in terms of the mean picture's.
double probe_error(const torch::Tensor& protected_pictures, const torch::Tensor& plain) {
  const auto half = plain.size(0) / 2;
  // What is the same in all pictures says nothing of one.
  const auto seen_mean = protected_pictures.slice(0, 0, half).mean(0, true),
             mean = plain.slice(0, 0, half).mean(0, true);
  const auto scale =
      std::max((protected_pictures.slice(0, 0, half) - seen_mean).std().item<double>(), 1e-3);
  const Hidden hidden;
  const auto seen = [&](int64_t begin, int64_t end) {
    return inputs(protected_pictures.slice(0, begin, end) - seen_mean, scale, hidden);
  };
  constexpr int64_t kAll = kInputs + kHidden + 1;
  const auto step = std::max<int64_t>(kPixelsAtOnce / (plain.size(2) * plain.size(3)), 1);
  auto normal = torch::zeros({kAll, kAll}, torch::kDouble),
       right = torch::zeros({kAll, 3}, torch::kDouble);
  for (int64_t i = 0; i < half; i += step) {
    const auto end = std::min(i + step, half);
    const auto x = seen(i, end);
    normal += torch::mm(x.t(), x);
    right += torch::mm(x.t(), pixels(plain.slice(0, i, end) - mean));
  }
  // A little ridge, for protected pictures that are all alike.
  normal +=
      torch::eye(normal.size(0), torch::kDouble) * (1e-4 * normal.diagonal().mean().item<double>());
  const auto weights = at::linalg_solve(normal, right).to(torch::kFloat);
  double error = 0, of_mean = 0;
  for (int64_t i = half; i < plain.size(0); i += step) {
    const auto end = std::min(i + step, plain.size(0));
    const auto truth = pixels(plain.slice(0, i, end) - mean);
    error += (torch::mm(seen(i, end), weights) - truth).square().sum().item<double>();
    of_mean += truth.square().sum().item<double>();
  }
  return error / std::max(of_mean, 1e-12);
}

// Inner products of every two pictures, without their mean [n, n]. A part of the pixels at once,
// for large pictures.
torch::Tensor products(const image::Batch& pictures) {
  constexpr int64_t kPart = 4096;
  const auto n = static_cast<int64_t>(pictures.count());
  const auto bytes =
      torch::from_blob(const_cast<uint8_t*>(pictures.pixels().data()),
                       {n, static_cast<int64_t>(pictures.picture_bytes())}, torch::kUInt8);
  auto sum = torch::zeros({n, n}, torch::kDouble);
  for (const auto& part : bytes.split(kPart, 1)) {
    auto values = part.to(torch::kFloat) / 255;
    values -= values.mean(0, true);
    sum += torch::mm(values, values.t());
  }
  return sum;
}

// Of fewer, the mean of a class is hardly known.
constexpr int64_t kFewestOfAClass = 4;

// The pictures of each class that has enough.
std::vector<std::vector<uint32_t>> members_of(std::span<const int32_t> labels) {
  std::map<int32_t, std::vector<uint32_t>> classes;
  for (size_t i = 0; i < labels.size(); ++i) classes[labels[i]].push_back(static_cast<uint32_t>(i));
  std::vector<std::vector<uint32_t>> members;
  for (auto& [label, those] : classes)
    if (std::ssize(those) >= kFewestOfAClass) members.push_back(std::move(those));
  return members;
}

// What is left of the variance about the mean picture, 0 to 1, about the means of the classes: of
// true means, not of those of a few pictures. 1 where every class has fewer.
double share_within(const torch::Tensor& plain, std::span<const int32_t> labels) {
  const double n = static_cast<double>(labels.size());
  double within = 0, all = 0;
  for (const auto& members : members_of(labels)) {
    const double k = static_cast<double>(members.size());
    const auto those = torch::tensor(std::vector<int64_t>(members.begin(), members.end()));
    const auto own = plain.index_select(0, those).index_select(1, those);
    const double squares = own.trace().item<double>();
    within += (squares - own.sum().item<double>() / k) * k / (k - 1);
    all += squares * n / (n - 1);
  }
  return all > 0 ? std::min(within / all, 1.0) : 1;
}

// Mean squared error of ridge regression from protected to plain pictures, each rebuilt by what is
// fitted on all others, in terms of the mean picture's: by its dual form, in which leaving one out
// costs nothing, with the penalty that serves best.
double ridge_error(const torch::Tensor& seen, const torch::Tensor& plain) {
  auto [values, vectors] = at::linalg_eigh(seen);
  values = values.clamp_min(0);
  const auto rotated = torch::mm(torch::mm(vectors.t(), plain), vectors);
  const double scale = std::max(values.mean().item<double>(), 1e-12);
  const double n = static_cast<double>(seen.size(0));
  double least = std::numeric_limits<double>::max();
  for (const double penalty : {1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0}) {
    const auto left = penalty * scale / (values + penalty * scale);
    const auto of_residual = vectors * left;
    const auto squares = (torch::mm(of_residual, rotated) * of_residual).sum(1);
    const auto slack = ((vectors * of_residual).sum(1) - 1 / n).clamp_min(1e-9);  // 1 - leverage
    least = std::min(least, (squares / slack.square()).sum().item<double>());
  }
  return least / std::max(plain.trace().item<double>() * n / (n - 1), 1e-12);
}

// Lengths of the gradients of brightness, without their mean and as long as 1: [n, pixels].
torch::Tensor outlines(const torch::Tensor& pictures) {
  const auto grey = pictures.mean(1);
  const auto down = (grey.slice(1, 1) - grey.slice(1, 0, -1)).slice(2, 0, -1),
             right = (grey.slice(2, 1) - grey.slice(2, 0, -1)).slice(1, 0, -1);
  auto lengths = (down.square() + right.square()).sqrt().flatten(1);
  lengths = lengths - lengths.mean(1, true);
  return lengths / lengths.norm(2, 1, true).clamp_min(1e-9);
}

// Hiding::outline_gain.
double outline_gain(const image::Batch& seen, const image::Batch& plain,
                    std::span<const int32_t> labels) {
  double found = 0, by_chance = 0;
  for (const auto& members : members_of(labels)) {
    const auto alike = torch::mm(outlines(floats(seen.subset(members))),
                                 outlines(floats(plain.subset(members))).t());
    // How much each plain picture is like all of them says nothing of one.
    const auto likest = (alike - alike.mean(0, true)).argmax(1);
    found += likest.eq(torch::arange(alike.size(0))).sum().item<double>();
    by_chance += 1;
  }
  return by_chance > 0 ? found / by_chance : 1;
}

}  // namespace

std::string Hiding::broken_limits() const {
  std::string broken;
  const auto add = [&](bool is_broken, const std::string& limit) {
    if (is_broken) broken += (broken.empty() ? "" : "; ") + limit;
  };
  add(std::abs(ssim) > kMostSsim, fmt::format("SSIM beyond {}", kMostSsim));
  add(feature_distance < kLeastFeatureDistance,
      fmt::format("features within {} times", kLeastFeatureDistance));
  add(probe_gain_db > kMostProbeGainDb,
      fmt::format("rebuilt by more than {} dB", kMostProbeGainDb));
  add(ridge_gain_db > kMostRidgeGainDb,
      fmt::format("rebuilt by more than {} dB beyond its class", kMostRidgeGainDb));
  add(outline_gain > kMostOutlineGain, "outlines show");
  return broken;
}

double Hiding::margin() const {
  constexpr double kNothing = 1e-3;
  return std::min({kMostSsim / std::max(std::abs(ssim), kNothing),
                   feature_distance / kLeastFeatureDistance,
                   kMostProbeGainDb / std::max(probe_gain_db, kNothing)});
}

std::string Hiding::text() const {
  const auto figures = fmt::format(
      "SSIM with the plain picture {:.2f}, phi's features {:.1f} times as far as another "
      "picture's, a small inverse network rebuilds {:.1f} dB beyond the mean picture, ridge "
      "regression {:.1f} dB beyond the mean of the class, outlines tell it from others of its "
      "class {:.1f} times as often as chance",
      ssim, feature_distance, std::max(probe_gain_db, 0.0), std::max(ridge_gain_db, 0.0),
      outline_gain);
  const auto broken = broken_limits();
  if (broken.empty()) return "protects: " + figures;
  return fmt::format("does not protect: {} ({})", broken, figures);
}

Hiding look_at(const nn::Model& h, nn::FeatureExtractor& phi, const model::Card& card,
               const image::Batch& plain, std::span<const int32_t> labels) {
  if (labels.size() != plain.count())
    fail(ErrorCode::InvalidArgument, "{} labels of {} pictures; allowed: one for each",
         labels.size(), plain.count());
  if (plain.count() < 20 || plain.height() < 8 || plain.width() < 8)
    fail(ErrorCode::InvalidArgument, "{} pictures of {}x{}; allowed: 20 or more of 8x8 or more",
         plain.count(), plain.height(), plain.width());
  torch::NoGradGuard no_grad;
  const auto seen = nn::transform(h, plain);
  Hiding hiding;
  std::vector<uint32_t> next(plain.count());
  std::iota(next.begin(), next.end(), 1u);
  next.back() = 0;
  const auto mean = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  hiding.feature_distance =
      mean(nn::feature_distances(phi, card, seen, plain)) /
      std::max(mean(nn::feature_distances(phi, card, plain.subset(next), plain)), 1e-12);
  for (size_t i = 0; i < plain.count(); ++i)
    hiding.ssim += image::ssim(seen.picture(i), plain.picture(i), plain.height(), plain.width()) /
                   static_cast<double>(plain.count());
  const auto gain_db = [](double error) { return -10 * std::log10(std::max(error, 1e-9)); };
  hiding.probe_gain_db = gain_db(probe_error(floats(seen), floats(plain)));
  const auto of_plain = products(plain);
  hiding.ridge_gain_db =
      gain_db(ridge_error(products(seen), of_plain) / share_within(of_plain, labels));
  hiding.outline_gain = outline_gain(seen, plain, labels);
  return hiding;
}

}  // namespace veilnet::measure
