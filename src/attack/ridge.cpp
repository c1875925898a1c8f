// The best linear answer, without training: ridge regression of whole plain pictures on whole
// protected ones.
#include <ATen/ops/linalg_solve.h>
#include <algorithm>
#include <array>
#include <limits>
#include <torch/utils.h>
#include <vector>

#include "attack/inverse.h"
#include "attack/table.h"

namespace veilnet::attack {
namespace {

// Four matrices of as many rows and columns: 1.5 GB of 48x48.
constexpr int64_t kMostValues = 3 * 48 * 48;
// Pictures as numbers at once.
constexpr int64_t kRows = 500;
// The penalty is chosen by so many of the values.
constexpr int64_t kTried = 64;
constexpr std::array kPenalties{1e-4, 1e-3, 1e-2, 1e-1, 1.0};  // of the mean variance of a value

// So many pictures from `first` on, [pictures, values], 0 to 1.
torch::Tensor rows_of(const image::Batch& pictures, int64_t first) {
  const auto values = static_cast<int64_t>(pictures.picture_bytes());
  const auto count = std::min(kRows, static_cast<int64_t>(pictures.count()) - first);
  return torch::from_blob(const_cast<uint8_t*>(pictures.pixels().data()) + first * values,
                          {count, values}, torch::kUInt8)
             .to(torch::kFloat) /
         255;
}

torch::Tensor mean_of(const image::Batch& pictures) {
  torch::Tensor sum;
  for (int64_t i = 0; i < static_cast<int64_t>(pictures.count()); i += kRows) {
    const auto part = rows_of(pictures, i).sum(0, false, torch::kDouble);
    sum = sum.defined() ? sum + part : part;
  }
  return (sum / static_cast<double>(pictures.count())).to(torch::kFloat);
}

// plain ~ mean + (protected - seen) weights
struct Map {
  torch::Tensor seen, mean, weights;

  torch::Tensor operator()(const torch::Tensor& rows) const {
    return torch::mm(rows - seen, weights) + mean;
  }
};

Map fitted(const data::Pairs& pairs, const data::Pairs& validation) {
  Map map{mean_of(pairs.protected_pictures()), mean_of(pairs.plain()), {}};
  const auto values = map.mean.size(0), count = static_cast<int64_t>(pairs.count());
  // Where there are fewer pictures than values the weights are sums of them (the dual form, equal
  // and cheaper): as many unknowns as pictures.
  const bool dual = count < values;
  const auto unknowns = std::min(count, values);
  auto normal = torch::zeros({unknowns, unknowns}, torch::kDouble);
  auto right = torch::zeros({unknowns, values}, torch::kDouble);
  std::vector<torch::Tensor> parts;
  for (int64_t i = 0; i < count; i += kRows) {
    const auto x = rows_of(pairs.protected_pictures(), i) - map.seen;
    const auto y = rows_of(pairs.plain(), i) - map.mean;
    if (dual) {
      parts.push_back(x);
      right.narrow(0, i, y.size(0)).copy_(y);
    } else {
      normal += torch::mm(x.t(), x);
      right += torch::mm(x.t(), y);
    }
  }
  const auto seen = dual ? torch::cat(parts) : torch::Tensor();
  if (dual) normal.copy_(torch::mm(seen, seen.t()));
  const double scale = std::max(normal.trace().item<double>() / static_cast<double>(values), 1e-9);
  const auto solved = [&](double penalty, const torch::Tensor& columns) {
    auto penalised = normal.clone();
    penalised.diagonal().add_(penalty * scale);
    const auto solution = at::linalg_solve(penalised, columns).to(torch::kFloat);
    return dual ? torch::mm(seen.t(), solution) : solution;
  };
  const auto tried = torch::arange(0, values, std::max<int64_t>(values / kTried, 1));
  double best = 0, least = std::numeric_limits<double>::max();
  for (const double penalty : kPenalties) {
    const Map part{map.seen, map.mean.index_select(0, tried),
                   solved(penalty, right.index_select(1, tried))};
    double error = 0;
    for (int64_t i = 0; i < static_cast<int64_t>(validation.count()); i += kRows)
      error += (part(rows_of(validation.protected_pictures(), i)) -
                rows_of(validation.plain(), i).index_select(1, tried))
                   .square()
                   .sum()
                   .item<double>();
    if (error >= least) continue;
    least = error;
    best = penalty;
  }
  map.weights = solved(best, right);
  return map;
}

Against against(const Target& t) {
  if (t.values > kMostValues)
    return fmt::format(
        "solves for as many unknowns as a picture has values, squared; allowed are "
        "pictures of up to {} values",
        kMostValues);
  if (t.keys == Keys::None) return kPublicTransform;
  if (t.keys == Keys::Independent) return ciphertext_only(t, Auxiliary::SameDistribution);
  return "its pairs are under other keys than the attacked one, see known-plaintext";
}

Outcome run(Materials& m, const Setting&) {
  torch::NoGradGuard no_grad;
  const auto split = split_known(m);
  const data::Pairs pairs(m.run(*m.auxiliary), m.auxiliary->pictures);
  const auto map = fitted(pairs.subset(split.train), pairs.subset(split.validation));
  image::Batch out(m.attacked.height(), m.attacked.width());
  for (int64_t i = 0; i < static_cast<int64_t>(m.attacked.count()); i += kRows) {
    const auto bytes =
        (map(rows_of(m.attacked, i)).clamp(0, 1) * 255).round().to(torch::kUInt8).contiguous();
    out.append(std::span(bytes.data_ptr<uint8_t>(), static_cast<size_t>(bytes.numel())));
  }
  return {std::move(out), {{"own pictures", static_cast<int64_t>(m.auxiliary->size())}}};
}

}  // namespace

Attack ridge() {
  return {"ridge",
          "Solves for the linear map from protected to plain pictures that fits pairs which the "
          "attacker makes himself, under keys of his own where there are keys (ridge regression).",
          against, run};
}

}  // namespace veilnet::attack
