#include "eval/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"
#include "eval/text.h"

namespace veilnet::eval {

namespace {

struct Field {
  const char* key;
  double Summary::*value;
};

constexpr Field fields[] = {
    {"mean", &Summary::mean}, {"standard_deviation", &Summary::standard_deviation},
    {"min", &Summary::min},   {"p01", &Summary::p01},
    {"q1", &Summary::q1},     {"median", &Summary::median},
    {"q3", &Summary::q3},     {"p99", &Summary::p99},
    {"max", &Summary::max}};

}  // namespace

double quantile(std::span<const double> ascending, double p) {
  if (ascending.empty()) throw Error(ErrorCode::InvalidArgument, "quantile: no values");
  if (!(p >= 0 && p <= 1))
    throw Error(ErrorCode::InvalidArgument,
                "quantile: p is " + shortest(p) + ", allowed is 0 to 1");
  const double position = p * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double weight = position - static_cast<double>(below);
  const double low = ascending[below];
  // The early return also keeps infinity times zero and infinity minus infinity out.
  if (weight == 0 || std::isinf(low) || ascending[below + 1] == low) return low;
  return low + (ascending[below + 1] - low) * weight;
}

Summary summarise(std::span<const double> values) {
  if (values.empty()) throw Error(ErrorCode::InvalidArgument, "summarise: no values");
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i]))
      throw Error(ErrorCode::BadData, "summarise: value " + std::to_string(i) + " is not a number");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());

  Summary s;
  s.n = sorted.size();
  double sum = 0;
  for (const double v : sorted) {
    if (std::isinf(v)) {
      ++s.infinite;
    } else {
      sum += v;
    }
  }
  if (s.infinite == s.n) {
    s.mean =
        sorted.front() == sorted.back() ? sorted.front() : std::numeric_limits<double>::quiet_NaN();
  } else {
    const auto finite = static_cast<double>(s.n - s.infinite);
    s.mean = sum / finite;
    double squares = 0;
    for (const double v : sorted)
      if (std::isfinite(v)) squares += (v - s.mean) * (v - s.mean);
    s.standard_deviation = std::sqrt(squares / finite);
  }
  s.min = sorted.front();
  s.p01 = quantile(sorted, 0.01);
  s.q1 = quantile(sorted, 0.25);
  s.median = quantile(sorted, 0.5);
  s.q3 = quantile(sorted, 0.75);
  s.p99 = quantile(sorted, 0.99);
  s.max = sorted.back();
  return s;
}

nlohmann::json json_number(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

double number_from_json(const nlohmann::json& value, const std::string& where) {
  if (value.is_number()) return value.get<double>();
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  throw Error(ErrorCode::BadData,
              where + ": expected a number, \"inf\", \"-inf\" or null, found " + value.type_name());
}

nlohmann::json to_json(const Summary& summary) {
  nlohmann::json out = {{"n", summary.n}, {"infinite", summary.infinite}};
  for (const auto& field : fields) out[field.key] = json_number(summary.*field.value);
  return out;
}

Summary summary_from_json(const nlohmann::json& value, const std::string& where) {
  if (!value.is_object())
    throw Error(ErrorCode::BadData,
                where + ": expected a summary object, found " + value.type_name());
  const auto at = [&](const std::string& key) -> const nlohmann::json& {
    const auto it = value.find(key);
    if (it == value.end()) throw Error(ErrorCode::BadData, where + "." + key + " is missing");
    return *it;
  };
  const auto count = [&](const std::string& key) {
    const auto& found = at(key);
    if (!found.is_number_integer() || found < 0)
      throw Error(ErrorCode::BadData,
                  where + "." + key + ": expected a count, found " + found.dump());
    return found.get<std::size_t>();
  };
  Summary s;
  s.n = count("n");
  s.infinite = count("infinite");
  for (const auto& field : fields)
    s.*field.value = number_from_json(at(field.key), where + "." + field.key);
  return s;
}

}  // namespace veilnet::eval
