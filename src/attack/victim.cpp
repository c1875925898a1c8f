#include "attack/victim.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "attack/pairs.h"
#include "cipher/key_file.h"
#include "cipher/mixing.h"
#include "core/error.h"
#include "train/scheme.h"

namespace veilnet::attack {
namespace {

// Where the keys of the observed pictures and of the attacker's own experiments begin.
constexpr uint64_t kFirstObservedKey = 2ull << 32, kFirstOwnKey = 3ull << 32;

std::vector<uint8_t> random_pictures(const data::Dataset& plain, uint64_t seed) {
  Random random({977, seed});
  std::vector<uint8_t> out(plain.pictures.pixels().size());
  for (auto& value : out) value = static_cast<uint8_t>(random.below(256));
  return out;
}

// Calls `use` with the pictures and labels as cipher/mixing.h takes them.
std::vector<uint8_t> mix(
    const data::Dataset& plain,
    const std::function<std::vector<uint8_t>(const cipher::PictureSet&)>& use) {
  const std::vector<int64_t> labels(plain.labels.begin(), plain.labels.end());
  return use({plain.pictures.pixels(), labels, plain.pictures.height(), plain.pictures.width(),
              static_cast<int64_t>(plain.class_names.size())});
}

// What has no key and is drawn anew for every set of pictures.
struct Drawn {
  const char* text;
  std::function<std::vector<uint8_t>(const data::Dataset& plain, uint64_t seed)> protect;
};
const Drawn* drawn(const std::string& label) {
  static const std::map<std::string, Drawn> all{
      {"random",
       {"uniform random noise instead of the picture: nothing can be recovered", random_pictures}},
      {"pbm",
       {"pixel-block mixing: half of the blocks of 8x8 come from other pictures of the same label",
        [](const data::Dataset& plain, uint64_t seed) {
          return mix(plain, [&](const auto& set) { return cipher::mix_blocks(set, {}, seed); });
        }}},
      {"instahide",
       {"InstaHide \"inside\": every picture is a mixture of four, with random signs",
        [](const data::Dataset& plain, uint64_t seed) {
          return mix(plain, [&](const auto& set) {
            return cipher::mix_instahide(set, {}, seed).images_nhwc;
          });
        }}}};
  const auto found = all.find(label);
  return found == all.end() ? nullptr : &found->second;
}

[[noreturn]] void refuse(const Victim& victim, const ThreatModel& model, size_t part,
                         const std::string& why) {
  const auto [key, value] = fields(model)[part];
  fail(ErrorCode::InvalidArgument, "threat model: {}={} does not fit \"{}\": {}", key, value,
       victim.label, why);
}

image::Image encrypt_one(const Victim& victim, const image::Image& plain) {
  const auto scheme =
      cipher::make_scheme(victim.scheme.options, cipher::key_from_seed(victim.scheme.key_seed),
                          plain.height, plain.width);
  image::Image out{scheme->padded_height(), scheme->padded_width(), {}};
  out.rgb.resize(3 * static_cast<size_t>(out.height) * static_cast<size_t>(out.width));
  scheme->encrypt(plain.rgb, out.rgb);
  return out;
}

}  // namespace

std::string Victim::text() const {
  const std::string with = keys == Keys::Same          ? ", one key for all pictures"
                           : keys == Keys::Independent ? ", a key of its own for every picture"
                                                       : "";
  if (const auto* d = drawn(label)) return d->text;
  if (network)
    return (label == "gan" ? "GAN-based transformation, " : "transformation network h, ") +
           model::describe(network->card) + ", public";
  if (cipher::scheme_spec(scheme.options.id).drawn_anew)
    return cipher::describe(scheme.options) + ", drawn anew for every picture";
  return cipher::describe(scheme.options) + with;
}

std::optional<Victim> drawn_victim(const std::string& label) {
  if (!drawn(label)) return std::nullopt;
  return Victim{label, Keys::Independent, {}, {}};
}

Victim network_victim(const std::string& label, nn::Model network) {
  return {label, Keys::None, {}, std::move(network)};
}

Victim scheme_victim(const train::KeyedScheme& scheme) {
  const auto& spec = cipher::scheme_spec(scheme.options.id);
  return {scheme.label(),
          scheme.independent_keys || spec.drawn_anew ? Keys::Independent
          : spec.keyed()                             ? Keys::Same
                                                     : Keys::None,
          scheme,
          {}};
}

std::vector<uint8_t> protect(const Victim& victim, const data::Dataset& plain, uint64_t first_key,
                             const train::Compute& compute) {
  if (victim.network) return transform_to_bytes(*victim.network, plain, compute);
  if (const auto* d = drawn(victim.label)) return d->protect(plain, first_key);
  return train::encrypt_pictures(victim.scheme, plain, first_key);
}

Materials grant(const Victim& victim, const Sets& sets, const ThreatModel& model,
                const train::Compute& compute) {
  check(model);
  constexpr size_t kAccessPart = 1, kKeysPart = 2, kAuxiliaryPart = 3;
  if (model.keys != victim.keys)
    refuse(victim, model, kKeysPart,
           "its keys are " + std::string(fields({{}, {}, victim.keys, {}})[kKeysPart].second));
  if (model.access == Access::ChosenPlaintext && victim.scheme.options.id.empty())
    refuse(victim, model, kAccessPart, "it is no scheme with a key holder");
  Materials m;
  m.granted = model;
  m.height = sets.attacked.pictures.height();
  m.width = sets.attacked.pictures.width();
  m.attacked = protect(victim, sets.attacked, train::kFirstTestKey, compute);
  if (model.method == Method::Public) {
    auto own = victim;
    own.scheme.independent_keys = victim.keys != Keys::None;
    m.run = [own, compute](const data::Dataset& plain) {
      return protect(own, plain, kFirstOwnKey, compute);
    };
    if (victim.keys != Keys::None && !victim.scheme.options.id.empty())
      m.scheme = victim.scheme.options;
  }
  switch (model.access) {
    case Access::CiphertextOnly:
      if (model.auxiliary == Auxiliary::SameDistribution || model.auxiliary == Auxiliary::Unrelated)
        m.ciphertexts = protect(victim, sets.observed, kFirstObservedKey, compute);
      break;
    case Access::ExactPairs:
      m.pairs =
          stack_pairs(protect(victim, sets.observed, kFirstObservedKey, compute), sets.observed);
      break;
    case Access::ChosenPlaintext:
      m.oracle.emplace([victim](const image::Image& plain) { return encrypt_one(victim, plain); });
      break;
    case Access::PublicTransform: m.network = victim.network; break;
  }
  switch (model.auxiliary) {
    case Auxiliary::None: break;
    case Auxiliary::SameDistribution: m.auxiliary = sets.auxiliary; break;
    case Auxiliary::Unrelated:
      if (!sets.unrelated)
        refuse(victim, model, kAuxiliaryPart, "the experiment has no other data set");
      m.auxiliary = sets.unrelated;
      break;
    case Auxiliary::Candidates: {
      // In an order that says nothing: that of their values.
      std::vector<uint32_t> order(sets.attacked.size());
      std::iota(order.begin(), order.end(), 0u);
      std::ranges::sort(order, [&](uint32_t a, uint32_t b) {
        return std::ranges::lexicographical_compare(sets.attacked.image(a), sets.attacked.image(b));
      });
      auto candidates = sets.attacked;
      candidates.pictures = sets.attacked.pictures.subset(order);
      std::ranges::fill(candidates.labels, 0);
      m.candidates = std::move(candidates);
    }
  }
  return m;
}

}  // namespace veilnet::attack
