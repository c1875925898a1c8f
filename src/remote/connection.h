// One connection to a server, kept open, and its retries.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace veilnet::remote {

struct Endpoint {
  bool tls = false;
  std::string host;
  uint16_t port = 0;
};

/// From "http://127.0.0.1:8000" or "https://host"; the ports are 80 and 443 unless given.
/// @throws Error{InvalidArgument} for anything else, a path behind the port among it.
Endpoint endpoint_of(std::string_view url);

struct ConnectionOptions {
  std::chrono::milliseconds timeout{10'000};  ///< of one try, from connecting to the answer
  std::filesystem::path ca_file;              ///< PEM; the system's authorities where empty
  std::string api_key;                        ///< sent as a bearer token, unless empty
  int tries = 6;                              ///< of a request
  std::chrono::milliseconds first_wait{100};  ///< before the second try, at most; doubled each time
  uint64_t max_answer_bytes = 16u << 20;
};

struct Answer {
  int status = 0;
  std::string body;
  int64_t unprotected = 0;  ///< pictures that the server's leak guard warns of
};

/// One connection, opened when it is needed and again when it was lost. For one thread at a time.
class Connection {
 public:
  /// @throws Error{BadData} for a ca_file without certificates, Error{InvalidArgument} for an API
  /// key with control characters.
  Connection(Endpoint endpoint, ConnectionOptions options);
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) = delete;

  /// Sends a request and returns the answer, whatever its status. Where there is none, or it is
  /// 429, 502, 503 or 504, tries again after a random part of a wait that doubles (or what
  /// Retry-After says, if that is longer), `tries` times in all.
  /// @param body of a POST; a request without one is a GET.
  /// @throws Error{Io} where no answer came of any try, Error{BadData} for a certificate that is
  /// not trusted.
  Answer request(const std::string& target, std::optional<std::span<const uint8_t>> body = {},
                 const std::string& content_type = "application/json");

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace veilnet::remote
