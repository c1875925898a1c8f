// What is left of a picture, whatever it looks like.
#include <algorithm>
#include <torch/utils.h>

#include "measure/measures.h"

namespace veilnet::measure {
namespace {

torch::Tensor rows_of(const image::Batch& pictures, size_t count) {
  return torch::from_blob(
             const_cast<uint8_t*>(pictures.pixels().data()),
             {static_cast<int64_t>(count), static_cast<int64_t>(pictures.picture_bytes())},
             torch::kUInt8)
      .to(torch::kFloat);
}

// Between pictures, in 8-bit steps.
double spread(const image::Batch& pictures, size_t count) {
  return rows_of(pictures, count).std(0, false).mean().item<double>();
}

}  // namespace

double diversity(const Guesses& g) {
  return spread(g.recovered, g.count()) / std::max(spread(g.plain.pictures, g.count()), 1e-9);
}

Measured exact(const Guesses& g, const Judges&) {
  size_t same = 0;
  for (size_t i = 0; i < g.count(); ++i)
    same += std::ranges::equal(g.plain.image(i), g.recovered.picture(i));
  return static_cast<double>(same) / static_cast<double>(g.count());
}

// The share of guesses to which their own picture is the nearest of all that are guessed at.
Measured reidentified(const Guesses& g, const Judges&) {
  const auto candidates = rows_of(g.plain.pictures, g.count()),
             guesses = rows_of(g.recovered, g.count());
  const auto lengths = candidates.square().sum(1);
  int64_t right = 0;
  constexpr int64_t kRows = 500;
  const auto count = static_cast<int64_t>(g.count());
  for (int64_t at = 0; at < count; at += kRows) {
    const auto rows = guesses.slice(0, at, std::min(at + kRows, count));
    const auto nearest = (lengths - 2 * torch::mm(rows, candidates.t())).argmin(1);
    right += nearest.eq(torch::arange(at, at + rows.size(0))).sum().item<int64_t>();
  }
  return static_cast<double>(right) / static_cast<double>(count);
}

// Mean squared distance of phi's features.
Measured feature_distance(const Guesses& g, const Judges& judges) {
  if (!judges.phi) return std::nullopt;
  torch::NoGradGuard no_grad;
  Values out;
  const auto features = [&](const image::Batch& pictures, size_t at, size_t count) {
    const auto bytes = pictures.picture_bytes();
    return judges.phi->forward(
        nn::normalise(nn::to_tensor(pictures.pixels().subspan(at * bytes, count * bytes),
                                    static_cast<int64_t>(count), pictures.height(),
                                    pictures.width(), judges.device),
                      judges.phi->card));
  };
  for (size_t at = 0; at < g.count(); at += 256) {
    const auto count = std::min<size_t>(256, g.count() - at);
    const auto difference =
        features(g.plain.pictures, at, count) - features(g.recovered, at, count);
    const auto means =
        difference.square().mean({1, 2, 3}).to(torch::kCPU, torch::kDouble).contiguous();
    out.insert(out.end(), means.data_ptr<double>(), means.data_ptr<double>() + count);
  }
  return out;
}

}  // namespace veilnet::measure
