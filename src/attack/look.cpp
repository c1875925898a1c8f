// What anybody sees who looks at a protected picture, and does nothing.
#include "attack/table.h"

namespace veilnet::attack {
namespace {

Against by_looking(const Target& target) {
  return ThreatModel{Method::Unknown, Access::CiphertextOnly, target.keys, Auxiliary::None};
}

}  // namespace

Attack look() {
  return {"look", "Looks at the protected picture as it is.", by_looking,
          [](Materials& m, const Setting&) -> Outcome { return {m.attacked}; }};
}

Attack look_blurred() {
  return {"look-blurred", "Looks at the protected picture through a blur of 2 pixels.", by_looking,
          [](Materials& m, const Setting&) -> Outcome {
            cipher::SchemeOptions blur;
            blur.id = "blur";
            const auto blurred =
                cipher::make_scheme(blur, {}, m.attacked.height(), m.attacked.width());
            image::Batch out(m.attacked.height(), m.attacked.width(), m.attacked.count());
            cipher::encrypt_all(*blurred, m.attacked.pixels(), out.pixels());
            return {out};
          }};
}

}  // namespace veilnet::attack
