#include "eval/papers.h"

#include "record/papers.h"

namespace veilnet::eval {

nlohmann::json paper_figure(const std::string& row, const std::string& data) {
  if (const auto figure = record::paper_figure(row, data))
    return {{"accuracy", figure->accuracy}, {"source", figure->source}};
  return nullptr;
}

}  // namespace veilnet::eval
