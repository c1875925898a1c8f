// What an attacker knows of what he attacks, and what he is handed of it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "attack/oracle.h"
#include "attack/threat_model.h"
#include "cipher/scheme.h"
#include "data/batches.h"
#include "nn/model.h"

namespace veilnet::attack {

/// A way of protecting pictures as the public knows it.
struct Target {
  std::string label;
  Keys keys = Keys::None;                     ///< how many keys protect the attacked pictures
  cipher::SchemeOptions scheme;               ///< id empty where it is no scheme of src/cipher
  bool network = false;                       ///< a transformation network, public
  int64_t code_bits = 0;                      ///< of its code, where it has one: src/nn/coded.h
  std::optional<double> key_space_bits = {};  ///< at the attacked size, where known
  int64_t values = 0;                         ///< of an attacked picture; 0 where not known

  bool is_scheme() const { return !scheme.id.empty(); }
  /// A scheme that a key decides.
  bool keyed() const { return is_scheme() && cipher::scheme_spec(scheme.id).keyed(); }
  /// Random, and everybody's to run: pairs are to be had from the method itself.
  bool drawn_anew() const { return is_scheme() && cipher::scheme_spec(scheme.id).drawn_anew; }
};

/// Everything one attacker is handed. What the threat model does not grant is empty.
struct Materials {
  ThreatModel granted;
  image::Batch attacked;  ///< protected pictures to be opened
  /// Access ciphertext_only with plain pictures of his own: further protected pictures, whose plain
  /// versions are unknown.
  image::Batch ciphertexts;
  /// Method public: runs the method, under keys of the attacker's own (one for each picture) where
  /// it has keys.
  std::function<image::Batch(const data::Dataset&)> run;
  /// Method public: id and parameters of a keyed scheme; else id is empty.
  cipher::SchemeOptions scheme;
  /// Access public_transform: the network itself, gradients and all.
  std::optional<nn::Model> network;
  std::optional<data::Pairs> pairs;         ///< access exact_pairs
  std::optional<EncryptionOracle> oracle;   ///< access chosen_plaintext
  std::optional<data::Dataset> auxiliary;   ///< same_distribution or unrelated: plain pictures
  std::optional<data::Dataset> candidates;  ///< plain pictures, among them the attacked ones
  /// Which of his pairs or pictures validate what he trains; every tenth unless given.
  std::optional<data::Split> split;
};

}  // namespace veilnet::attack
