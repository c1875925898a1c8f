#include "record/papers.h"

namespace veilnet::record {
namespace {

struct Row {
  std::string_view label, data;
  double percent;
  const char* source;
};
constexpr const char* kIto = "arXiv 2008.03143, Table I, ResNet-20";
constexpr const char* kMadono =
    "arXiv 2001.07761, Table 3, PyramidNet-110 with ShakeDrop behind ELE-AdaptNet";
constexpr Row kPapers[] = {{"plain", "cifar10", 91.23, kIto},
                           {"plain", "cifar100", 67.9, kIto},
                           {"transform-a0.005", "cifar10", 91.72, kIto},
                           {"transform-a0.005", "cifar100", 70.78, kIto},
                           {"transform-a0.01", "cifar10", 91.41, kIto},
                           {"transform-a0.01", "cifar100", 70.08, kIto},
                           {"transform-a0.05", "cifar10", 89.63, kIto},
                           {"transform-a0.05", "cifar100", 42.91, kIto},
                           {"transform-a0.1", "cifar10", 39.92, kIto},
                           {"transform-a0.1", "cifar100", 1.0, kIto},
                           {"le", "cifar10", 85.18, kIto},
                           {"le", "cifar100", 60.08, kIto},
                           {"pe-same", "cifar10", 90.99, kIto},
                           {"pe-same", "cifar100", 60.5, kIto},
                           {"pe-independent", "cifar10", 90.99, kIto},
                           {"pe-independent", "cifar100", 60.5, kIto},
                           {"ele", "cifar10", 83.06, kMadono},
                           {"ele", "cifar100", 62.97, kMadono},
                           {"etc-as-published", "cifar10", 89.09, kMadono},
                           {"etc-as-published", "cifar100", 71.91, kMadono},
                           {"etc", "cifar10", 89.09, kMadono},
                           {"etc", "cifar100", 71.91, kMadono}};

}  // namespace

std::optional<PaperFigure> paper_figure(std::string_view label, std::string_view data) {
  for (const auto& row : kPapers)
    if (row.label == label && row.data == data) return PaperFigure{row.percent / 100, row.source};
  return std::nullopt;
}

}  // namespace veilnet::record
