// What the papers report, to stand beside our figures.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace veilnet::eval {

/// Of a row of the comparison table ("plain", "transform-a0.005", "le", ...) on "cifar10" or
/// "cifar100": "accuracy" (0 to 1) and "source", or null where we know of none. Where a paper does
/// not say under which key mode, its figure stands at both.
nlohmann::json paper_figure(const std::string& row, const std::string& data);

}  // namespace veilnet::eval
