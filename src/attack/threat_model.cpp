#include "attack/threat_model.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "core/error.h"

namespace veilnet::attack {

namespace {

// By the enumerations' values.
constexpr std::array<std::string_view, 2> kMethods = {"unknown", "public"};
constexpr std::array<std::string_view, 4> kAccesses = {"ciphertext_only", "exact_pairs",
                                                       "chosen_plaintext", "public_transform"};
constexpr std::array<std::string_view, 3> kKeys = {"none", "same", "independent"};
constexpr std::array<std::string_view, 4> kAuxiliaries = {"none", "unrelated", "same_distribution",
                                                          "candidates"};

template <std::size_t N, class Enum>
std::string_view name(const std::array<std::string_view, N>& names, Enum value) {
  return names[static_cast<std::size_t>(value)];
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::InvalidArgument, "threat model: " + message);
}

template <class Enum, std::size_t N>
void assign(std::optional<Enum>& field, const std::array<std::string_view, N>& names,
            const std::string& key, const std::string& value) {
  if (field) refuse(key + " is given twice");
  const auto* found = std::ranges::find(names, value);
  if (found == names.end()) {
    std::string allowed;
    for (const auto allowed_name : names)
      allowed += (allowed.empty() ? "" : ", ") + std::string(allowed_name);
    refuse(key + " is \"" + value + "\"; allowed: " + allowed);
  }
  field = static_cast<Enum>(found - names.begin());
}

template <class Enum>
Enum required(const std::optional<Enum>& field, const char* key) {
  if (!field) refuse(std::string(key) + " is missing");
  return *field;
}

}  // namespace

std::array<std::pair<std::string_view, std::string_view>, 4> fields(const ThreatModel& model) {
  return {{{"method", name(kMethods, model.method)},
           {"access", name(kAccesses, model.access)},
           {"keys", name(kKeys, model.keys)},
           {"auxiliary", name(kAuxiliaries, model.auxiliary)}}};
}

std::string to_text(const ThreatModel& model) {
  std::string text;
  for (const auto& [key, value] : fields(model))
    text += (text.empty() ? "" : " ") + std::string(key) + "=" + std::string(value);
  return text;
}

ThreatModel threat_model_from(std::string_view text) {
  std::optional<Method> method;
  std::optional<Access> access;
  std::optional<Keys> keys;
  std::optional<Auxiliary> auxiliary;
  std::istringstream parts{std::string(text)};
  for (std::string part; parts >> part;) {
    const auto equals = std::min(part.find('='), part.size());
    const auto key = part.substr(0, equals), value = part.substr(std::min(equals + 1, part.size()));
    if (key == "method") {
      assign(method, kMethods, key, value);
    } else if (key == "access") {
      assign(access, kAccesses, key, value);
    } else if (key == "keys") {
      assign(keys, kKeys, key, value);
    } else if (key == "auxiliary") {
      assign(auxiliary, kAuxiliaries, key, value);
    } else {
      refuse("there is no \"" + key + "\"; allowed: method, access, keys, auxiliary");
    }
  }
  const ThreatModel model{required(method, "method"), required(access, "access"),
                          required(keys, "keys"), required(auxiliary, "auxiliary")};
  check(model);
  return model;
}

void check(const ThreatModel& model) {
  const auto exclude = [&](std::size_t one, std::size_t other, const std::string& why) {
    const auto parts = fields(model);
    const auto part = [&](std::size_t i) {
      return std::string(parts[i].first) + "=" + std::string(parts[i].second);
    };
    refuse(part(one) + " and " + part(other) + " exclude each other: " + why);
  };
  constexpr std::size_t kMethodPart = 0, kAccessPart = 1, kKeysPart = 2;
  if (model.access == Access::PublicTransform) {
    if (model.method == Method::Unknown)
      exclude(kAccessPart, kMethodPart, "who runs the transformation knows it");
    if (model.keys != Keys::None)
      exclude(kAccessPart, kKeysPart, "what needs a key cannot be run by everyone");
    return;
  }
  if (model.method == Method::Unknown) return;
  if (model.keys == Keys::None)
    exclude(kAccessPart, kKeysPart, "a public method without a key is a public transform");
  if (model.keys == Keys::Independent && model.access != Access::CiphertextOnly)
    exclude(kAccessPart, kKeysPart,
            "pairs under other keys of a public method are made by everyone");
}

}  // namespace veilnet::attack
