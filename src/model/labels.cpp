#include "model/labels.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace veilnet::model {

std::vector<double> softmax(std::span<const float> logits) {
  const double highest = *std::ranges::max_element(logits);
  std::vector<double> shares;
  for (const float logit : logits) shares.push_back(std::exp(logit - highest));
  const double sum = std::reduce(shares.begin(), shares.end());
  for (auto& share : shares) share /= sum;
  return shares;
}

std::vector<std::size_t> largest(std::span<const float> values, std::size_t most) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  most = std::min(most, order.size());
  std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(most),
                            [&](std::size_t a, std::size_t b) {
                              return std::pair(values[b], a) < std::pair(values[a], b);
                            });
  order.resize(most);
  return order;
}

}  // namespace veilnet::model
