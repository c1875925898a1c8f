#include "http/server.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <poll.h>
#include <sodium.h>
#include <stop_token>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include "core/error.h"
#include "core/text.h"
#include "service/access_log.h"

namespace veilnet::http {
namespace {

namespace net = boost::asio;
namespace ssl = net::ssl;
namespace beast = boost::beast;
namespace wire = beast::http;
using tcp = net::ip::tcp;
using boost::system::error_code;
using service::Clock;

// What a client may still send after an answer that ends the connection.
constexpr size_t kLingerBytes = 4u << 20;
constexpr auto kLinger = std::chrono::seconds(2);
constexpr auto kLook = std::chrono::milliseconds(50);
// The slowest that a client may read a long answer, beyond the time for any answer.
constexpr size_t kSlowestBytesPerSecond = 64u << 10;

/// The answer to a request that cannot be read.
Response response_to(const error_code& error, const ServerOptions& options) {
  if (error == wire::error::body_limit)
    return error_response(413, fmt::format("the body is larger than the {} bytes that are allowed",
                                           options.max_body_bytes));
  if (error == wire::error::header_limit)
    return error_response(431,
                          fmt::format("the header is larger than the {} bytes that are allowed",
                                      options.max_header_bytes));
  return error_response(400, fmt::format("not a valid HTTP request: {}", error.message()));
}

/// Whether the error is a request's, to which there can be an answer, and not the connection's.
bool is_answerable(const error_code& error) {
  return error.category() == wire::make_error_code(wire::error::bad_version).category() &&
         error != wire::error::end_of_stream && error != wire::error::partial_message;
}

class SessionBase {
 public:
  virtual ~SessionBase() = default;
  /// Ends the connection if it is idle. On any thread.
  virtual void end() = 0;
};

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(Api& a, const ServerOptions& o) : api(a), options(o), acceptor(context) {
    if (sodium_init() < 0) fail(ErrorCode::Io, "libsodium cannot be initialised");
    if (options.certificate.empty() != options.private_key.empty())
      fail(ErrorCode::InvalidArgument,
           "a certificate needs its private key and the other way round");
    if (!options.certificate.empty()) make_tls();
    error_code error;
    const auto address = net::ip::make_address(options.host, error);
    if (error)
      fail(ErrorCode::InvalidArgument, "host is \"{}\"; expected an address, as 127.0.0.1 or ::1",
           printable(options.host));
    const tcp::endpoint endpoint(address, options.port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(net::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(net::socket_base::max_listen_connections, error);
    if (error)
      fail(ErrorCode::Io, "cannot listen on {} port {}: {}", options.host, options.port,
           error.message());
    port = acceptor.local_endpoint().port();
  }

  void start() {
    accept();
    for (int i = 0; i < std::max(options.io_threads, 1); ++i)
      threads.emplace_back([this] { context.run(); });
  }

  void make_tls() {
    tls.emplace(ssl::context::tls_server);
    error_code error;
    SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_3_VERSION);
    tls->use_certificate_chain_file(options.certificate.string(), error);
    if (error)
      fail(ErrorCode::BadData, "{}: is no certificate that can be used: {}",
           options.certificate.string(), error.message());
    tls->use_private_key_file(options.private_key.string(), ssl::context::pem, error);
    if (error)
      fail(ErrorCode::BadData, "{}: is no key that can be used with {}: {}",
           options.private_key.string(), options.certificate.string(), error.message());
  }

  void accept();

  void log(const Response& response, const std::string& id, uint64_t bytes_in,
           Clock::time_point begin) {
    api.count(response.route, response.status);
    if (!options.access_log) return;
    options.access_log(service::access_line({.request_id = id,
                                             .route = response.route,
                                             .status = response.status,
                                             .bytes_in = bytes_in,
                                             .bytes_out = response.content().size(),
                                             .begin = begin,
                                             .model = response.model,
                                             .version = response.version,
                                             .pictures = response.pictures,
                                             .unprotected = response.unprotected}));
  }

  void add(const std::shared_ptr<SessionBase>& session) {
    const std::lock_guard lock(mutex);
    sessions.emplace(session.get(), session);
  }
  void remove(SessionBase* session) {
    const std::lock_guard lock(mutex);
    sessions.erase(session);
    changed.notify_all();
  }
  size_t count() {
    const std::lock_guard lock(mutex);
    return sessions.size();
  }

  bool stop() {
    if (threads.empty()) return true;
    stopping = true;
    api.drain();
    net::post(acceptor.get_executor(), [this] {
      error_code ignored;
      acceptor.close(ignored);
    });
    std::vector<std::shared_ptr<SessionBase>> open;
    {
      const std::lock_guard lock(mutex);
      for (const auto& [session, weak] : sessions)
        if (auto living = weak.lock()) open.push_back(std::move(living));
    }
    for (const auto& session : open) session->end();
    open.clear();
    bool whole = true;
    {
      std::unique_lock lock(mutex);
      whole = changed.wait_for(lock, options.drain_timeout, [this] { return sessions.empty(); });
    }
    context.stop();
    for (auto& thread : threads) thread.join();
    threads.clear();
    return whole;
  }

  Api& api;
  ServerOptions options;
  std::optional<ssl::context> tls;
  std::atomic<bool> stopping = false;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<SessionBase*, std::weak_ptr<SessionBase>> sessions;
  uint16_t port = 0;
  // Below what the handlers in it use: they are destroyed first.
  net::io_context context;
  // A connection that waits for its model has nothing to do with the context, which must go on.
  net::executor_work_guard<net::io_context::executor_type> work{context.get_executor()};
  tcp::acceptor acceptor;
  std::vector<std::thread> threads;
};

namespace {

/// One connection: one request after the other, each answered before the next is read.
template <class Stream>
class Session : public SessionBase, public std::enable_shared_from_this<Session<Stream>> {
 public:
  template <class... More>
  Session(std::shared_ptr<Server::Impl> server, tcp::socket&& socket, bool refused, More&... more)
      : server_(std::move(server)),
        refused_(refused),
        stream_(std::move(socket), more...),
        timer_(stream_.get_executor()) {}
  ~Session() override { server_->remove(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    server_->add(this->shared_from_this());
    net::dispatch(stream_.get_executor(), [self = this->shared_from_this()] { self->begin(); });
  }

  void end() override {
    net::post(stream_.get_executor(), [self = this->shared_from_this()] {
      if (self->idle_) self->close();
    });
  }

 private:
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;
  using Parser = wire::request_parser<wire::vector_body<uint8_t>>;

  auto& lowest() { return beast::get_lowest_layer(stream_); }
  template <void (Session::*Function)(error_code, size_t)>
  auto then() {
    return [self = this->shared_from_this()](error_code error, size_t bytes) {
      ((*self).*Function)(error, bytes);
    };
  }

  void begin() {
    error_code ignored;
    lowest().socket().set_option(tcp::no_delay(true), ignored);
    begin_ = Clock::now();
    if constexpr (kTls) {
      if (refused_) return close();
      lowest().expires_after(server_->options.header_timeout);
      stream_.async_handshake(ssl::stream_base::server,
                              [self = this->shared_from_this()](error_code error) {
                                if (!error) self->await_request();
                              });
    } else {
      if (refused_)
        return finish(error_response(503, "more connections than are allowed; try again later"));
      await_request();
    }
  }

  void await_request() {
    if (buffer_.size() > 0) return read_head();
    if (server_->stopping) return close();
    idle_ = true;
    lowest().expires_after(server_->options.idle_timeout);
    stream_.async_read_some(buffer_.prepare(4096), then<&Session::on_first_bytes>());
  }

  void on_first_bytes(error_code error, size_t bytes) {
    idle_ = false;
    if (error) return;
    buffer_.commit(bytes);
    read_head();
  }

  void read_head() {
    begin_ = Clock::now();
    head_ = {};
    parser_.emplace();
    parser_->header_limit(server_->options.max_header_bytes);
    parser_->body_limit(server_->options.max_body_bytes);
    give_time(server_->options.header_timeout);
    wire::async_read_header(stream_, buffer_, *parser_, then<&Session::on_head>());
  }

  /// Ends the read that follows when the time is over. Beast's own timeouts close the connection,
  /// and there would be nobody left to tell.
  void give_time(std::chrono::milliseconds time) {
    lowest().expires_never();
    timed_out_ = false;
    timer_.expires_after(time);
    timer_.async_wait([weak = this->weak_from_this(), turn = ++turn_](error_code error) {
      const auto self = weak.lock();
      if (error || !self || self->turn_ != turn) return;
      self->timed_out_ = true;
      self->lowest().cancel();
    });
  }
  void stop_timer() {
    ++turn_;
    timer_.cancel();
  }

  void on_head(error_code error, size_t) {
    stop_timer();
    if (error) return refuse(error);
    const auto& request = parser_->get();
    if (auto response = check_framing(request)) return finish(std::move(*response));
    const auto target = std::string_view(request.target().data(), request.target().size());
    const auto question = std::min(target.find('?'), target.size());
    const auto field = [&](auto name) {
      const auto value = request[name];
      return std::string(value.data(), value.size());
    };
    head_.method = std::string(request.method_string());
    head_.path = std::string(target.substr(0, question));
    head_.query = std::string(target.substr(std::min(question + 1, target.size())));
    head_.json_bytes = field("Inference-Header-Content-Length");
    head_.content_encoding = field(wire::field::content_encoding);
    head_.authorization = field(wire::field::authorization);
    head_.if_none_match = field(wire::field::if_none_match);
    if (auto response = server_->api.refuse(head_)) {
      // A body that has already come is read, so that the connection can be used again.
      response_ = std::move(*response);
    }
    const bool asks = beast::iequals(request[wire::field::expect], "100-continue");
    if (response_ && !parser_->is_done() &&
        (asks || !parser_->content_length() || *parser_->content_length() > (64u << 10)))
      return finish(std::move(*response_));
    if (asks) {
      continue_.emplace(wire::status::continue_, 11);
      lowest().expires_after(server_->options.write_timeout);
      wire::async_write(stream_, *continue_, then<&Session::on_continue>());
      return;
    }
    read_body();
  }

  void on_continue(error_code error, size_t) {
    if (!error) read_body();
  }

  void read_body() {
    give_time(server_->options.body_timeout);
    wire::async_read(stream_, buffer_, *parser_, then<&Session::on_body>());
  }

  void on_body(error_code error, size_t) {
    stop_timer();
    if (error) return refuse(error);
    auto request = parser_->release();
    keep_ = request.keep_alive();
    bytes_in_ = request.body().size();
    if (response_) return send(std::move(*response_));
    cancelled_ = std::stop_source();
    watch_client();
    server_->api.handle(head_, std::move(request.body()), cancelled_.get_token(),
                        [self = this->shared_from_this()](Response response) {
                          net::post(self->stream_.get_executor(),
                                    [self, response = std::move(response)]() mutable {
                                      self->stop_timer();
                                      self->send(std::move(response));
                                    });
                        });
  }

  /// Looks from time to time whether the client of the request under way is still there: bytes that
  /// it sent ahead, or TLS's goodbye, would hide its end from a read. A client that closes its
  /// sending side alone is taken for gone, as most servers do.
  void watch_client() {
    timer_.expires_after(kLook);
    timer_.async_wait([weak = this->weak_from_this(), turn = ++turn_](error_code error) {
      const auto self = weak.lock();
      if (error || !self || self->turn_ != turn) return;
      pollfd look{self->lowest().socket().native_handle(), POLLRDHUP, 0};
      if (::poll(&look, 1, 0) > 0) {
        self->cancelled_.request_stop();
      } else {
        self->watch_client();
      }
    });
  }

  /// What Beast lets pass and another server before or behind this one may read otherwise.
  static std::optional<Response> check_framing(const Parser::value_type& request) {
    const auto lengths = request.count(wire::field::content_length);
    const auto encodings = request.count(wire::field::transfer_encoding);
    const auto length = request[wire::field::content_length];
    if (lengths > 1 || length.find(',') != length.npos)
      return error_response(400, "several Content-Length");
    if (lengths > 0 && encodings > 0)
      return error_response(400, "both Content-Length and Transfer-Encoding");
    if (encodings > 1 ||
        (encodings == 1 && !beast::iequals(request[wire::field::transfer_encoding], "chunked")))
      return error_response(501, "the only Transfer-Encoding that is taken is chunked");
    if (request.version() < 11 && encodings > 0)
      return error_response(400, "Transfer-Encoding with HTTP/1.0");
    if (request.version() >= 11 && request.count(wire::field::host) != 1)
      return error_response(400, "HTTP/1.1 needs one Host");
    return std::nullopt;
  }

  void refuse(const error_code& error) {
    if (timed_out_) return finish(error_response(408, "the request did not arrive in time"));
    if (is_answerable(error)) finish(response_to(error, server_->options));
  }

  /// The last answer of the connection, whose request was not read to its end.
  void finish(Response response) {
    keep_ = false;
    send(std::move(response));
  }

  void send(Response response) {
    const auto id = service::random_request_id();
    if (server_->stopping) keep_ = false;
    message_.emplace(static_cast<wire::status>(response.status), 11);
    message_->set(wire::field::server, "veilnet");
    message_->set(wire::field::content_type, response.content_type);
    message_->set(wire::field::cache_control, "no-store");
    message_->set("X-Content-Type-Options", "nosniff");
    message_->set("X-Request-Id", id);
    for (const auto& [name, value] : response.headers) message_->set(name, value);
    server_->log(response, id, bytes_in_, begin_);
    sent_ = std::move(response);
    const auto& content = sent_.content();
    message_->keep_alive(keep_);
    if (sent_.status != 304) message_->content_length(content.size());
    if (head_.method != "HEAD") message_->body() = {content.data(), content.size()};
    response_.reset();
    bytes_in_ = 0;
    lowest().expires_after(server_->options.write_timeout +
                           std::chrono::seconds(content.size() / kSlowestBytesPerSecond));
    wire::async_write(stream_, *message_, then<&Session::on_sent>());
  }

  void on_sent(error_code error, size_t) {
    message_.reset();
    sent_ = {};
    if (error) return;
    if (keep_) return await_request();
    if constexpr (kTls) {
      lowest().expires_after(kLinger);
      stream_.async_shutdown([self = this->shared_from_this()](error_code) { self->linger(); });
    } else {
      linger();
    }
  }

  /// Closing a socket with unread bytes in it would take the answer away from the client.
  void linger() {
    error_code ignored;
    lowest().socket().shutdown(tcp::socket::shutdown_send, ignored);
    lowest().expires_after(kLinger);
    discarded_ = 0;
    discard(error_code(), 0);
  }

  void discard(error_code error, size_t bytes) {
    discarded_ += bytes;
    if (error || discarded_ > kLingerBytes) return close();
    lowest().socket().async_read_some(net::buffer(scratch_), then<&Session::discard>());
  }

  void close() {
    error_code ignored;
    lowest().socket().close(ignored);
  }

  std::shared_ptr<Server::Impl> server_;
  bool refused_;
  Stream stream_;
  net::steady_timer timer_;
  /// Chunk extensions and trailers are in no other limit.
  beast::flat_buffer buffer_{server_->options.max_header_bytes + (128u << 10)};
  std::optional<Parser> parser_;
  std::optional<wire::response<wire::empty_body>> continue_;
  Response sent_;  ///< what message_ refers to
  std::optional<wire::response<wire::span_body<const char>>> message_;
  Head head_;
  std::optional<Response> response_;  ///< known before the body was read
  std::stop_source cancelled_;        ///< of the request under way
  Clock::time_point begin_;
  uint64_t bytes_in_ = 0;
  bool keep_ = false, idle_ = false, timed_out_ = false;
  uint64_t turn_ = 0;
  size_t discarded_ = 0;
  std::array<char, 4096> scratch_;
};

}  // namespace

void Server::Impl::accept() {
  acceptor.async_accept(net::make_strand(context), [this](error_code error, tcp::socket socket) {
    if (!acceptor.is_open()) return;
    if (!error) {
      const bool refused = count() >= options.max_connections;
      if (tls) {
        std::make_shared<Session<beast::ssl_stream<beast::tcp_stream>>>(
            shared_from_this(), std::move(socket), refused, *tls)
            ->start();
      } else {
        std::make_shared<Session<beast::tcp_stream>>(shared_from_this(), std::move(socket), refused)
            ->start();
      }
      return accept();
    }
    // No descriptors left, say: they come back when connections end.
    const auto timer = std::make_shared<net::steady_timer>(context, std::chrono::milliseconds(50));
    timer->async_wait([this, timer](error_code) {
      if (acceptor.is_open()) accept();
    });
  });
}

Server::Server(Api& api, const ServerOptions& options)
    : impl_(std::make_shared<Impl>(api, options)) {
  impl_->start();
}
Server::~Server() { impl_->stop(); }
uint16_t Server::port() const { return impl_->port; }
bool Server::stop() { return impl_->stop(); }

}  // namespace veilnet::http
