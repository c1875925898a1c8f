#include "measure/grant.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "nn/protection.h"

namespace veilnet::measure {
namespace {

using attack::Access;
using attack::Auxiliary;
using attack::Keys;
using attack::Method;
using attack::ThreatModel;
using protection::Protection;

const nn::Model* network_of(const Protection& protection) {
  const auto* network = dynamic_cast<const nn::NetworkProtection*>(&protection);
  return network ? &network->network() : nullptr;
}

[[noreturn]] void refuse(const Protection& protection, const ThreatModel& model, size_t part,
                         const std::string& why) {
  const auto [key, value] = fields(model)[part];
  fail(ErrorCode::InvalidArgument, "threat model: {}={} does not fit \"{}\": {}", key, value,
       protection.label(), why);
}

image::Batch protect(const Protection& protection, const data::Dataset& plain, uint64_t first_key) {
  return protection.protect(plain.pictures, first_key, plain.labels);
}

// In an order that says nothing: that of their values.
data::Dataset candidates_of(const data::Dataset& attacked) {
  std::vector<uint32_t> order(attacked.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, [&](uint32_t a, uint32_t b) {
    return std::ranges::lexicographical_compare(attacked.image(a), attacked.image(b));
  });
  return {attacked.name, attacked.class_names, attacked.pictures.subset(order),
          std::vector<int32_t>(attacked.size())};
}

}  // namespace

attack::Target target_of(const Protection& protection) {
  attack::Target target{
      protection.label(), protection.keys(), {}, network_of(protection) != nullptr};
  if (const auto* network = network_of(protection)) target.code_bits = network->card.bits;
  if (const auto* scheme = protection.scheme()) target.scheme = *scheme;
  return target;
}

image::Batch protect_test(const Protection& protection, const data::Dataset& plain) {
  return protect(protection, plain, protection::kFirstTestKey);
}

attack::Materials grant(const Protection& protection, const Sets& sets, const ThreatModel& model) {
  check(model);
  constexpr size_t kAccessPart = 1, kKeysPart = 2, kAuxiliaryPart = 3;
  const auto target = target_of(protection);
  if (model.keys != target.keys)
    refuse(protection, model, kKeysPart,
           fmt::format("its keys are {}", protection::keys_name(target.keys)));
  if (model.access == Access::ChosenPlaintext && !target.is_scheme())
    refuse(protection, model, kAccessPart, "it is no scheme with a key holder");
  if (model.access == Access::PublicTransform && model.keys != Keys::None)
    refuse(protection, model, kAccessPart, "it is decided by a key");
  attack::Materials m;
  m.granted = model;
  m.attacked = protect_test(protection, sets.attacked);
  m.split = sets.split;
  if (model.method == Method::Public) {
    m.run = [&protection](const data::Dataset& plain) {
      return protection.protect_without_key(plain.pictures, protection::kFirstAttackerKey,
                                            plain.labels);
    };
    if (target.keyed()) m.scheme = target.scheme;
  }
  const auto observe = [&] {
    return protect(protection, sets.observed, protection::kFirstObservedKey);
  };
  switch (model.access) {
    case Access::CiphertextOnly:
      if (model.auxiliary == Auxiliary::SameDistribution || model.auxiliary == Auxiliary::Unrelated)
        m.ciphertexts = observe();
      break;
    case Access::ExactPairs: m.pairs.emplace(observe(), sets.observed.pictures); break;
    case Access::ChosenPlaintext:
      m.oracle.emplace([&protection](const image::Image& plain) {
        image::Batch one(plain.height, plain.width);
        one.append(plain);
        return protection.protect(one, protection::kFirstTestKey, {}).image(0);
      });
      break;
    case Access::PublicTransform:
      if (const auto* network = network_of(protection)) m.network = *network;
      break;
  }
  switch (model.auxiliary) {
    case Auxiliary::None: break;
    case Auxiliary::SameDistribution: m.auxiliary = sets.auxiliary; break;
    case Auxiliary::Unrelated:
      if (!sets.unrelated)
        refuse(protection, model, kAuxiliaryPart, "the experiment has no other data set");
      m.auxiliary = sets.unrelated;
      m.split.reset();
      break;
    case Auxiliary::Candidates: m.candidates = candidates_of(sets.attacked); break;
  }
  return m;
}

}  // namespace veilnet::measure
