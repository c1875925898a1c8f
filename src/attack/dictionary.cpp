// What needs no training against a public transformation network: the attacker's own pictures
// through it, and a look at which of the results is what he saw.
#include <cmath>
#include <map>
#include <torch/utils.h>

#include "attack/table.h"
#include "core/error.h"

namespace veilnet::attack {
namespace {

torch::Tensor rows_of(const image::Batch& pictures) {
  return torch::from_blob(const_cast<uint8_t*>(pictures.pixels().data()),
                          {static_cast<int64_t>(pictures.count()),
                           static_cast<int64_t>(pictures.picture_bytes())},
                          torch::kUInt8)
      .to(torch::kFloat);
}

// For each picture, the position of the nearest own one by mean squared difference.
std::vector<uint32_t> nearest(const image::Batch& pictures, const image::Batch& own) {
  torch::NoGradGuard no_grad;
  const auto known = rows_of(own);
  const auto lengths = known.square().sum(1);
  constexpr int64_t kRows = 500;
  std::vector<uint32_t> out;
  for (const auto& rows : rows_of(pictures).split(kRows)) {
    const auto best = (lengths - 2 * torch::mm(rows, known.t())).argmin(1);
    for (int64_t i = 0; i < best.size(0); ++i)
      out.push_back(static_cast<uint32_t>(best[i].item<int64_t>()));
  }
  return out;
}

Against by_own_pictures(const Target& target) {
  if (!target.network) return "made for transformation networks";
  return kPublicTransform;
}

decltype(Outcome::spent) spent(const Materials& m) {
  return {{"own pictures", static_cast<int64_t>(m.auxiliary->size())}};
}

// The mean of the own pictures that became the same protected picture; the nearest one's where
// none did.
image::Batch means_by_code(const image::Batch& attacked, const data::Pairs& own) {
  struct Sum {
    std::vector<double> values;
    double count = 0;
  };
  std::map<std::vector<uint8_t>, Sum> sums;
  const auto key = [](const image::Batch& pictures, size_t i) {
    const auto picture = pictures.picture(i);
    return std::vector<uint8_t>(picture.begin(), picture.end());
  };
  for (size_t i = 0; i < own.count(); ++i) {
    auto& sum = sums[key(own.protected_pictures(), i)];
    const auto plain = own.plain().picture(i);
    sum.values.resize(plain.size());
    for (size_t j = 0; j < plain.size(); ++j) sum.values[j] += plain[j];
    ++sum.count;
  }
  const auto fallback = nearest(attacked, own.protected_pictures());
  image::Batch out(attacked.height(), attacked.width());
  for (size_t i = 0; i < attacked.count(); ++i) {
    auto found = sums.find(key(attacked, i));
    if (found == sums.end()) found = sums.find(key(own.protected_pictures(), fallback[i]));
    image::Image mean{attacked.height(), attacked.width(), {}};
    for (const double value : found->second.values)
      mean.rgb.push_back(static_cast<uint8_t>(std::lround(value / found->second.count)));
    out.append(mean);
  }
  return out;
}

}  // namespace

Attack dictionary() {
  return {"dictionary",
          "Protects pictures of his own and answers with the plain one whose protected version is "
          "nearest to what he saw.",
          by_own_pictures, [](Materials& m, const Setting&) -> Outcome {
            const auto which = nearest(m.attacked, m.run(*m.auxiliary));
            return {m.auxiliary->pictures.subset(which), spent(m)};
          }};
}

Attack code_means() {
  return {"code-means",
          "Protects pictures of his own and answers with the mean of those that became the very "
          "picture he saw: the best answer by squared error where the output is a code.",
          [](const Target& t) -> Against {
            if (t.code_bits == 0) return "made for coded transformations, see dictionary";
            return by_own_pictures(t);
          },
          [](Materials& m, const Setting&) -> Outcome {
            return {
                means_by_code(m.attacked, data::Pairs(m.run(*m.auxiliary), m.auxiliary->pictures)),
                spent(m)};
          }};
}

}  // namespace veilnet::attack
