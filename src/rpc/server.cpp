#include "rpc/server.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <fmt/format.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <new>
#include <optional>
#include <spdlog/spdlog.h>
#include <stop_token>

#include "core/error.h"
#include "core/text.h"
#include "core/version.h"
#include "open_inference_grpc.grpc.pb.h"
#include "rpc/convert.h"
#include "service/access_log.h"
#include "service/inference.h"

namespace veilnet::rpc {
namespace {

using grpc::Status;
using grpc::StatusCode;
using service::Clock;
using service::Reason;
using Protocol = inference::GRPCInferenceService;

constexpr int kStreamsOfConnection = 64;
constexpr int kMetadataBytes = 16 << 10;
constexpr uint64_t kMemoryBytes = 512u << 20;
constexpr int kConnectionAgeMs = 30 * 60 * 1000, kConnectionGraceMs = 60 * 1000;

StatusCode code_of(Reason reason) {
  switch (reason) {
    case Reason::Malformed: return StatusCode::INVALID_ARGUMENT;
    case Reason::NotFound: return StatusCode::NOT_FOUND;
    case Reason::Unprotected: return StatusCode::FAILED_PRECONDITION;
    case Reason::Overloaded: return StatusCode::UNAVAILABLE;
    case Reason::TimedOut: return StatusCode::DEADLINE_EXCEEDED;
    case Reason::Cancelled: return StatusCode::CANCELLED;
    case Reason::Failed: return StatusCode::INTERNAL;
  }
  return StatusCode::INTERNAL;
}

// Of the codes that are sent here.
std::string_view name_of(StatusCode code) {
  switch (code) {
    case StatusCode::OK: return "OK";
    case StatusCode::CANCELLED: return "CANCELLED";
    case StatusCode::INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case StatusCode::DEADLINE_EXCEEDED: return "DEADLINE_EXCEEDED";
    case StatusCode::NOT_FOUND: return "NOT_FOUND";
    case StatusCode::PERMISSION_DENIED: return "PERMISSION_DENIED";
    case StatusCode::RESOURCE_EXHAUSTED: return "RESOURCE_EXHAUSTED";
    case StatusCode::FAILED_PRECONDITION: return "FAILED_PRECONDITION";
    case StatusCode::INTERNAL: return "INTERNAL";
    case StatusCode::UNAVAILABLE: return "UNAVAILABLE";
    case StatusCode::UNAUTHENTICATED: return "UNAUTHENTICATED";
    default: return "UNKNOWN";
  }
}

Status status_of(const service::Failure& failure) {
  return {code_of(failure.reason), failure.message};
}

// Nothing for "", the loaded version.
std::optional<int64_t> version_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size())
    fail(ErrorCode::NotFound, "there is no version \"{}\"", printable(text, 40));
  return version;
}

// The time that the client still gives, nothing for a client that sets no deadline.
std::optional<std::chrono::milliseconds> time_left(const grpc::CallbackServerContext& context) {
  using std::chrono::milliseconds, std::chrono::system_clock;
  const auto deadline = context.deadline();
  if (deadline == system_clock::time_point::max()) return std::nullopt;
  return std::max(std::chrono::ceil<milliseconds>(deadline - system_clock::now()), milliseconds(1));
}

/// What gRPC has to say goes where our own lines go, and only for who wants to know: clients cause
/// most of it.
void log_as_debug(gpr_log_func_args* line) {
  spdlog::debug("gRPC: {}", printable(line->message, 400));
}

std::string text_of(const std::filesystem::path& file) { return read_text(file, 1u << 20); }

class GrpcServer : public Server, public Protocol::CallbackService {
 public:
  /// One request until its answer has gone; then it deletes itself.
  class Call : public grpc::ServerUnaryReactor {
   public:
    Call(GrpcServer& server, std::string_view method, const google::protobuf::Message& request,
         const google::protobuf::Message& response)
        : server_(server),
          route_(fmt::format("/{}/{}", Protocol::service_full_name(), method)),
          response_(response),
          bytes_in_(request.ByteSizeLong()) {
      ++server_.requests_;
    }
    ~Call() override { --server_.requests_; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    /// Gives the answer, once.
    void finish(const Status& status) {
      const auto name = name_of(status.error_code());
      server_.services_.statistics.answered("grpc", route_, name);
      if (server_.options_.access_log)
        server_.options_.access_log(
            service::access_line({.request_id = id,
                                  .route = route_,
                                  .status = name,
                                  .bytes_in = bytes_in_,
                                  .bytes_out = status.ok() ? response_.ByteSizeLong() : 0,
                                  .begin = begin_,
                                  .model = served ? std::string_view(served->name) : "",
                                  .version = served ? served->version : 0,
                                  .pictures = pictures,
                                  .unprotected = unprotected}));
      Finish(status);
    }

    void OnCancel() override { cancelled.request_stop(); }
    void OnDone() override { delete this; }

    const std::string id = service::random_request_id();
    std::stop_source cancelled;
    std::shared_ptr<const service::Served> served;  ///< of a request that a model answers
    service::InferRequest infer;
    int64_t pictures = 0, unprotected = 0;

   private:
    GrpcServer& server_;
    std::string route_;
    const google::protobuf::Message& response_;
    uint64_t bytes_in_;
    Clock::time_point begin_ = Clock::now();
  };

