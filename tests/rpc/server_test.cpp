#include "rpc/server.h"

#include <fstream>
#include <future>
#include <grpcpp/grpcpp.h>
#include <thread>

#include "open_inference_grpc.grpc.pb.h"
#include "support.h"

namespace veilnet::rpc {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

/// A server of one model, and a client made by gRPC's own generator.
struct Served {
  explicit Served(const service::BatchOptions& batch = {}, ServerOptions options = {})
      : repository({{"m", "tests/data/classifier-format1.safetensors"}}, {.batch = batch},
                   scheduler, statistics) {
    repository.load_all();
    server = make_server({repository, scheduler, statistics, control}, options);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server->port()),
                                        grpc::InsecureChannelCredentials(), arguments);
    stub = inference::GRPCInferenceService::NewStub(channel);
  }

  grpc::Status infer(const inference::ModelInferRequest& request,
                     inference::ModelInferResponse& response,
                     const std::function<void(grpc::ClientContext&)>& set = {}) {
    grpc::ClientContext context;
    if (set) set(context);
    return stub->ModelInfer(&context, request, &response);
  }
  grpc::Status infer(const inference::ModelInferRequest& request,
                     const std::function<void(grpc::ClientContext&)>& set = {}) {
    inference::ModelInferResponse response;
    return infer(request, response, set);
  }
  /// Whether it comes to that that a request waits, or that none does.
  bool waits(bool any) {
    for (int i = 0; i < 500; ++i) {
      std::int64_t pictures = 0;
      for (const auto& [model, count] : repository.pending()) pictures += count;
      if ((pictures > 0) == any) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  /// Whether /metrics comes to hold this line.
  bool counts(const std::string& line) {
    for (int i = 0; i < 500; ++i) {
      if (statistics.to_prometheus({}).find(line + "\n") != std::string::npos) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  service::Statistics statistics;
  service::Scheduler scheduler{1};
  service::Repository repository;
  service::Control control{repository};
  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
};

inference::ModelInferRequest request(bool raw = true, int count = 1) {
  inference::ModelInferRequest message;
  message.set_model_name("m");
  message.set_id("one");
  auto& input = *message.add_inputs();
  input.set_name("images");
  input.set_datatype("UINT8");
  for (const int side : {count, 32, 32, 3}) input.add_shape(side);
  std::string pixels;
  for (int i = 0; i < count * 32 * 32 * 3; ++i) pixels.push_back(static_cast<char>(i * i / 7));
  if (raw) {
    message.add_raw_input_contents(pixels);
  } else {
    for (const char level : pixels)
      input.mutable_contents()->add_uint_contents(static_cast<uint8_t>(level));
  }
  return message;
}

// A picture waits for others as long as the test takes.
const service::BatchOptions kPatient{.max_batch = 64, .max_delay = 700ms};

TEST(GrpcServer, AnswersWhatTheProtocolAsks) {
  Served served;
  {
    grpc::ClientContext context;
    inference::ServerLiveResponse live;
    ASSERT_TRUE(served.stub->ServerLive(&context, {}, &live).ok());
    EXPECT_TRUE(live.live());
  }
  {
    grpc::ClientContext context;
    inference::ServerReadyResponse ready;
    ASSERT_TRUE(served.stub->ServerReady(&context, {}, &ready).ok());
    EXPECT_TRUE(ready.ready());
  }
  {
    grpc::ClientContext context;
    inference::ServerMetadataResponse server;
    ASSERT_TRUE(served.stub->ServerMetadata(&context, {}, &server).ok());
    EXPECT_EQ(server.name(), "veilnet");
  }
  {
    grpc::ClientContext context;
    inference::ModelReadyRequest asked;
    asked.set_name("m");
    inference::ModelReadyResponse ready;
    ASSERT_TRUE(served.stub->ModelReady(&context, asked, &ready).ok());
    EXPECT_TRUE(ready.ready());
  }
  {
    grpc::ClientContext context;
    inference::ModelMetadataRequest asked;
    asked.set_name("m");
    asked.set_version("1");
    inference::ModelMetadataResponse model;
    ASSERT_TRUE(served.stub->ModelMetadata(&context, asked, &model).ok());
    EXPECT_EQ(model.inputs(0).name(), "images");
    EXPECT_EQ(model.inputs(0).shape(0), -1);
    EXPECT_EQ(model.outputs_size(), 2);
    EXPECT_EQ(model.properties().at("content_sha256").size(), 64u);
  }
  {
    grpc::ClientContext context;
    inference::RepositoryIndexResponse index;
    ASSERT_TRUE(served.stub->RepositoryIndex(&context, {}, &index).ok());
    ASSERT_EQ(index.models_size(), 1);
    EXPECT_EQ(index.models(0).state(), "READY");
  }
  inference::ModelInferResponse raw, typed;
  ASSERT_TRUE(served.infer(request(true, 3), raw).ok());
  ASSERT_TRUE(served.infer(request(false, 3), typed).ok());
  EXPECT_EQ(raw.id(), "one");
  std::string labels;
  for (const int64_t label : typed.outputs(0).contents().int64_contents())
    labels.append(reinterpret_cast<const char*>(&label), sizeof label);
  EXPECT_EQ(raw.raw_output_contents(0), labels);
  EXPECT_TRUE(served.counts(R"(nv_inference_count{model="m",version="1"} 6)"));
  EXPECT_TRUE(served.counts(
      R"(veilnet_grpc_responses_total{route="/inference.GRPCInferenceService/ModelInfer",status="OK"} 2)"));
}

TEST(GrpcServer, SaysWhatIsWrong) {
  ServerOptions options;
  options.max_message_bytes = 64 << 10;
  Served served({}, options);
  const auto expect = [&](StatusCode code, const std::string& part, auto&& change,
                          const std::function<void(grpc::ClientContext&)>& set = {}) {
    auto message = request();
    change(message);
    const auto status = served.infer(message, set);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_NE(status.error_message().find(part), std::string::npos) << status.error_message();
  };
  expect(StatusCode::NOT_FOUND, "no model \"x\"", [](auto& m) { m.set_model_name("x"); });
  expect(StatusCode::NOT_FOUND, "version 1 loaded, not 2",
         [](auto& m) { m.set_model_version("2"); });
  expect(StatusCode::NOT_FOUND, "no version \"1x\"", [](auto& m) { m.set_model_version("1x"); });
  expect(StatusCode::INVALID_ARGUMENT, "bytes",
         [](auto& m) { m.mutable_raw_input_contents(0)->pop_back(); });
  expect(StatusCode::RESOURCE_EXHAUSTED, "",
         [](auto& m) { m.add_raw_input_contents(std::string(64 << 10, 'x')); });
  expect(
      StatusCode::UNIMPLEMENTED, "", [](auto&) {},
      [](auto& context) { context.set_compression_algorithm(GRPC_COMPRESS_GZIP); });
  {
    grpc::ClientContext context;
    inference::RepositoryModelUnloadRequest asked;
    asked.set_model_name("m");
    inference::RepositoryModelUnloadResponse done;
    EXPECT_EQ(served.stub->RepositoryModelUnload(&context, asked, &done).error_code(),
              StatusCode::PERMISSION_DENIED);
  }
  EXPECT_TRUE(served.infer(request()).ok());
  EXPECT_TRUE(
      served.counts(R"(nv_inference_request_failure{model="m",version="1",reason="OTHER"} 1)"));
}

TEST(GrpcServer, LoadsAndUnloadsWhereThatIsAllowed) {
  ServerOptions options;
  options.allow_control = true;
  Served served({}, options);
  const auto load = [&](const std::string& name) {
    grpc::ClientContext context;
    inference::RepositoryModelLoadRequest asked;
    asked.set_model_name(name);
    inference::RepositoryModelLoadResponse done;
    return served.stub->RepositoryModelLoad(&context, asked, &done).error_code();
  };
  grpc::ClientContext context;
  inference::RepositoryModelUnloadRequest asked;
  asked.set_model_name("m");
  inference::RepositoryModelUnloadResponse done;
  EXPECT_TRUE(served.stub->RepositoryModelUnload(&context, asked, &done).ok());
  EXPECT_EQ(served.infer(request()).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(load("m"), StatusCode::OK);
  EXPECT_TRUE(served.infer(request()).ok());
  EXPECT_EQ(load("x"), StatusCode::NOT_FOUND);
}

TEST(GrpcServer, AsksForAKey) {
  const test::TemporaryFolder folder;
  const auto key = service::add_api_key(folder / "keys", "alice");
  service::KeyRing keys(folder / "keys", 0);
  ServerOptions options;
  options.keys = &keys;
  Served served({}, options);
  const auto with = [&](const std::string& value) {
    return served
        .infer(request(), [&](auto& context) { context.AddMetadata("authorization", value); })
        .error_code();
  };
  EXPECT_EQ(served.infer(request()).error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(with(key), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(with("Bearer " + key + "x"), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(with("Bearer " + key), StatusCode::OK);
  grpc::ClientContext context;
  inference::ServerLiveResponse live;
  EXPECT_TRUE(served.stub->ServerLive(&context, {}, &live).ok());
}

TEST(GrpcServer, DropsWhatNobodyWaitsFor) {
  Served served(kPatient);
  EXPECT_EQ(served
                .infer(request(),
                       [](auto& context) {
                         context.set_deadline(std::chrono::system_clock::now() + 100ms);
                       })
                .error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(served.waits(false));
  grpc::ClientContext context;
  std::thread client([&] {
    inference::ModelInferResponse response;
    EXPECT_EQ(served.stub->ModelInfer(&context, request(), &response).error_code(),
              StatusCode::CANCELLED);
  });
  EXPECT_TRUE(served.waits(true)) << "one that never arrived is no cancelled one";
  context.TryCancel();
  client.join();
  auto late = request();
  (*late.mutable_parameters())["timeout"].set_uint64_param(50'000);
  EXPECT_EQ(served.infer(late).error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(
      served.counts(R"(nv_inference_request_failure{model="m",version="1",reason="CANCELED"} 1)"));
  EXPECT_TRUE(served.counts(R"(nv_inference_count{model="m",version="1"} 0)"));
}

TEST(GrpcServer, RefusesMoreAtOnceThanAllowed) {
  ServerOptions options;
  options.max_requests = 1;
  Served served(kPatient, options);
  auto first = std::async(std::launch::async, [&] { return served.infer(request()); });
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(served.infer(request()).error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(first.get().ok());
}

TEST(GrpcServer, AnswersWhatHasBegunBeforeItEnds) {
  Served served(kPatient);
  auto waiting = std::async(std::launch::async, [&] { return served.infer(request()); });
  std::this_thread::sleep_for(200ms);
  EXPECT_TRUE(served.server->stop());
  EXPECT_TRUE(waiting.get().ok());
  EXPECT_EQ(served.infer(request()).error_code(), StatusCode::UNAVAILABLE);
}

TEST(GrpcServer, TellsWhyItCannotListen) {
  Served served;
  ServerOptions options;
  options.port = served.server->port();
  const Services services{served.repository, served.scheduler, served.statistics, served.control};
  test::expect_error(ErrorCode::Io, {"gRPC", std::to_string(options.port)},
                     [&] { make_server(services, options); });
  const test::TemporaryFolder folder;
  std::ofstream(folder / "no.pem") << "no certificate";
  options.port = 0;
  options.certificate = options.private_key = folder / "no.pem";
  test::expect_error(ErrorCode::Io, {"certificate"}, [&] { make_server(services, options); });
}

}  // namespace
}  // namespace veilnet::rpc
