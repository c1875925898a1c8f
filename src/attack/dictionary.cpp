// What needs no training against a public transformation network: the attacker's own pictures
// through it, and a look at which of the results is what he saw.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <torch/utils.h>

#include "attack/table.h"
#include "core/error.h"

namespace veilnet::attack {
namespace {

// Bytes [pictures, values], not copied.
torch::Tensor rows_of(const image::Batch& pictures) {
  return torch::from_blob(
      const_cast<uint8_t*>(pictures.pixels().data()),
      {static_cast<int64_t>(pictures.count()), static_cast<int64_t>(pictures.picture_bytes())},
      torch::kUInt8);
}

// For each picture, the position of the nearest own one by mean squared difference.
std::vector<uint32_t> nearest(const image::Batch& pictures, const image::Batch& own) {
  torch::NoGradGuard no_grad;
  // So many pictures of either side as numbers at once: 200 MB of 224x224.
  constexpr int64_t kRows = 150;
  const auto seen = rows_of(pictures), known = rows_of(own);
  std::vector<uint32_t> out;
  for (const auto& rows : seen.split(kRows)) {
    const auto x = rows.to(torch::kFloat);
    auto least = torch::full({x.size(0)}, std::numeric_limits<float>::max());
    auto which = torch::zeros({x.size(0)}, torch::kLong);
    int64_t first = 0;
    for (const auto& part : known.split(kRows)) {
      const auto y = part.to(torch::kFloat);
      const auto [distance, at] = (y.square().sum(1) - 2 * torch::mm(x, y.t())).min(1);
      const auto nearer = distance < least;
      least = torch::where(nearer, distance, least);
      which = torch::where(nearer, at + first, which);
      first += part.size(0);
    }
    for (int64_t i = 0; i < which.size(0); ++i)
      out.push_back(static_cast<uint32_t>(which[i].item<int64_t>()));
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
// none did. Drawn towards the mean of all, the more the fewer they are: by so much of it as there
// is variance within a code for each unit between codes (James and Stein's answer to few pictures).
image::Batch means_by_code(const image::Batch& attacked, const data::Pairs& own) {
  struct Sum {
    std::vector<double> values;
    double count = 0;

    void add(std::span<const uint8_t> picture) {
      values.resize(picture.size());
      for (size_t j = 0; j < picture.size(); ++j) values[j] += picture[j];
      ++count;
    }
    // The sum of squares of the mean, count times.
    double squares() const {
      double squares = 0;
      for (const double value : values) squares += value * value;
      return squares / count;
    }
  };
  std::map<std::string, Sum> sums;
  const auto key = [](const image::Batch& pictures, size_t i) {
    const auto picture = pictures.picture(i);
    return std::string(picture.begin(), picture.end());
  };
  Sum all;
  double squares = 0, of_means = 0;
  for (size_t i = 0; i < own.count(); ++i) {
    const auto plain = own.plain().picture(i);
    sums[key(own.protected_pictures(), i)].add(plain);
    all.add(plain);
    for (const uint8_t value : plain) squares += static_cast<double>(value) * value;
  }
  for (const auto& [protected_picture, sum] : sums) of_means += sum.squares();
  const double codes = static_cast<double>(sums.size());
  double towards_all = 0;  // as so many pictures more, of the mean of all
  if (all.count > codes) {
    const double within = (squares - of_means) / (all.count - codes);
    const double whole = (squares - all.squares()) / (all.count - 1);
    towards_all = within / std::max(whole - within, 1e-3 * whole + 1e-9);
  }
  const auto fallback = nearest(attacked, own.protected_pictures());
  image::Batch out(attacked.height(), attacked.width());
  for (size_t i = 0; i < attacked.count(); ++i) {
    auto found = sums.find(key(attacked, i));
    if (found == sums.end()) found = sums.find(key(own.protected_pictures(), fallback[i]));
    image::Image mean{attacked.height(), attacked.width(), {}};
    for (size_t j = 0; j < all.values.size(); ++j)
      mean.rgb.push_back(static_cast<uint8_t>(
          std::lround((found->second.values[j] + towards_all * all.values[j] / all.count) /
                      (found->second.count + towards_all))));
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
  Attack attack{
      "code-means",
      "Protects pictures of his own and answers with the mean of those that became the very "
      "picture "
      "he saw, drawn towards the mean of all where they are few: with more of his own, the best "
      "answer by squared error where the output is a code.",
      [](const Target& t) -> Against {
        if (t.code_bits == 0) return "made for coded transformations, see dictionary";
        return by_own_pictures(t);
      },
      [](Materials& m, const Setting&) -> Outcome {
        return {means_by_code(m.attacked, data::Pairs(m.run(*m.auxiliary), m.auxiliary->pictures)),
                spent(m)};
      }};
  attack.version = 2;
  return attack;
}

}  // namespace veilnet::attack
