// What the papers report, to stand beside our figures.
#pragma once

#include <optional>
#include <string_view>

#include "record/matrix.h"

namespace veilnet::record {

/// Of "plain" or the label of a protection ("transform-a0.005", "le", ...) on "cifar10" or
/// "cifar100", or nothing where we know of none. Where a paper does not say under which key mode,
/// its figure stands at both.
std::optional<PaperFigure> paper_figure(std::string_view label, std::string_view data);

}  // namespace veilnet::record
