#include "remote/connection.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <sodium.h>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include "core/error.h"
#include "core/text.h"

namespace veilnet::remote {
namespace {

namespace net = boost::asio;
namespace ssl = net::ssl;
namespace beast = boost::beast;
namespace wire = beast::http;
using tcp = net::ip::tcp;
using boost::system::error_code;

constexpr auto kLongestWait = std::chrono::seconds(10);

bool is_worth_another_try(int status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

}  // namespace

Endpoint endpoint_of(std::string_view url) {
  const auto refuse = [&] {
    fail(ErrorCode::InvalidArgument,
         "server is \"{}\"; expected http://HOST:PORT or https://HOST:PORT", printable(url));
  };
  Endpoint endpoint;
  endpoint.tls = url.starts_with("https://");
  if (!endpoint.tls && !url.starts_with("http://")) refuse();
  auto rest = url.substr(endpoint.tls ? 8 : 7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  endpoint.port = endpoint.tls ? 443 : 80;
  const auto colon = rest.rfind(':');
  if (colon != rest.npos && rest.find(']', colon) == rest.npos) {
    const auto digits = rest.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
    if (error != std::errc() || end != digits.data() + digits.size() || endpoint.port == 0)
      refuse();
    rest = rest.substr(0, colon);
  }
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  if (rest.empty() || rest.find_first_of("/?#@ []") != rest.npos ||
      printable(rest, rest.size()) != rest)
    refuse();
  endpoint.host = rest;
  return endpoint;
}

struct Connection::Impl {
  Impl(Endpoint e, ConnectionOptions o) : endpoint(std::move(e)), options(std::move(o)) {
    if (sodium_init() < 0) fail(ErrorCode::Io, "libsodium cannot be initialised");
    if (std::ranges::any_of(options.api_key, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
      fail(ErrorCode::InvalidArgument,
           "the API key holds a control character; allowed is one line of text");
    if (!endpoint.tls) return;
    error_code error;
    if (options.ca_file.empty()) {
      tls.set_default_verify_paths(error);
    } else {
      tls.load_verify_file(options.ca_file.string(), error);
    }
    if (error)
      fail(ErrorCode::BadData, "{}: holds no certificates that can be used: {}",
           options.ca_file.string(), error.message());
    SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_3_VERSION);
    tls.set_verify_mode(ssl::verify_peer);
    tls.set_verify_callback(ssl::host_name_verification(endpoint.host));
  }

  std::string where() const {
    const bool v6 = endpoint.host.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", v6 ? "[" : "", endpoint.host, v6 ? "]" : "", endpoint.port);
  }

  /// Runs one asynchronous operation to its end; `start` is given the handler. An operation that
  /// the deadline stops is an error as others.
  template <class Start>
  void await(std::string_view what, Start&& start) {
    error_code result = net::error::would_block;
    start([&result](error_code error, auto&&...) { result = error; });
    context.restart();
    context.run_until(deadline);
    if (!context.stopped()) {
      lowest().socket().close();
      context.run();
      fail(ErrorCode::Io, "{}: {}: no answer within {} ms", where(), what, options.timeout.count());
    }
    if (!result) return;
    const bool untrusted = result.category() == net::error::get_ssl_category() && tls_stream &&
                           SSL_get_verify_result(tls_stream->native_handle()) != X509_V_OK;
    fail(untrusted ? ErrorCode::BadData : ErrorCode::Io, "{}: {}: {}", where(), what,
         result.message());
  }

  beast::tcp_stream& lowest() { return tls_stream ? tls_stream->next_layer() : *plain; }

  void connect() {
    tcp::resolver resolver(context);
    error_code error;
    const auto found = resolver.resolve(endpoint.host, std::to_string(endpoint.port), error);
    if (error) fail(ErrorCode::Io, "{}: {}", where(), error.message());
    if (endpoint.tls) {
      tls_stream.emplace(beast::tcp_stream(context), tls);
      SSL_set_tlsext_host_name(tls_stream->native_handle(), endpoint.host.c_str());
    } else {
      plain.emplace(context);
    }
    await("connecting", [&](auto handler) { lowest().async_connect(found, handler); });
    error_code ignored;
    lowest().socket().set_option(tcp::no_delay(true), ignored);
    if (tls_stream)
      await("TLS",
            [&](auto handler) { tls_stream->async_handshake(ssl::stream_base::client, handler); });
    buffer.clear();
    open = true;
  }

  void close() {
    open = false;
    plain.reset();
    tls_stream.reset();
  }

  struct Received {
    Answer answer;
    std::chrono::seconds retry_after{0};
  };

  Received exchange(const std::string& target, std::optional<std::span<const uint8_t>> body,
                    const std::string& content_type) {
    deadline = std::chrono::steady_clock::now() + options.timeout;
    const bool reused = open;
    try {
      return exchange_once(target, body, content_type);
    } catch (const Error& e) {
      close();
      // The server may have ended a connection that was idle.
      if (!reused || e.code() != ErrorCode::Io) throw;
    }
    try {
      return exchange_once(target, body, content_type);
    } catch (...) {
      close();
      throw;
    }
  }

  Received exchange_once(const std::string& target, std::optional<std::span<const uint8_t>> body,
                         const std::string& content_type) {
    if (!open) connect();
    wire::request<wire::span_body<const uint8_t>> request(body ? wire::verb::post : wire::verb::get,
                                                          target, 11);
    request.set(wire::field::host, where());
    request.set(wire::field::user_agent, "veilnet");
    if (!options.api_key.empty())
      request.set(wire::field::authorization, "Bearer " + options.api_key);
    if (body) {
      request.set(wire::field::content_type, content_type);
      request.body() = {body->data(), body->size()};
      request.prepare_payload();
    }
    wire::response_parser<wire::string_body> parser;
    parser.body_limit(options.max_answer_bytes);
    const auto send_and_receive = [&](auto& stream) {
      await("sending", [&](auto handler) { wire::async_write(stream, request, handler); });
      await("waiting", [&](auto handler) { wire::async_read(stream, buffer, parser, handler); });
    };
    tls_stream ? send_and_receive(*tls_stream) : send_and_receive(*plain);
    const auto response = parser.release();
    if (!response.keep_alive()) close();
    Received received{{static_cast<int>(response.result_int()), response.body()}, {}};
    const auto unprotected = response["Veilnet-Unprotected"];
    std::from_chars(unprotected.data(), unprotected.data() + unprotected.size(),
                    received.answer.unprotected);
    const auto wait = response[wire::field::retry_after];
    int seconds = 0;
    std::from_chars(wait.data(), wait.data() + wait.size(), seconds);
    received.retry_after = std::chrono::seconds(std::clamp(seconds, 0, 10));
    return received;
  }

  Endpoint endpoint;
  ConnectionOptions options;
  net::io_context context;
  ssl::context tls{ssl::context::tls_client};
  std::optional<beast::tcp_stream> plain;
  std::optional<beast::ssl_stream<beast::tcp_stream>> tls_stream;
  beast::flat_buffer buffer;
  std::chrono::steady_clock::time_point deadline;
  bool open = false;
};

Connection::Connection(Endpoint endpoint, ConnectionOptions options)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(options))) {}
Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;

Answer Connection::request(const std::string& target, std::optional<std::span<const uint8_t>> body,
                           const std::string& content_type) {
  auto wait = impl_->options.first_wait;
  for (int attempt = 1;; ++attempt) {
    std::chrono::milliseconds least{0};
    const bool last = attempt >= impl_->options.tries;
    try {
      auto received = impl_->exchange(target, body, content_type);
      if (last || !is_worth_another_try(received.answer.status)) return received.answer;
      least = received.retry_after;
    } catch (const Error& e) {
      if (last || e.code() != ErrorCode::Io) throw;
    }
    // Clients that were refused together do not come back together.
    const auto random = randombytes_uniform(static_cast<uint32_t>(wait.count()) + 1);
    std::this_thread::sleep_for(least + std::chrono::milliseconds(random));
    wait = std::min<std::chrono::milliseconds>(2 * wait, kLongestWait);
  }
}

}  // namespace veilnet::remote
