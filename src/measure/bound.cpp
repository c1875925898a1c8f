#include "measure/bound.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "core/error.h"

namespace veilnet::measure {
namespace {

using Members = std::vector<std::vector<uint32_t>>;

Members groups_by(const std::function<std::string(uint32_t)>& key, size_t count) {
  std::map<std::string, std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < count; ++i) groups[key(i)].push_back(i);
  Members out;
  for (auto& [name, members] : groups) out.push_back(std::move(members));
  return out;
}

// Of each picture, its mean squared distance from the mean of its group, values in [0, 1]; without
// bias: times n / (n - 1), and 0 for a group of one.
std::vector<double> distances(const data::Dataset& plain, const Members& groups) {
  const size_t values = plain.pictures.picture_bytes();
  std::vector<double> out(plain.size());
  std::vector<double> mean(values);
  for (const auto& group : groups) {
    if (group.size() < 2) continue;
    const auto n = static_cast<double>(group.size());
    std::ranges::fill(mean, 0);
    for (const auto i : group)
      for (size_t j = 0; j < values; ++j) mean[j] += plain.image(i)[j] / n;
    for (const auto i : group) {
      double sum = 0;
      for (size_t j = 0; j < values; ++j) sum += std::pow((plain.image(i)[j] - mean[j]) / 255, 2);
      out[i] = sum / static_cast<double>(values) * n / (n - 1);
    }
  }
  return out;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Half of the 95 % interval of their mean, by the normal approximation.
double half_interval(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  const auto n = static_cast<double>(values.size());
  return n > 1 ? 1.96 * std::sqrt(sum / (n - 1) / n) : 0;
}

double psnr(double mse) { return -10 * std::log10(std::max(mse, 1e-12)); }

// The expected share of different groups among `drawn` of all pictures, drawn without replacement.
double distinct_share(const Members& groups, size_t all, size_t drawn) {
  const auto log_choose = [](size_t n, size_t k) {
    return std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(k) + 1) -
           std::lgamma(static_cast<double>(n - k) + 1);
  };
  double distinct = 0;
  for (const auto& group : groups) {
    const size_t others = all - group.size();
    distinct +=
        others < drawn ? 1 : 1 - std::exp(log_choose(others, drawn) - log_choose(all, drawn));
  }
  return distinct / static_cast<double>(drawn);
}

}  // namespace

record::Bound bound(const data::Dataset& plain, const image::Batch& protected_pictures,
                    int64_t bits) {
  if (plain.size() < 2 || plain.size() != protected_pictures.count())
    fail(ErrorCode::InvalidArgument,
         "there are {} plain and {} protected pictures; allowed: 2 or more, and as many",
         plain.size(), protected_pictures.count());
  const size_t count = plain.size();
  const auto cells = groups_by(
      [&](uint32_t i) {
        const auto bytes = protected_pictures.picture(i);
        return std::string(bytes.begin(), bytes.end());
      },
      count);
  record::Bound b;
  b.bits = static_cast<uint64_t>(bits);
  b.pictures = count;
  b.distinct = cells.size();
  b.alone = static_cast<uint64_t>(
      std::ranges::count_if(cells, [](const auto& cell) { return cell.size() == 1; }));
  const auto squared = distances(plain, cells);
  const double mse = mean_of(squared);
  const double half = half_interval(squared);
  b.psnr_db = psnr(mse);
  b.psnr_low_db = psnr(mse + half);
  b.psnr_high_db = psnr(mse - half);
  b.class_mean_psnr_db = psnr(mean_of(distances(
      plain, groups_by([&](uint32_t i) { return std::to_string(plain.labels[i]); }, count))));
  b.mean_psnr_db =
      psnr(mean_of(distances(plain, groups_by([](uint32_t) { return std::string(); }, count))));
  for (const size_t candidates : {size_t{100}, size_t{1000}, size_t{10000}}) {
    if (candidates <= count)
      b.reidentified[std::to_string(candidates)] = distinct_share(cells, count, candidates);
  }
  return b;
}

std::optional<record::Flag> bound_flag(const record::Bound& bound,
                                       std::span<const double> psnr_db) {
  std::vector<double> squared;
  for (const double db : psnr_db) squared.push_back(std::pow(10, -db / 10));
  const double reached = psnr(mean_of(squared) + half_interval(squared));
  if (reached <= bound.psnr_high_db) return std::nullopt;
  return record::Flag{
      "beats_bound",
      fmt::format("reaches {:.2f} dB where no attack can reach {:.2f} dB: an error of the bound or "
                  "of this figure",
                  reached, bound.psnr_high_db)};
}

}  // namespace veilnet::measure
