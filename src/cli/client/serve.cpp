// `veilnet serve`: classifiers behind HTTP and gRPC.
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <future>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <spdlog/spdlog.h>
#include <stop_token>
#include <thread>

#include "cli/client/grpc_module.h"
#include "cli/client/models.h"
#include "cli/command.h"
#include "core/error.h"
#include "core/progress.h"
#include "http/server.h"
#include "model/zoo.h"
#include "service/repository.h"

namespace veilnet::cli {
namespace {

namespace fs = std::filesystem;

struct ServeOptions {
  fs::path models;
  std::vector<std::string> model, codebooks;
  service::RepositoryOptions repository;
  http::ApiOptions api;
  http::ServerOptions server;
  std::optional<uint16_t> grpc_port;
  int workers = 0;
  int64_t max_delay_us = 500, queue_timeout_ms = 10'000;
  int64_t header_timeout_ms = 10'000, body_timeout_ms = 30'000;
  fs::path access_log;
  fs::path port_file, grpc_port_file, keys, web;
  double requests_per_second = 0;
  std::string guard = "refuse", precision = "fp32";
  bool plain_http = false;
};

/// A model that `veilnet models` lists, by its name, or a path, of a file that may come later.
fs::path path_of(const std::string& text) {
  std::error_code cause;
  const fs::path path = text;
  if (path.has_parent_path() || path.has_extension() || fs::exists(path, cause)) return path;
  return model::listed(text).value_or(path);
}

/// "name=path"; of a path alone, the name is that of the folder, or of the file without extension.
service::Source source_of(const std::string& text) {
  std::error_code cause;
  if (const auto equals = text.find('='); equals != text.npos && !fs::exists(text, cause))
    return {text.substr(0, equals), path_of(text.substr(equals + 1))};
  fs::path path = path_of(text);
  if (!path.has_filename()) path = path.parent_path();  // "psi/"
  const auto folder = fs::is_directory(path) ? path : path.parent_path();
  if (fs::is_directory(path) || path.filename() == "model.safetensors")
    return {fs::absolute(folder).lexically_normal().filename().string(), path};
  return {path.stem().string(), path};
}

bool is_loopback(const std::string& host) { return host.starts_with("127.") || host == "::1"; }

/// Ctrl-C and SIGTERM, kept back from this thread and those that it starts. The first one is waited
/// for and asks for an orderly end, which is the success of a server; the second ends the process.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  void wait() const {
    int signal = 0;
    ::sigwait(&set_, &signal);
    ::pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
  }

 private:
  sigset_t set_;
};

/// Appends lines to a file, each at once.
class AccessLog {
 public:
  explicit AccessLog(const fs::path& path) : path_(path), out_(path, std::ios::app) {
    if (!out_) fail(ErrorCode::Io, "{}: cannot be opened for the access log", path_.string());
  }
  void write(const std::string& line) {
    const std::lock_guard lock(mutex_);
    out_.clear();  // a full disk may have room again
    out_ << line << '\n' << std::flush;
    if (!out_ && !failed_) spdlog::error("{}: the access log cannot be written", path_.string());
    failed_ = !out_;
  }

 private:
  fs::path path_;
  std::mutex mutex_;
  std::ofstream out_;
  bool failed_ = false;
};

