// What the server answers to which path, apart from sockets: routes, and failures as statuses.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/web_files.h"
#include "image/image.h"
#include "service/access.h"
#include "service/control.h"
#include "service/repository.h"

namespace veilnet::http {

/// Of the paths that are served. What the access log names in the place of the path, which is the
/// client's text.
enum class Route {
  Server,
  Live,
  Ready,
  Metrics,
  Model,
  ModelReady,
  ModelStatistics,
  Infer,
  Classify,
  Index,
  Load,
  Unload,
  Web  ///< a file of the page
};

/// "POST /v2/models/{model}/infer".
std::string_view route_name(Route route);

struct Target {
  Route route;
  std::string model;
  std::optional<int64_t> version;
};

/// The target of a path without its query; the model's name is not looked up. Nothing for a path
/// that is not of the protocol.
std::optional<Target> target_of(std::string_view path);

/// A request before its body.
struct Head {
  std::string method;
  std::string path;              ///< as it came, without the query
  std::string query;             ///< behind the question mark
  std::string json_bytes;        ///< Inference-Header-Content-Length, or empty
  std::string content_encoding;  ///< or empty
  std::string authorization;     ///< or empty
  std::string if_none_match;     ///< or empty
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers{};
  /// In the place of body, unless null: one copy of a file for all who are sent it.
  std::shared_ptr<const std::string> file{};
  // For the access log.
  std::string_view route = "-";
  std::string model{};
  int64_t version = 0, pictures = 0, unprotected = 0;

  const std::string& content() const { return file ? *file : body; }
};

/// {"error": text}.
Response error_response(int status, std::string_view text);

struct ApiOptions {
  bool allow_control = false;  ///< whether models may be loaded and unloaded over the network
  service::InferLimits infer;
  /// Of a picture's file; its pixels are bounded by the model's size.
  uint64_t max_picture_bytes = 8u << 20;
  /// Keys that are asked for ("Authorization: Bearer KEY"), of all paths but /v2/health and files
  /// of the page. Outlives the Api; null: none are.
  service::KeyRing* keys = nullptr;
  /// What paths other than /v2 and /metrics are. Outlives the Api; null: nothing is there.
  const WebFiles* web = nullptr;
};

/// All functions may be called from several threads at once.
class Api {
 public:
  using Reply = std::function<void(Response)>;

  Api(service::Repository& repository, service::Scheduler& scheduler,
      service::Statistics& statistics, service::Control& control, const ApiOptions& options);
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// What can be refused before the body is read: 401, 403, 404, 405, 415, 429.
  std::optional<Response> refuse(const Head& head) const;
  /// Answers a request that was not refused, at once or later, on any thread, once.
  /// @param cancelled asked to stop when the client is gone: what still waits is not computed.
  void handle(Head head, std::vector<uint8_t> body, std::stop_token cancelled, Reply reply);
  /// From here on the server is not ready, and says so.
  void drain() { draining_ = true; }
  /// Counts an answer for /metrics.
  void count(std::string_view route, int status) {
    statistics_.answered("http", route, std::to_string(status));
  }

 private:
  std::optional<Target> served_target(const Head& head) const;
  Response web(const Head& head) const;
  Response answer(const Target& target, const Head& head) const;
  Response metrics() const;
  void infer(const Target& target, const Head& head, std::vector<uint8_t> body,
             std::stop_token cancelled, Reply reply);
  void classify(const Target& target, const Head& head, const std::vector<uint8_t>& body,
                std::stop_token cancelled, Reply reply);
  void control(const Target& target, Reply reply);

  service::Repository& repository_;
  service::Scheduler& scheduler_;
  service::Statistics& statistics_;
  service::Control& control_;
  ApiOptions options_;
  std::atomic<bool> draining_ = false;
};

}  // namespace veilnet::http
