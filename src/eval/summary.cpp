#include "eval/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"
#include "report/text.h"

namespace veilnet::eval {

using namespace report;

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