// Versions come and go for months. glibc raises the size from which freed memory goes back to the
// system whenever such a block is freed, and the holes of old versions then stay; fixed, it does
// not (forty versions under load: 54 MB against 94).
void give_memory_back() {
#ifdef M_MMAP_THRESHOLD
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

/// What is served over gRPC is served as it is over HTTP.
std::unique_ptr<rpc::Server> serve_grpc(const ServeOptions& o, const rpc::Services& services) {
  rpc::ServerOptions options;
  options.host = o.server.host;
  options.port = *o.grpc_port;
  options.certificate = o.server.certificate;
  options.private_key = o.server.private_key;
  options.allow_control = o.api.allow_control;
  options.infer = o.api.infer;
  options.keys = o.api.keys;
  options.max_requests = static_cast<int>(o.server.max_connections);
  options.max_message_bytes = o.server.max_body_bytes;
  options.handshake_timeout = o.server.header_timeout;
  options.idle_timeout = o.server.idle_timeout;
  options.drain_timeout = o.server.drain_timeout;
  options.access_log = o.server.access_log;
  auto server = grpc_server(services, options);
  spdlog::info("listening for gRPC on {}:{}", options.host, server->port());
  if (!o.grpc_port_file.empty())
    write_file(o.grpc_port_file, fmt::format("{}\n", server->port()), Overwrite::Yes);
  return server;
}

void run(ServeOptions o) {
  give_memory_back();
  auto sources = o.models.empty() ? std::vector<service::Source>() : service::models_in(o.models);
  for (const auto& text : o.model) sources.push_back(source_of(text));
  if (sources.empty())
    fail(ErrorCode::InvalidArgument, "no model is given: --models DIR or --model FILE");
  for (const auto& text : o.codebooks) {
    const auto equals = text.find('=');
    if (equals == text.npos && sources.size() != 1)
      fail(ErrorCode::InvalidArgument, "--codebook {}: of several models, say which: MODEL=DIR",
           text);
    const auto name = equals == text.npos ? sources[0].name : text.substr(0, equals);
    o.repository.codebooks[name] = equals == text.npos ? text : text.substr(equals + 1);
  }
  o.repository.guard = o.guard == "off"     ? service::GuardAction::Off
                       : o.guard == "count" ? service::GuardAction::Count
                       : o.guard == "warn"  ? service::GuardAction::Warn
                                            : service::GuardAction::Refuse;
  o.repository.precision = precision_of(o.precision);
  std::optional<service::KeyRing> keys;
  if (!o.keys.empty()) o.api.keys = &keys.emplace(o.keys, o.requests_per_second);
  std::optional<http::WebFiles> web;
  if (!o.web.empty()) o.api.web = &web.emplace(o.web);
  if (!is_loopback(o.server.host) && o.server.certificate.empty() && !o.plain_http)
    fail(ErrorCode::InvalidArgument,
         "--host {} can be reached from other machines; give --tls-cert and --tls-key, or "
         "--plain-http behind a proxy that ends TLS",
         o.server.host);
  o.repository.batch.max_delay = std::chrono::microseconds(o.max_delay_us);
  o.repository.batch.timeout = std::chrono::milliseconds(o.queue_timeout_ms);
  o.server.header_timeout = std::chrono::milliseconds(o.header_timeout_ms);
  o.server.body_timeout = std::chrono::milliseconds(o.body_timeout_ms);
  std::unique_ptr<AccessLog> log;
  if (!o.access_log.empty()) {
    log = std::make_unique<AccessLog>(o.access_log);
    o.server.access_log = [&log](const std::string& line) { log->write(line); };
  }

  const StopSignals signals;
  service::Statistics statistics;
  service::Scheduler scheduler(o.workers > 0 ? o.workers : physical_cores());
  service::Repository repository(std::move(sources), o.repository, scheduler, statistics);
  service::Control control(repository);
  http::Api api(repository, scheduler, statistics, control, o.api);
  // Not ready until the models are loaded, but alive and telling so.
  http::Server server(api, o.server);
  spdlog::info("listening on {}://{}:{}", o.server.certificate.empty() ? "http" : "https",
               o.server.host, server.port());
  std::unique_ptr<rpc::Server> grpc;
  if (o.grpc_port) grpc = serve_grpc(o, {repository, scheduler, statistics, control});
  if (web) spdlog::info("with the page of {}", o.web.string());
  if (!o.port_file.empty())
    write_file(o.port_file, fmt::format("{}\n", server.port()), Overwrite::Yes);
  // Beside, so that a signal is heard while models load.
  std::jthread loading([&](std::stop_token stop) { repository.load_all(std::move(stop)); });
  signals.wait();
  loading.request_stop();
  spdlog::info("stopping: answering what has begun");
  auto grpc_end = std::async(std::launch::async, [&grpc] { return !grpc || grpc->stop(); });
  const bool http_whole = server.stop();
  if (!grpc_end.get() || !http_whole)
    fail(ErrorCode::Interrupted, "stopped before all requests were answered");
  spdlog::info("stopped");
}

}  // namespace

