#include "measure/bound.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include <boost/math/distributions/binomial.hpp>

#include "cipher/key.h"
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

// Half of the 95 % interval of their mean, by the normal approximation. Distances from the mean of
// a group of n depend on each other, those of a pair wholly: their sum varies n / (n - 1) times as
// much as that of independent ones (exactly so for normal pictures).
double half_interval(const std::vector<double>& values, const Members& groups) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const auto& group : groups) {
    const auto n = static_cast<double>(group.size());
    for (const auto i : group)
      sum += (values[i] - mean) * (values[i] - mean) * (n > 1 ? n / (n - 1) : 1);
  }
  const auto n = static_cast<double>(values.size());
  return n > 1 ? 1.96 * std::sqrt(sum / (n - 1) / n) : 0;
}

double psnr(double mse) { return -10 * std::log10(std::max(mse, 1e-12)); }

// The expected number of different groups among `drawn` of all pictures, drawn without replacement.
double distinct_among(const Members& groups, size_t all, size_t drawn) {
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
  return distinct;
}

// Numbers of candidates to say it of: round ones, and all.
std::vector<size_t> candidates_of(size_t pictures) {
  std::vector<size_t> out;
  for (const size_t round : {100, 1000, 10000})
    if (round < pictures) out.push_back(round);
  out.push_back(pictures);
  return out;
}
constexpr uint64_t kAuditDraws = 200'000;

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
  std::vector<double> sizes;  // of each picture's cell
  for (const auto& cell : cells)
    sizes.insert(sizes.end(), cell.size(), static_cast<double>(cell.size()));
  std::ranges::sort(sizes);
  b.anonymity = record::quantile(sizes, 0.5);
  const auto squared = distances(plain, cells);
  const double mse = mean_of(squared);
  const double half = half_interval(squared, cells);
  b.psnr_db = psnr(mse);
  b.psnr_low_db = psnr(mse + half);
  b.psnr_high_db = psnr(mse - half);
  b.class_mean_psnr_db = psnr(mean_of(distances(
      plain, groups_by([&](uint32_t i) { return std::to_string(plain.labels[i]); }, count))));
  b.mean_psnr_db =
      psnr(mean_of(distances(plain, groups_by([](uint32_t) { return std::string(); }, count))));
  for (const auto candidates : candidates_of(count))
    b.reidentified[std::to_string(candidates)] =
        distinct_among(cells, count, candidates) / static_cast<double>(candidates);
  return b;
}

record::Bound bound(const data::Dataset& plain, const image::Batch& protected_pictures,
                    std::span<const uint64_t> codes,
                    const protection::RandomisedResponse& response) {
  auto b = bound(plain, protected_pictures, response.bits());
  if (codes.size() != plain.size())
    fail(ErrorCode::InvalidArgument, "there are {} codes for {} pictures; allowed: as many",
         codes.size(), plain.size());
  const auto cells = groups_by([&](uint32_t i) { return std::to_string(codes[i]); }, codes.size());
  for (const auto candidates : candidates_of(codes.size()))
    b.reidentified[std::to_string(candidates)] = response.reidentified(
        distinct_among(cells, codes.size(), candidates), static_cast<double>(candidates));
  b.epsilon = response.epsilon();
  b.kept = response.kept();
  b.epsilon_seen = audited_epsilon(response, kAuditDraws, 1);
  return b;
}

void add_pictures_at_hand(record::Bound& b, std::span<const uint64_t> codes,
                          const protection::RandomisedResponse* response) {
  if (codes.empty())
    fail(ErrorCode::InvalidArgument, "there are no codes of pictures; allowed: 1 or more");
  constexpr uint64_t kListed = 16;  // bits, of which every code can be listed
  const std::set<uint64_t> used(codes.begin(), codes.end());
  b.at_hand = codes.size();
  b.distinct_at_hand = used.size();
  if (b.bits <= kListed) b.dead = (uint64_t{1} << b.bits) - used.size();
  const auto distinct = static_cast<double>(used.size()),
             candidates = static_cast<double>(codes.size());
  b.reidentified[std::to_string(codes.size())] =
      response ? response->reidentified(distinct, candidates) : distinct / candidates;
}

double audited_epsilon(const protection::RandomisedResponse& response, uint64_t draws,
                       uint64_t seed) {
  using Binomial = boost::math::binomial_distribution<double>;
  constexpr double kMissed = 0.025;       // by each of the two intervals, on one side
  const std::uint8_t one = 1, other = 2;  // the pictures
  const auto master = cipher::key_from_seed(seed);
  uint64_t from_one = 0, from_other = 0;  // answers 1
  for (uint64_t i = 0; i < draws; ++i) {
    const auto secret = cipher::derive_key(master, i);
    from_one += response.answer(1, {&one, 1}, secret, "") == 1;
    from_other += response.answer(0, {&other, 1}, secret, "") == 1;
  }
  const auto n = static_cast<double>(draws);
  const double least = Binomial::find_lower_bound_on_p(n, static_cast<double>(from_one), kMissed);
  const double most = Binomial::find_upper_bound_on_p(n, static_cast<double>(from_other), kMissed);
  return std::max(std::log(least / most), 0.0);
}

std::optional<record::Flag> bound_flag(const record::Bound& bound,
                                       std::span<const double> psnr_db) {
  const auto [leak, half] = record::error_reached(psnr_db);
  const double reached = leak - half;
  if (reached <= bound.psnr_high_db) return std::nullopt;
  return record::Flag{
      record::kBeatsBound,
      fmt::format("reaches {:.2f} dB where no attack can reach {:.2f} dB: an error of the bound or "
                  "of this figure",
                  reached, bound.psnr_high_db)};
}

}  // namespace veilnet::measure
