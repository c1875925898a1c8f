// The HTTP/1.1 server: connections, limits, TLS, the access log and an orderly end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "http/api.h"

namespace veilnet::http {

struct ServerOptions {
  std::string host = "127.0.0.1";  ///< an address
  uint16_t port = 8000;            ///< 0: any that is free
  /// Both or none: PEM files of the certificate chain and its key. TLS 1.3 and nothing older.
  std::filesystem::path certificate, private_key;
  int io_threads = 2;  ///< that read, check and write requests
  size_t max_connections = 512;
  uint64_t max_body_bytes = 16u << 20;
  uint32_t max_header_bytes = 16u << 10;
  std::chrono::milliseconds header_timeout{10'000};  ///< from a request's first byte to its body
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds idle_timeout{60'000};  ///< between requests of a connection
  std::chrono::milliseconds write_timeout{30'000};
  std::chrono::milliseconds drain_timeout{30'000};  ///< that requests under way get at the end
  /// Takes a line of JSON for each answer: time, request id, route, status, bytes, milliseconds,
  /// model, pictures. Neither addresses nor paths, headers or what a body holds. Called on several
  /// threads at once. May be empty.
  std::function<void(const std::string& line)> access_log;
};

class Server {
 public:
  /// Listens. @throws Error{InvalidArgument} for a host that is no address, Error{Io} if the port
  /// cannot be had, Error{BadData} for a certificate or key that cannot be used.
  Server(Api& api, const ServerOptions& options);
  ~Server();  ///< as stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;

  /// Accepts no more connections, closes the idle ones, answers what has begun and waits for that,
  /// at most drain_timeout. False if that was too short.
  bool stop();

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace veilnet::http
