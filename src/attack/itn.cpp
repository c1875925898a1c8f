// The ITN-Attack (arXiv 2008.03143, section on robustness; arXiv 2010.06198): an inverse network
// trained on exact pairs, in its variants.
#include "attack/inverse.h"
#include "attack/table.h"

namespace veilnet::attack {
namespace {

Outcome train_on_pairs(const Materials& m, const Setting& s, const std::string& architecture,
                       const std::shared_ptr<nn::FeatureExtractor>& phi = nullptr) {
  return outcome_of(inverse_from_pairs(m, s, architecture, phi), m, s, count_known(m),
                    "training pairs");
}

Outcome train_unet(Materials& m, const Setting& s) { return train_on_pairs(m, s, "unet"); }

Against unet_against(const Target& t, Auxiliary auxiliary) {
  if (t.keys == Keys::None)
    return ThreatModel{Method::Public, Access::PublicTransform, Keys::None, auxiliary};
  if (t.keys == Keys::Independent) return ciphertext_only(t, auxiliary);
  return "a U-Net has the same weights everywhere and cannot learn a key, see itn-position";
}

}  // namespace

Attack itn_small() {
  return {"itn-small",
          "Trains the published small network on pairs that the attacker encrypts himself under "
          "keys of his own (ITN-Attack of the robustness study).",
          [](const Target& t) -> Against {
            if (!t.keyed()) return "the published networks are for keyed schemes, see itn";
            return ciphertext_only(t, Auxiliary::SameDistribution);
          },
          [](Materials& m, const Setting& s) { return train_on_pairs(m, s, small_network(m)); },
          "itn-small"};
}

Attack itn() {
  return {"itn",
          "Trains a U-Net on pairs that the attacker makes himself, under keys of his own where "
          "there are keys (ITN-Attack).",
          [](const Target& t) { return unet_against(t, Auxiliary::SameDistribution); }, train_unet,
          "itn"};
}

Attack itn_unrelated() {
  return {"itn-unrelated",
          "itn by an attacker who has pictures of another kind only (synthetic drawings).",
          [](const Target& t) { return unet_against(t, Auxiliary::Unrelated); }, train_unet,
          "itn-unrelated"};
}

Attack itn_perceptual() {
  Attack attack{"itn-perceptual",
                "As itn, and its output must also agree with the plain picture in the features of "
                "phi.",
                [](const Target& t) -> Against {
                  if (!t.network) return "made for transformation networks";
                  return kPublicTransform;
                },
                [](Materials& m, const Setting& s) { return train_on_pairs(m, s, "unet", s.phi); },
                "itn-perceptual"};
  attack.needs_phi = true;
  return attack;
}

Attack itn_position() {
  return {"itn-position",
          "Trains a network with weights for every position on exact pairs under the attacked key.",
          [](const Target& t) -> Against {
            if (const auto why = why_no_key_holder(t); !why.empty()) return why;
            return ThreatModel{Method::Public, Access::ExactPairs, Keys::Same, Auxiliary::None};
          },
          [](Materials& m, const Setting& s) { return train_on_pairs(m, s, "position_inverse"); },
          "itn-position"};
}

}  // namespace veilnet::attack
