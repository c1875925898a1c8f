// What an attacker has, as a value: part of every attack's type and of every result.
//
// An attack is handed what its threat model grants and nothing else. A figure without its threat
// model says nothing.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "protection/keys.h"

namespace veilnet::attack {

/// What is known of how pictures are protected, the key apart.
enum class Method { Unknown, Public };

/// What the attacker sees or may do besides having the protected pictures that he wants to open.
enum class Access {
  CiphertextOnly,
  ExactPairs,       ///< some plain pictures with what became of them under the attacked key
  ChosenPlaintext,  ///< has pictures of his choice protected under the attacked key
  PublicTransform,  ///< has the whole transformation, which has no key, and runs it himself
};

using protection::Keys;

/// Plain pictures that the attacker has, none of them among the attacked ones; Candidates: a set
/// that holds the attacked ones, without saying which is which.
enum class Auxiliary { None, Unrelated, SameDistribution, Candidates };

struct ThreatModel {
  Method method;
  Access access;
  Keys keys;
  Auxiliary auxiliary;

  bool operator==(const ThreatModel&) const = default;
};

/// Lower-case names by field, for records: {"method", "public"}, {"access", "chosen_plaintext"},
/// {"keys", "same"},
/// {"auxiliary", "none"}.
std::array<std::pair<std::string_view, std::string_view>, 4> fields(const ThreatModel& model);

/// "method=public access=chosen_plaintext keys=same auxiliary=none".
std::string to_text(const ThreatModel& model);

/// The inverse; the order of the parts is free.
/// @throws Error{InvalidArgument} for a part that is unknown, missing, given twice or has an
/// unknown value, and as check.
ThreatModel threat_model_from(std::string_view text);

/// @throws Error{InvalidArgument} for a combination that makes no sense, naming the two parts that
/// exclude each other.
void check(const ThreatModel& model);

}  // namespace veilnet::attack
