#include "attack/table.h"

#include <algorithm>

#include "core/error.h"

namespace veilnet::attack {

Against ciphertext_only(const Target& target, Auxiliary auxiliary) {
  return ThreatModel{Method::Public, Access::CiphertextOnly, target.keys, auxiliary};
}

Against through_gradients(const Target& target) {
  if (!target.network) return "there is no network to differentiate";
  if (target.code_bits > 0) return "no gradient passes through a code; see code-means";
  return kPublicTransform;
}

std::string why_no_key_holder(const Target& target) {
  if (target.keys == Keys::None) return "it has no key";
  if (target.keys == Keys::Independent)
    return "what one picture's key does says nothing of another's";
  return target.is_scheme() && cipher::structure_of(target.scheme).loses_data
             ? "not even the key opens it"
             : "";
}

image::Batch each_picture(const Materials& m,
                          const std::function<image::Image(const image::Image&)>& recover) {
  image::Batch out(m.attacked.height(), m.attacked.width());
  for (size_t i = 0; i < m.attacked.count(); ++i) out.append(recover(m.attacked.image(i)));
  return out;
}

Budget budget_named(const std::string& name) {
  if (name == "small") return {name, 1000, 10'000, 2, 256, 64, 200, 1 << 14};
  if (name == "standard") return {name, 10'000, 25'000, 10, 256, 256, 1000, 1 << 18};
  if (name == "large") return {name, 10'000, 25'000, 100, 1024, 1024, 3000, 1 << 22};
  fail(ErrorCode::InvalidArgument, "budget is \"{}\"; allowed: small, standard, large", name);
}

const std::vector<Attack>& attacks() {
#define VEILNET_ENTRY(name) name(),
  static const std::vector<Attack> list{VEILNET_ATTACKS(VEILNET_ENTRY)};
#undef VEILNET_ENTRY
  return list;
}

const Attack& attack_named(const std::string& id) {
  const auto found = std::ranges::find(attacks(), id, &Attack::id);
  if (found != attacks().end()) return *found;
  std::string known;
  for (const auto& attack : attacks()) known += (known.empty() ? "" : ", ") + attack.id;
  fail(ErrorCode::InvalidArgument, "there is no attack \"{}\"; allowed: {}", id, known);
}

}  // namespace veilnet::attack
