// Whether a classifier that was trained on plain pictures names the guess as the plain picture is
// labelled: what is left for a machine to see.
#include "measure/measures.h"
#include "nn/infer.h"

namespace veilnet::measure {

Measured named(const Guesses& g, const Judges& judges) {
  if (!judges.psi) return std::nullopt;
  return nn::accuracy(*judges.psi, g.recovered, std::span(g.plain.labels).first(g.count()));
}

}  // namespace veilnet::measure
