// The gRPC server of the Open Inference Protocol, beside the HTTP server and with its limits.
//
// It is a module of its own, which `veilnet serve` loads when it is asked to: gRPC brings some
// fifty shared libraries along, which every command would load otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "service/access.h"
#include "service/control.h"
#include "service/oip.h"
#include "service/repository.h"
#include "service/scheduler.h"
#include "service/statistics.h"

namespace veilnet::rpc {

struct ServerOptions {
  std::string host = "127.0.0.1";  ///< an address
  uint16_t port = 0;               ///< 0: any that is free
  /// Both or none: PEM files of the certificate chain and its key.
  std::filesystem::path certificate, private_key;
  bool allow_control = false;  ///< whether models may be loaded and unloaded over the network
  service::InferLimits infer;
  /// Keys that are asked for (metadata "authorization: Bearer KEY"), of all methods but ServerLive
  /// and ServerReady. Outlives the server; null: none are.
  service::KeyRing* keys = nullptr;
  int max_requests = 512;  ///< at once
  uint64_t max_message_bytes = 16u << 20;
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds drain_timeout{30'000};  ///< that requests under way get at the end
  /// As http::ServerOptions has it.
  std::function<void(const std::string& line)> access_log;
};

/// What is served by the references, which outlive it.
struct Services {
  service::Repository& repository;
  service::Scheduler& scheduler;
  service::Statistics& statistics;
  service::Control& control;
};

/// A request whose client goes, or whose deadline is over, is not computed if it still waits.
class Server {
 public:
  virtual ~Server() = default;  ///< as stop()

  virtual uint16_t port() const = 0;

  /// Accepts no more requests and answers what has begun, at most for drain_timeout. False if that
  /// was too short.
  virtual bool stop() = 0;
};

using MakeServer = std::unique_ptr<Server>(const Services&, const ServerOptions&);
/// The name of make_server in the module.
inline constexpr const char* kMakeServer = "veilnet_make_grpc_server";

/// Listens. @throws Error{Io} if the port cannot be had or the certificate not be used.
std::unique_ptr<Server> make_server(const Services& services, const ServerOptions& options);

}  // namespace veilnet::rpc
