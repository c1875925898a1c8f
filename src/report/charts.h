// The charts of a matrix, as SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "record/matrix.h"

namespace veilnet::report {

/// By protection, a box of SSIM values for each attack that recovers pictures, baselines as lines:
/// the form of Fig. 5 of arXiv 2008.03143. Protections without values are left out.
std::vector<std::pair<std::string, std::string>> box_plots(const record::Matrix& matrix);

/// Accuracy and leak over alpha: what is seen, and what the strongest attack that is not flagged as
/// meaningless recovers. Only protections of one architecture and recipe make a line, and only two
/// alphas or more; empty where there is none.
struct TradeOff {
  std::vector<std::string> charts;
  std::string models;  ///< architecture and recipe, where there is one line
};
TradeOff trade_off(const record::Matrix& matrix);

/// By name, accuracy over what the strongest attack leaks, a point for each protection, and a line
/// through those of which none other is as accurate and leaks less: "rebuilt" by median SSIM, its
/// distance from 0, "recognised" by the share that is picked of the candidates, or that a bound
/// allows. Without a service of its own a protection's accuracy is Matrix::named_as_seen. None for
/// fewer than three points.
std::vector<std::pair<std::string, std::string>> defence_charts(const record::Matrix& matrix);

/// SSIM and PSNR over each kind of budget.
std::vector<std::string> budget_charts(const record::Matrix& matrix);

}  // namespace veilnet::report
