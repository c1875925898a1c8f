// Summaries as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "record/summary.h"

namespace veilnet::eval {

using record::quantile;
using record::summarise;
using record::Summary;

/// JSON has no infinity; it is written as the string "inf" or "-inf", and NaN as null.
nlohmann::json json_number(double value);
/// The way back; null, as lenient writers leave for infinity and NaN, becomes NaN. @throws
/// Error{BadData} for anything else, naming `where`.
double number_from_json(const nlohmann::json& value, const std::string& where);

/// Keys: n, infinite, mean, standard_deviation, min, p01, q1, median, q3, p99, max.
nlohmann::json to_json(const Summary& summary);
/// @throws Error{BadData} naming `where` and the key that is missing or no number.
Summary summary_from_json(const nlohmann::json& value, const std::string& where);

}  // namespace veilnet::eval
