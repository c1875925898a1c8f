#include "attack/suite.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

#include "attack/fr.h"
#include "attack/gan.h"
#include "attack/known_plaintext.h"
#include "attack/optimise.h"
#include "attack/retrieval.h"
#include "core/error.h"
#include "core/random.h"
#include "core/version.h"

namespace veilnet::attack {
namespace {

using image::Image;
using Against = std::variant<ThreatModel, std::string>;

bool has_key_holder(const Victim& v) {
  return v.keys == Keys::Same && !cipher::structure_of(v.scheme.options).loses_data;
}

// Noise: pairs are to be had from the method itself.
bool is_drawn_anew(const Victim& v) {
  return !v.scheme.options.id.empty() && cipher::scheme_spec(v.scheme.options.id).drawn_anew;
}

std::string why_no_key_holder(const Victim& v) {
  if (v.keys == Keys::None) return "it has no key";
  if (v.keys == Keys::Independent) return "what one picture's key does says nothing of another's";
  return "not even the key opens it";
}

std::vector<uint8_t> each_picture(const Materials& m,
                                  const std::function<Image(const Image&)>& recover) {
  const size_t bytes = 3 * static_cast<size_t>(m.height) * static_cast<size_t>(m.width);
  std::vector<uint8_t> out;
  out.reserve(m.attacked.size());
  for (size_t at = 0; at < m.attacked.size(); at += bytes) {
    const auto one = std::span(m.attacked).subspan(at, bytes);
    const auto recovered = recover({m.height, m.width, {one.begin(), one.end()}});
    out.insert(out.end(), recovered.rgb.begin(), recovered.rgb.end());
  }
  return out;
}

model::Card inverse_card(const Materials& m, const Setting& s, const std::string& architecture) {
  model::Card card;
  card.role = model::Role::Inverse;
  card.architecture = architecture;
  card.height = m.height;
  card.width = m.width;
  if (architecture == "unet" || architecture == "position_inverse")
    card.base_width = s.budget.width;
  const bool blocks = !m.scheme.id.empty() && cipher::scheme_spec(m.scheme.id).blocks;
  if (architecture == "block_inverse") card.block_size = m.scheme.block_size;
  if (architecture == "position_inverse") card.block_size = blocks ? m.scheme.block_size : 1;
  card.notes = {{"commit", commit()}, {"threat_model", to_text(m.granted)}};
  return card;
}

std::vector<uint8_t> apply(const nn::Model& model, const Materials& m, const Setting& s) {
  return transform_to_bytes(model, unlabelled(m.attacked, m.height, m.width), s.compute);
}

Outcome outcome_of(const nn::Model& model, const Materials& m, const Setting& s, size_t pairs,
                   const std::string& what) {
  return {apply(model, m, s),
          {{"network", model::describe(model.card)},
           {what, pairs},
           {"recipe", train::describe(s.recipe)}},
          true};
}

// Pairs that the attacker makes himself, of pictures and under keys of his own.
data::Dataset own_pairs(const Materials& m) {
  return stack_pairs(m.run(*m.auxiliary), *m.auxiliary);
}

size_t count_pairs(const Materials& m) { return m.pairs ? m.pairs->size() : m.auxiliary->size(); }

nn::Model inverse_from_pairs(const Materials& m, const Setting& s, const std::string& architecture,
                             const std::shared_ptr<nn::FeatureExtractor>& phi = nullptr) {
  auto recipe = s.recipe;
  // A flipped pair is one of the same transformation where neither key nor weights know positions.
  recipe.flip = recipe.flip && architecture == "unet";
  return train_inverse(
      {s.run, recipe, s.compute}, inverse_card(m, s, architecture),
      [&] { return m.pairs ? *m.pairs : own_pairs(m); }, tenth_validates(count_pairs(m)), phi);
}

Outcome train_on_pairs(const Materials& m, const Setting& s, const std::string& architecture,
                       const std::shared_ptr<nn::FeatureExtractor>& phi = nullptr) {
  return outcome_of(inverse_from_pairs(m, s, architecture, phi), m, s, count_pairs(m),
                    "training pairs");
}

Outcome optimise(const Materials& m, const Setting& s) {
  const auto inverse = inverse_from_pairs(m, s, "unet");
  const auto& compute = s.compute;
  const size_t bytes = 3 * static_cast<size_t>(m.height) * static_cast<size_t>(m.width);
  const size_t count = std::min(s.budget.optimised, m.attacked.size() / bytes);
  const auto attacked = std::span(m.attacked).first(count * bytes);

  auto held_out = tenth_validates(m.auxiliary->size()).validation;
  held_out.resize(std::min<size_t>(held_out.size(), 32));
  const auto own = subset(*m.auxiliary, held_out);
  const auto start_of = [&](std::span<const uint8_t> protected_nhwc) {
    return transform_to_bytes(inverse, unlabelled(protected_nhwc, m.height, m.width), compute);
  };
  OptimiseOptions options;
  options.steps = s.budget.optimise_steps;
  options = tune_priors(*m.network, own, start_of(transform_to_bytes(*m.network, own, compute)),
                        options, compute);
  return {invert_by_optimisation(*m.network, attacked, start_of(attacked), m.height, m.width,
                                 options, compute),
          {{"start", "itn"},
           {"steps", options.steps},
           {"total_variation", options.total_variation},
           {"nearness", options.nearness},
           {"weights tuned on own pictures", own.size()}},
          false};
}

Outcome gan(const Materials& m, const Setting& s, GanKind kind, const std::string& architecture) {
  const auto model = train_gan_attack(
      {s.run, s.recipe, s.compute}, inverse_card(m, s, architecture), kind,
      kind == GanKind::Sia ? 2 * s.budget.width : 64,
      [&] { return stack_pairs(m.ciphertexts, *m.auxiliary); },
      tenth_validates(m.auxiliary->size()));
  auto outcome = outcome_of(model, m, s, m.auxiliary->size(), "unpaired pictures of each kind");
  outcome.trained = false;  // adversarial losses do not say whether a training has ended
  return outcome;
}

std::string small_network(const Materials& m) {
  return cipher::scheme_spec(m.scheme.id).blocks ? "block_inverse" : "pixel_inverse";
}

Against ciphertext_only(const Victim& v, Auxiliary auxiliary) {
  return ThreatModel{Method::Public, Access::CiphertextOnly, v.keys, auxiliary};
}

constexpr ThreatModel kPublicTransform{Method::Public, Access::PublicTransform, Keys::None,
                                       Auxiliary::SameDistribution};

std::vector<Attack> make_attacks() {
  std::vector<Attack> list;
  const auto look = [](const Victim& v) -> Against {
    return ThreatModel{Method::Unknown, Access::CiphertextOnly, v.keys, Auxiliary::None};
  };
  list.push_back({"look", "Looks at the protected picture as it is.", look,
                  [](Materials& m, const Setting&) -> Outcome {
                    return {m.attacked, nlohmann::json::object(), false};
                  }});
  list.push_back({"look-blurred", "Looks at the protected picture through a blur of 2 pixels.",
                  look, [](Materials& m, const Setting&) -> Outcome {
                    cipher::SchemeOptions blur;
                    blur.id = "blur";
                    const auto blurred = cipher::make_scheme(blur, {}, m.height, m.width);
                    std::vector<uint8_t> out(m.attacked.size());
                    cipher::encrypt_all(*blurred, m.attacked, out);
                    return {out, nlohmann::json::object(), false};
                  }});
  list.push_back(
      {"fr", "Takes every value v and 255 - v as one and shows the smaller (FR-Attack, basic).",
       [](const Victim& v) -> Against {
         if (v.scheme.options.id.empty() || !cipher::scheme_spec(v.scheme.options.id).keyed())
           return "it does not complement values";
         return ThreatModel{Method::Public, Access::CiphertextOnly, v.keys, Auxiliary::None};
       },
       [](Materials& m, const Setting&) -> Outcome {
         return {each_picture(m, fr_basic), nlohmann::json::object(), false};
       }});
  list.push_back({"retrieval",
                  "Runs the public method on every candidate picture and picks the one whose "
                  "result agrees with the protected "
                  "picture in all that no key changes.",
                  [](const Victim& v) -> Against {
                    if (v.keys == Keys::None)
                      return ThreatModel{Method::Public, Access::PublicTransform, Keys::None,
                                         Auxiliary::Candidates};
                    return ciphertext_only(v, Auxiliary::Candidates);
                  },
                  [](Materials& m, const Setting&) -> Outcome {
                    const auto picked =
                        retrieve(m.scheme, m.attacked, m.run(*m.candidates), m.height, m.width);
                    std::vector<uint8_t> out;
                    for (const auto i : picked) {
                      const auto image = m.candidates->image(i);
                      out.insert(out.end(), image.begin(), image.end());
                    }
                    return {out, {{"candidates", m.candidates->size()}}, false};
                  }});
  list.push_back({"gan",
                  "Trains the published small network so that its output cannot be told from plain "
                  "pictures (GAN-Attack).",
                  [](const Victim& v) -> Against {
                    if (v.scheme.options.id.empty() || v.keys == Keys::None || is_drawn_anew(v))
                      return "the published networks are for keyed schemes; exact pairs are to be "
                             "had here, see itn";
                    return ciphertext_only(v, Auxiliary::SameDistribution);
                  },
                  [](Materials& m, const Setting& s) {
                    return gan(m, s, GanKind::Published, small_network(m));
                  },
                  "gan", 25});
  list.push_back(
      {"sia-gan",
       "The same with weights for every position, a stronger discriminator and hinge losses (after "
       "SIA-GAN).",
       [](const Victim& v) -> Against {
         if (v.keys == Keys::None || is_drawn_anew(v))
           return "exact pairs are to be had here, see itn";
         return ciphertext_only(v, Auxiliary::SameDistribution);
       },
       [](Materials& m, const Setting& s) { return gan(m, s, GanKind::Sia, "position_inverse"); },
       "sia-gan", 100});
  list.push_back(
      {"itn-small",
       "Trains the published small network on pairs that the attacker encrypts himself under keys "
       "of his own (ITN-Attack of the repository learnable_encryption_robustness, mended).",
       [](const Victim& v) -> Against {
         if (v.scheme.options.id.empty() || !cipher::scheme_spec(v.scheme.options.id).keyed())
           return "the published networks are for keyed schemes, see itn";
         return ciphertext_only(v, Auxiliary::SameDistribution);
       },
       [](Materials& m, const Setting& s) { return train_on_pairs(m, s, small_network(m)); },
       "itn-small"});
  list.push_back(
      {"itn",
       "Trains a U-Net on pairs that the attacker makes himself, under keys of his own where there "
       "are keys "
       "(ITN-Attack).",
       [](const Victim& v) -> Against {
         if (v.keys == Keys::None) return kPublicTransform;
         if (v.keys == Keys::Independent) return ciphertext_only(v, Auxiliary::SameDistribution);
         return "a U-Net has the same weights everywhere and cannot learn a key, see itn-position";
       },
       [](Materials& m, const Setting& s) { return train_on_pairs(m, s, "unet"); }, "itn"});
  list.push_back(
      {"itn-unrelated",
       "The same by an attacker who has pictures of another kind only (synthetic drawings).",
       [](const Victim& v) -> Against {
         if (v.keys == Keys::None)
           return ThreatModel{Method::Public, Access::PublicTransform, Keys::None,
                              Auxiliary::Unrelated};
         if (v.keys == Keys::Independent) return ciphertext_only(v, Auxiliary::Unrelated);
         return "a U-Net has the same weights everywhere and cannot learn a key, see itn-position";
       },
       [](Materials& m, const Setting& s) { return train_on_pairs(m, s, "unet"); },
       "itn-unrelated"});
  list.push_back(
      {"itn-perceptual",
       "As itn, and its output must also agree with the plain picture in the features of phi.",
       [](const Victim& v) -> Against {
         if (!v.network) return "made for transformation networks";
         return kPublicTransform;
       },
       [](Materials& m, const Setting& s) { return train_on_pairs(m, s, "unet", s.phi); },
       "itn-perceptual"});
  list.push_back({"optimise",
                  "Starts from what itn recovers and changes it until the public network turns it "
                  "into the protected picture "
                  "(gradient inversion; how smooth and how near to the start is tuned on pictures "
                  "of the attacker's own).",
                  [](const Victim& v) -> Against {
                    if (!v.network) return "there is no network to differentiate";
                    return kPublicTransform;
                  },
                  optimise, "itn"});
  list.push_back(
      {"itn-position",
       "Trains a network with weights for every position on exact pairs under the attacked key.",
       [](const Victim& v) -> Against {
         if (!has_key_holder(v)) return why_no_key_holder(v);
         return ThreatModel{Method::Public, Access::ExactPairs, Keys::Same, Auxiliary::None};
       },
       [](Materials& m, const Setting& s) { return train_on_pairs(m, s, "position_inverse"); },
       "itn-position"});
  list.push_back(
      {"known-plaintext",
       "Finds, in a few exact pairs under the attacked key, where every unit of the picture goes "
       "and whether it is "
       "complemented.",
       [](const Victim& v) -> Against {
         if (!has_key_holder(v)) return why_no_key_holder(v);
         return ThreatModel{Method::Public, Access::ExactPairs, Keys::Same, Auxiliary::None};
       },
       [](Materials& m, const Setting& s) -> Outcome {
         const auto& pairs = *m.pairs;
         const size_t half = pairs.image_bytes() / 2,
                      count = std::min(s.budget.known_pairs, pairs.size());
         std::vector<ExactPair> known;
         for (size_t i = 0; i < count; ++i) {
           const auto above = pairs.image(i).first(half), below = pairs.image(i).subspan(half);
           known.push_back({{m.height, m.width, {below.begin(), below.end()}},
                            {m.height, m.width, {above.begin(), above.end()}}});
         }
         const auto recovered = recover_from_pairs(m.scheme, known);
         return {each_picture(m, recovered.decrypt),
                 {{"exact pairs", count}, {"unique", recovered.unique}},
                 false};
       }});
  list.push_back({"chosen-plaintext",
                  "Has a few pictures of the attacker's choice encrypted under the attacked key "
                  "and reads the key off them.",
                  [](const Victim& v) -> Against {
                    if (!has_key_holder(v)) return why_no_key_holder(v);
                    return Recovered::threat_model;
                  },
                  [](Materials& m, const Setting&) -> Outcome {
                    const auto recovered = recover(m.scheme, *m.oracle, m.height, m.width);
                    return {each_picture(m, recovered.decrypt),
                            {{"chosen pictures", m.oracle->queries()}},
                            false};
                  }});
  return list;
}

}  // namespace

Budget budget_named(const std::string& name) {
  if (name == "small") return {name, 1000, 10'000, 2, 256, 64, 200};
  if (name == "standard") return {name, 10'000, 25'000, 10, 256, 256, 1000};
  if (name == "large") return {name, 10'000, 25'000, 100, 1024, 1024, 3000};
  throw Error(ErrorCode::InvalidArgument,
              "budget is \"" + name + "\"; allowed: small, standard, large");
}

const std::vector<Attack>& attacks() {
  static const auto list = make_attacks();
  return list;
}

}  // namespace veilnet::attack