void add_serve(CLI::App& command) {
  const auto o = std::make_shared<ServeOptions>();
  command
      .add_option("--models", o->models,
                  "Folder of models: DIR/<name>/<number>/model.safetensors; the highest number "
                  "is served")
      ->type_name("DIR");
  command
      .add_option(
          "--model", o->model,
          "A classifier's file, a folder with numbered versions, or the name of a model that"
          " `veilnet models` lists; repeatable")
      ->type_name("[NAME=]PATH")
      ->allow_extra_args(false);
  command.add_option("--host", o->server.host, "Address to listen on")->capture_default_str();
  command.add_option("--port", o->server.port, "Port; 0 for any that is free")
      ->capture_default_str();
  command.add_option("--port-file", o->port_file, "Write the port to this file")->type_name("FILE");
  command
      .add_option("--grpc-port", o->grpc_port,
                  "Serve the protocol over gRPC too, on this port; 0 for any that is free")
      ->type_name("PORT");
  command.add_option("--grpc-port-file", o->grpc_port_file, "Write the port of gRPC to this file")
      ->type_name("FILE");
  command.add_option("--tls-cert", o->server.certificate, "Certificate chain, PEM: TLS 1.3")
      ->type_name("FILE");
  command.add_option("--tls-key", o->server.private_key, "Its private key, PEM")->type_name("FILE");
  command.add_option("--web", o->web, "Serve this folder's files too, as the browser client")
      ->type_name("DIR");
  command.add_option("--keys", o->keys, "Keys that clients need (veilnet apikey)")
      ->type_name("FILE");
  command
      .add_option("--requests-per-second", o->requests_per_second,
                  "Of each key; more are refused (429). 0: no limit")
      ->check(between(0, 1e9))
      ->capture_default_str();
  command
      .add_option("--guard", o->guard,
                  "With guard.safetensors beside a model: refuse requests whose pictures look "
                  "unprotected, warn in the answer, only count them, or off")
      ->check(CLI::IsMember({"refuse", "warn", "count", "off"}))
      ->capture_default_str();
  command
      .add_option("--codebook", o->codebooks,
                  "All pictures that may be sent to a model (veilnet export --format codebook); "
                  "--guard says what happens to others")
      ->type_name("[MODEL=]DIR")
      ->allow_extra_args(false);
  command.add_flag("--plain-http", o->plain_http,
                   "Allow an address that other machines reach without TLS");
  command
      .add_option("--workers", o->workers,
                  "Batches computed at once; the physical cores unless "
                  "given")
      ->check(CLI::Range(1, 1024));
  command.add_option("--threads", o->repository.threads, "Threads of one batch")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  add_precision(command, o->precision);
  command.add_option("--max-batch", o->repository.batch.max_batch, "Pictures computed together")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command.add_option("--max-delay-us", o->max_delay_us, "That a picture waits for others")
      ->check(CLI::Range(0, 10'000'000))
      ->capture_default_str();
  command
      .add_option("--max-queue", o->repository.batch.max_queue,
                  "Pictures that wait for one model; more are refused (503)")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command.add_option("--queue-timeout-ms", o->queue_timeout_ms, "That a request waits (504)")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  command
      .add_option("--score-digits", o->repository.answers.score_digits,
                  "Decimal digits of probabilities in answers; 0: none are told")
      ->check(CLI::Range(0, 6))
      ->capture_default_str();
  command
      .add_option("--max-top-k", o->repository.answers.max_top_k,
                  "Most classes that an answer names")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--max-pictures", o->api.infer.max_pictures, "Pictures of one request")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command.add_option("--max-body-bytes", o->server.max_body_bytes, "Bytes of one request")
      ->check(CLI::Range(1024, 1 << 30))
      ->capture_default_str();
  command.add_option("--max-connections", o->server.max_connections, "Connections at once")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command
      .add_option("--header-timeout-ms", o->header_timeout_ms, "For a request's header to arrive")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  command.add_option("--body-timeout-ms", o->body_timeout_ms, "For its body")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  command.add_option("--io-threads", o->server.io_threads, "Threads that read and write requests")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command.add_flag("--allow-control", o->api.allow_control, "Let clients load and unload models");
  command.add_option("--access-log", o->access_log, "Append a line of JSON for each request")
      ->type_name("FILE");
  examples(command, {"veilnet serve --model runs/cifar10-cpu/classifier",
                     "veilnet serve --models /var/lib/veilnet/models --port 8080 --grpc-port 8081",
                     "veilnet serve --model models/cifar10-psi.safetensors --web build/web"});
  command.callback([o] { run(*o); });
}

void add_apikey(CLI::App& command) {
  struct Options {
    fs::path file;
    std::string owner;
  };
  const auto o = std::make_shared<Options>();
  command.add_option("owner", o->owner, "Whose key it is: small letters, digits and -")
      ->required()
      ->type_name("OWNER");
  command.add_option("--keys", o->file, "File to which a line with the key's hash is added")
      ->required()
      ->type_name("FILE");
  examples(command, {"veilnet apikey alice --keys server.keys > alice.key",
                     "veilnet apikey bob-2 --keys /etc/veilnet/keys"});
  command.callback([o] { fmt::print("{}\n", service::add_api_key(o->file, o->owner)); });
}

}  // namespace veilnet::cli
