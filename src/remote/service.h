// psi behind a server, as who holds h uses it: only protected pictures are sent.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "remote/connection.h"

namespace veilnet::remote {

/// For several threads at once; each request takes a connection of its own.
class Service {
 public:
  /// Refuses a server whose psi is not the one that h was trained for: its labels would be worth
  /// nothing, and its h may be known to others.
  /// @param name the model there; the only one that is ready where empty.
  /// @param classifier_sha256 of the psi that h was trained for, as h's card or its owner says.
  /// @throws Error{InvalidArgument} for no name where not one model is ready, for one that is no
  /// part of a path, and for no hash;
  /// Error{BadData} for another psi; and as Connection::request.
  Service(const std::string& url, ConnectionOptions options, std::string name,
          const std::string& classifier_sha256);

  const std::string& name() const { return name_; }

  /// @param png a protected picture. @return what the server says of it: "label", the class's
  /// number, "name", and with top_k > 1 "top", a list of both; "probability" where the server
  /// tells.
  /// @throws as Connection::request, and Error{BadData} with what the server says for every status
  /// but 200, and for an answer without label and name.
  nlohmann::json classify(std::span<const uint8_t> png, int top_k = 1);

  /// Whether the server's leak guard has said of a picture that it looks unprotected.
  bool warned() const;

 private:
  nlohmann::json request(const std::string& target, std::optional<std::span<const uint8_t>> body,
                         const std::string& content_type = "application/json");
  std::string only_model();
  void check_psi(const std::string& wants);

  Endpoint endpoint_;
  ConnectionOptions options_;
  std::string name_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
  bool warned_ = false;
};

/// The string of that key. @throws Error{BadData} for an answer without it.
std::string text_at(const nlohmann::json& answer, const char* key);

}  // namespace veilnet::remote
