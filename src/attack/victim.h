// What is attacked, and what an attacker is handed of it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "attack/chosen_plaintext.h"
#include "attack/threat_model.h"
#include "nn/model.h"
#include "train/compute.h"
#include "train/scheme.h"

namespace veilnet::attack {

/// One way of protecting pictures, its secret included: only the bench holds it, attacks get
/// Materials.
struct Victim {
  std::string label;          ///< "le", "pe-independent", "transform-a0.005", "gan", "random", ...
  Keys keys = Keys::None;     ///< how many keys protect the attacked pictures
  train::KeyedScheme scheme;  ///< id empty for a network and for "random"
  std::optional<nn::Model> network;  ///< a transformation network, on the compute device

  /// A sentence for people.
  std::string text() const;
};

/// A conventional scheme.
Victim scheme_victim(const train::KeyedScheme& scheme);
/// A public transformation network.
Victim network_victim(const std::string& label, nn::Model network);
/// "pbm" or "instahide", which mix the pictures of a set (cipher/mixing.h), drawn anew for each
/// picture; or "random", uniform noise that has nothing to do with the picture, from which no
/// attack may recover anything. Nothing for another name.
std::optional<Victim> drawn_victim(const std::string& label);

/// Protected pictures, NHWC, as the victim makes them. Independent keys: those of positions
/// first_key, first_key + 1, ...
std::vector<uint8_t> protect(const Victim& victim, const data::Dataset& plain, uint64_t first_key,
                             const train::Compute& compute);

/// What the bench has and an attacker is given parts of. No picture is in two of the sets.
struct Sets {
  data::Dataset attacked;   ///< test pictures; their plain versions are what is to be recovered
  data::Dataset auxiliary;  ///< plain pictures of the same distribution
  data::Dataset observed;   ///< pictures of the same distribution of which the attacker may see
                            ///< protected versions
  std::optional<data::Dataset> unrelated;
};

/// Everything one attacker is handed. What the threat model does not grant is empty.
struct Materials {
  ThreatModel granted;
  int height = 0, width = 0;
  std::vector<uint8_t> attacked;  ///< protected pictures to be opened, NHWC
  /// Access ciphertext_only with plain pictures of his own: further protected pictures, whose plain
  /// versions are unknown, NHWC.
  std::vector<uint8_t> ciphertexts;
  /// Method public: runs the method, under keys of the attacker's own (one for each picture) where
  /// it has keys.
  std::function<std::vector<uint8_t>(const data::Dataset&)> run;
  cipher::SchemeOptions
      scheme;  ///< method public: id and parameters of a keyed scheme; else id is empty
  std::optional<nn::Model>
      network;  ///< access public_transform: the network itself, gradients and all
  std::optional<data::Dataset>
      pairs;  ///< access exact_pairs: observed pictures stacked as make_pairs does
  std::optional<EncryptionOracle> oracle;  ///< access chosen_plaintext
  std::optional<data::Dataset>
      auxiliary;  ///< auxiliary same_distribution or unrelated: plain pictures
  std::optional<data::Dataset>
      candidates;  ///< auxiliary candidates: plain pictures, among them the attacked ones
};

/// @throws Error{InvalidArgument} when the victim cannot be attacked so (naming the part of the
/// threat model that does not fit it), and as check(ThreatModel).
Materials grant(const Victim& victim, const Sets& sets, const ThreatModel& model,
                const train::Compute& compute);

}  // namespace veilnet::attack