  GrpcServer(const Services& services, const ServerOptions& options)
      : services_(services), options_(options) {
    gpr_set_log_function(log_as_debug);
    grpc::ServerBuilder builder;
    const bool v6 = options.host.find(':') != std::string::npos;
    builder.AddListeningPort(
        fmt::format("{0}{1}{2}:{3}", v6 ? "[" : "", options.host, v6 ? "]" : "", options.port),
        credentials(), &port_);
    builder.RegisterService(this);
    builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
    // Messages that never end are held before anyone can refuse them: together no more than this,
    // and a connection no longer than that.
    grpc::ResourceQuota quota;
    quota.Resize(std::max(kMemoryBytes, 8 * options.max_message_bytes));
    builder.SetResourceQuota(quota);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, kConnectionAgeMs);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, kConnectionGraceMs);
    // What a message is when it is inflated, nothing here limits.
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsOfConnection);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytes);
    const auto ms = [](std::chrono::milliseconds time) { return static_cast<int>(time.count()); };
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, ms(options.handshake_timeout));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, ms(options.idle_timeout));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ms(options.idle_timeout));
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0)
      fail(ErrorCode::Io, "cannot serve gRPC on {} port {}{}", options.host, options.port,
           options.certificate.empty() ? "" : " with this certificate and key");
  }

  ~GrpcServer() override { GrpcServer::stop(); }
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  uint16_t port() const override { return static_cast<uint16_t>(port_); }

  std::shared_ptr<grpc::ServerCredentials> credentials() const {
    if (options_.certificate.empty()) return grpc::InsecureServerCredentials();
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back(
        {text_of(options_.private_key), text_of(options_.certificate)});
    return grpc::SslServerCredentials(tls);
  }

  bool stop() override {
    if (!server_) return true;
    draining_ = true;
    const auto deadline = std::chrono::system_clock::now() + options_.drain_timeout;
    server_->Shutdown(deadline);
    server_->Wait();
    server_.reset();
    return std::chrono::system_clock::now() < deadline;
  }

  /// Why a request is not looked at, if so.
  std::optional<Status> refuse(const grpc::CallbackServerContext& context, bool open) {
    if (open) return std::nullopt;  // who asks whether the server lives is told so under load, too
    if (requests_ > options_.max_requests)
      return Status(StatusCode::RESOURCE_EXHAUSTED, "more requests at once than are allowed");
    if (!options_.keys) return std::nullopt;
    constexpr std::string_view kScheme = "Bearer ";
    const auto found = context.client_metadata().find("authorization");
    std::string owner;
    auto access = service::Access::Unknown;
    if (found != context.client_metadata().end()) {
      const std::string_view given(found->second.data(), found->second.size());
      if (given.starts_with(kScheme))
        access = options_.keys->check(given.substr(kScheme.size()), owner);
    }
    switch (access) {
      case service::Access::Granted: return std::nullopt;
      case service::Access::TooOften:
        return Status(StatusCode::RESOURCE_EXHAUSTED, "more requests than are allowed");
      case service::Access::Unknown: break;
    }
    return Status(StatusCode::UNAUTHENTICATED, "a key is needed: authorization: Bearer KEY");
  }

  /// Begins a call and lets `work` finish it, now or later.
  template <class Request, class Response, class Work>
  grpc::ServerUnaryReactor* answer(grpc::CallbackServerContext* context, std::string_view method,
                                   const Request& request, Response& response, Work work,
                                   bool open = false) {
    auto* call = new Call(*this, method, request, response);
    context->AddInitialMetadata("x-request-id", call->id);
    try {
      if (const auto refused = refuse(*context, open)) {
        call->finish(*refused);
      } else {
        work(*call);
      }
    } catch (const service::NotLoaded& e) {
      call->finish({StatusCode::UNAVAILABLE, e.what()});
    } catch (const Error& e) {
      call->finish({code_of(service::reason_of(e.code())), e.what()});
    } catch (const std::bad_alloc&) {
      call->finish({StatusCode::RESOURCE_EXHAUSTED, "not enough memory for this request"});
    }
    return call;
  }

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* context,
                                       const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override {
    return answer(
        context, "ServerLive", *request, *response,
        [&](Call& call) {
          response->set_live(true);
          call.finish(Status::OK);
        },
        /*open=*/true);
  }

  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* context,
                                        const inference::ServerReadyRequest* request,
                                        inference::ServerReadyResponse* response) override {
    return answer(
        context, "ServerReady", *request, *response,
        [&](Call& call) {
          response->set_ready(!draining_ && services_.repository.ready());
          call.finish(Status::OK);
        },
        /*open=*/true);
  }

  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* context,
                                       const inference::ModelReadyRequest* request,
                                       inference::ModelReadyResponse* response) override {
    return answer(context, "ModelReady", *request, *response, [&](Call& call) {
      call.served = services_.repository.find(request->name(), version_of(request->version()));
      response->set_ready(!draining_);
      call.finish(Status::OK);
    });
  }

  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* context,
                                           const inference::ServerMetadataRequest* request,
                                           inference::ServerMetadataResponse* response) override {
    return answer(context, "ServerMetadata", *request, *response, [&](Call& call) {
      response->set_name("veilnet");
      response->set_version(commit());
      response->add_extensions("model_repository");
      response->add_extensions("parameters");
      call.finish(Status::OK);
    });
  }

  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context,
                                          const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override {
    return answer(context, "ModelMetadata", *request, *response, [&](Call& call) {
      call.served = services_.repository.find(request->name(), version_of(request->version()));
      const auto& served = *call.served;
      response->set_name(served.name);
      response->add_versions(std::to_string(served.version));
      response->set_platform(served.platform);
      write_metadata(served.form, *response);
      auto& properties = *response->mutable_properties();
      properties["content_sha256"] = served.sha256;
      properties["leak_guard"] = served.guard;
      call.finish(Status::OK);
    });
  }

  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* response) override {
    return answer(context, "ModelInfer", *request, *response, [&](Call& call) {
      call.served =
          services_.repository.find(request->model_name(), version_of(request->model_version()));
      service::infer(
          services_.scheduler, call.served,
          [&] {
            call.infer = read_infer(*request, call.served->form, options_.infer);
            service::Job job;
            job.pictures = std::move(call.infer.pictures);
            job.timeout = call.infer.timeout;
            if (const auto left = time_left(*context))
              job.timeout = job.timeout.count() > 0 ? std::min(job.timeout, *left) : *left;
            job.priority = call.infer.priority;
            job.cancelled = call.cancelled.get_token();
            return job;
          },
          [&call, context, response](const service::Result& result) {
            if (const auto* failure = std::get_if<service::Failure>(&result))
              return call.finish(status_of(*failure));
            const auto& computed = std::get<service::Computed>(result);
            call.pictures = computed.pictures;
            call.unprotected = computed.unprotected;
            if (computed.unprotected > 0)
              context->AddTrailingMetadata("veilnet-unprotected",
                                           std::to_string(computed.unprotected));
            write_infer(call.infer, computed.logits, call.served->form, call.served->name,
                        call.served->version, *response);
            call.finish(Status::OK);
          });
    });
  }

  grpc::ServerUnaryReactor* RepositoryIndex(grpc::CallbackServerContext* context,
                                            const inference::RepositoryIndexRequest* request,
                                            inference::RepositoryIndexResponse* response) override {
    return answer(context, "RepositoryIndex", *request, *response, [&](Call& call) {
      for (const auto& one : services_.repository.index()) {
        if (request->ready() && one.state != "READY") continue;
        auto& model = *response->add_models();
        model.set_name(one.name);
        if (one.version) model.set_version(std::to_string(one.version));
        model.set_state(one.state);
        model.set_reason(one.reason);
      }
      call.finish(Status::OK);
    });
  }

  grpc::ServerUnaryReactor* RepositoryModelLoad(
      grpc::CallbackServerContext* context, const inference::RepositoryModelLoadRequest* request,
      inference::RepositoryModelLoadResponse* response) override {
    return answer(context, "RepositoryModelLoad", *request, *response, [&](Call& call) {
      control(call, &service::Control::load, request->model_name());
    });
  }

  grpc::ServerUnaryReactor* RepositoryModelUnload(
      grpc::CallbackServerContext* context, const inference::RepositoryModelUnloadRequest* request,
      inference::RepositoryModelUnloadResponse* response) override {
    return answer(context, "RepositoryModelUnload", *request, *response, [&](Call& call) {
      control(call, &service::Control::unload, request->model_name());
    });
  }

  void control(Call& call,
               void (service::Control::*act)(const std::string&, service::Control::Done),
               const std::string& model) {
    if (!options_.allow_control)
      return call.finish({StatusCode::PERMISSION_DENIED,
                          "this server does not load or unload models (--allow-control)"});
    (services_.control.*act)(model, [&call](const std::optional<service::Failure>& failure) {
      call.finish(failure ? status_of(*failure) : Status::OK);
    });
  }

 private:
  Services services_;
  ServerOptions options_;
  std::atomic<int> requests_ = 0;
  std::atomic<bool> draining_ = false;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;  ///< ends before what its calls use
};

}  // namespace

std::unique_ptr<Server> make_server(const Services& services, const ServerOptions& options) {
  return std::make_unique<GrpcServer>(services, options);
}

}  // namespace veilnet::rpc

// NOLINTNEXTLINE: the pointer that it returns is C++'s, and so is who calls it.
extern "C" std::unique_ptr<veilnet::rpc::Server> veilnet_make_grpc_server(
    const veilnet::rpc::Services& services, const veilnet::rpc::ServerOptions& options) {
  return veilnet::rpc::make_server(services, options);
}
