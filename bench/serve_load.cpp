// Load for `veilnet serve`, and the runtime's own speed beside it. bench/serve.py runs it.
//
// Open loop, as wrk2: requests are due at fixed times whether or not answers have come, and a
// request's latency counts from when it was due, so that a server that stalls is not asked less.
// Every answer's labels are compared with those that the runtime gives.
#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <numeric>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "runtime/network.h"

namespace {

using namespace veilnet;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

struct Options {
  std::string model, pictures, target = "/v2/models/m/infer";
  uint16_t port = 0;
  int connections = 16, pictures_each = 32, threads = 1, workers = 2;
  double rate = 0, seconds = 5, bad_share = 0;
  bool runtime = false;
};

/// A request and what its answer holds.
struct Prepared {
  std::string bytes, labels;  ///< labels empty: one that must be refused with 400
};

/// CIFAR's pictures as HWC bytes.
std::vector<uint8_t> read_pictures(const std::string& path) {
  constexpr size_t kPlane = 1024, kRecord = 1 + 3 * kPlane;
  const auto file = read_file(path, 1u << 30);
  std::vector<uint8_t> pixels;
  for (size_t at = 0; at + kRecord <= file.size(); at += kRecord)
    for (size_t i = 0; i < kPlane; ++i)
      for (size_t c = 0; c < 3; ++c) pixels.push_back(file[at + 1 + c * kPlane + i]);
  return pixels;
}

/// Requests whose labels do not hang on the last bits: batches of other sizes round differently.
std::vector<Prepared> prepare(const Options& o, const runtime::Network& psi,
                              std::span<const uint8_t> pixels) {
  constexpr size_t kBytes = 3072;
  const auto classes = psi.card().class_names.size();
  const auto logits = psi.logits(pixels, 32, 32);
  std::vector<std::pair<size_t, size_t>> sure;  // picture, label
  for (size_t i = 0; i < pixels.size() / kBytes; ++i) {
    std::vector<float> own(logits.begin() + static_cast<ptrdiff_t>(i * classes),
                           logits.begin() + static_cast<ptrdiff_t>((i + 1) * classes));
    const auto label = std::ranges::max_element(own) - own.begin();
    std::ranges::sort(own, std::ranges::greater());
    if (own[0] - own[1] > 0.05f) sure.emplace_back(i, static_cast<size_t>(label));
  }
  std::vector<Prepared> list;
  const auto each = static_cast<size_t>(o.pictures_each);
  for (size_t first = 0; first + each <= sure.size() && list.size() < 256; first += each) {
    std::string body, labels;
    for (size_t i = first; i < first + each; ++i) {
      body.append(reinterpret_cast<const char*>(pixels.data()) + sure[i].first * kBytes, kBytes);
      labels += fmt::format("{}{}", labels.empty() ? "" : ",", sure[i].second);
    }
    const auto head = json{{"inputs",
                            {{{"name", "images"},
                              {"datatype", "UINT8"},
                              {"shape", {each, 32, 32, 3}},
                              {"parameters", {{"binary_data_size", body.size()}}}}}},
                           {"outputs", {{{"name", "label"}}}}}
                          .dump();
    list.push_back({fmt::format("POST {} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n"
                                "Inference-Header-Content-Length: {}\r\n\r\n{}{}",
                                o.target, head.size() + body.size(), head.size(), head, body),
                    "\"data\":[" + labels + "]"});
  }
  return list;
}

std::vector<Prepared> bad_requests(const Options& o) {
  std::vector<Prepared> list;
  for (const std::string body :
       {"", "{", "[]", R"({"inputs":[]})", R"({"inputs":[{"name":"images"}]})",
        R"({"inputs":[{"name":"images","datatype":"UINT8","shape":[9999999,32,32,3],"data":[]}]})"})
    list.push_back({fmt::format("POST {} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n{}",
                                o.target, body.size(), body),
                    ""});
  return list;
}

struct Counts {
  uint64_t answered = 0, refused = 0, retried = 0, lost = 0, bad_answered = 0;
  /// Good requests answered with other labels, or with another status than 200; malformed ones with
  /// another than 400.
  uint64_t other_labels = 0, not_200 = 0, not_400 = 0;
  json first_wrong = json::array();  ///< what the first few were answered
  std::vector<double> latencies_ms;
};

/// A connection with at most one request under way.
struct Connection {
  int fd = -1;
  const Prepared* request = nullptr;
  Clock::time_point due{}, give_up{};
  size_t sent = 0;
  std::string received;
};

class Load {
 public:
  Load(const Options& o, std::vector<Prepared> good, std::vector<Prepared> bad)
      : o_(o),
        good_(std::move(good)),
        bad_(std::move(bad)),
        connections_(static_cast<size_t>(o.connections)) {}

  json run() {
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(o_.seconds));
    const auto gap = o_.rate > 0 ? std::chrono::duration_cast<Clock::duration>(
                                       std::chrono::duration<double>(1 / o_.rate))
                                 : Clock::duration(0);
    auto next_due = begin;
    while (true) {
      const auto now = Clock::now();
      const bool asking = now < end;
      if (o_.rate > 0)
        for (; asking && next_due <= now; next_due += gap) waiting_.push_back(next_due);
      bool busy = false;
      for (auto& c : connections_) {
        if (!c.request) {
          if (o_.rate > 0 ? !waiting_.empty() : asking) begin_request(c, now);
        }
        busy |= c.request != nullptr;
      }
      if (!asking && !busy && waiting_.empty()) break;
      step(asking && o_.rate > 0 ? next_due : now + std::chrono::milliseconds(100));
    }
    return report(
        std::chrono::duration<double>(std::min(last_answer_, end + std::chrono::seconds(1)) - begin)
            .count());
  }

 private:
  void begin_request(Connection& c, Clock::time_point now) {
    c.due = now;
    if (o_.rate > 0) {
      c.due = waiting_.front();
      waiting_.pop_front();
    }
    ++number_;
    const bool bad = o_.bad_share > 0 && static_cast<double>(number_ % 100) < 100 * o_.bad_share;
    c.request = bad ? &bad_[number_ % bad_.size()] : &good_[number_ % good_.size()];
    c.give_up = now + std::chrono::seconds(10);
    restart(c);
  }

  void restart(Connection& c) {
    c.sent = 0;
    c.received.clear();
  }

  void reconnect(Connection& c) {
    c.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(o_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(c.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS)
      fail(ErrorCode::Io, "cannot connect: {}", std::strerror(errno));
  }

  // The connection was lost: the request is sent again, unless its time is over.
  void lose(Connection& c) {
    ::close(c.fd);
    c.fd = -1;
    if (!c.request) return;
    if (Clock::now() > c.give_up) {
      ++counts_.lost;
      c.request = nullptr;
      return;
    }
    ++counts_.retried;
    restart(c);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  void step(Clock::time_point until) {
    std::vector<pollfd> polled;
    std::vector<Connection*> owners;
    for (auto& c : connections_) {
      if (c.request && c.fd < 0) reconnect(c);
      if (c.fd < 0) continue;
      const short events =
          c.request && c.sent < c.request->bytes.size() ? POLLOUT | POLLIN : POLLIN;
      polled.push_back({c.fd, events, 0});
      owners.push_back(&c);
    }
    const auto left = std::max<int64_t>(
        0, std::chrono::duration_cast<std::chrono::nanoseconds>(until - Clock::now()).count());
    const timespec wait{left / 1'000'000'000, left % 1'000'000'000};
    ::ppoll(polled.data(), polled.size(), &wait, nullptr);
    for (size_t i = 0; i < polled.size(); ++i) {
      auto& c = *owners[i];
      if (polled[i].revents & (POLLERR | POLLHUP)) {
        lose(c);
        continue;
      }
      if (polled[i].revents & POLLOUT) write_some(c);
      if (c.fd >= 0 && polled[i].revents & POLLIN) read_some(c);
    }
  }

  void write_some(Connection& c) {
    const auto n = ::send(c.fd, c.request->bytes.data() + c.sent, c.request->bytes.size() - c.sent,
                          MSG_NOSIGNAL);
    if (n > 0) c.sent += static_cast<size_t>(n);
    if (n < 0 && errno != EAGAIN) lose(c);
  }

  void read_some(Connection& c) {
    char buffer[65536];
    const auto n = ::recv(c.fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
      if (n == 0 || errno != EAGAIN) lose(c);
      return;
    }
    c.received.append(buffer, static_cast<size_t>(n));
    const auto head = c.received.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const auto length = c.received.find("Content-Length: ");
    if (length > head) fail(ErrorCode::BadData, "an answer without Content-Length");
    const auto size = std::stoul(c.received.substr(length + 16, 20));
    if (c.received.size() < head + 4 + size) return;
    judge(c, std::stoi(c.received.substr(9, 3)));
  }

  void judge(Connection& c, int status) {
    last_answer_ = Clock::now();
    const bool bad = c.request->labels.empty();
    const bool refused = status == 503 || status == 429 || status == 504;
    const bool again = refused && o_.rate == 0 && last_answer_ < c.give_up;
    if (refused) {
      ++counts_.refused;
      // As fast as answers come means here: as a client does that waits and asks again.
      if (o_.rate == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      counts_.lost += o_.rate == 0 && !again && !bad;
    } else if (bad) {
      ++counts_.bad_answered;
      if (status != 400) wrong(c, counts_.not_400);
    } else {
      ++counts_.answered;
      if (status != 200)
        wrong(c, counts_.not_200);
      else if (c.received.find(c.request->labels) == std::string::npos)
        wrong(c, counts_.other_labels);
      counts_.latencies_ms.push_back(
          std::chrono::duration<double, std::milli>(last_answer_ - c.due).count());
    }
    const bool closes = c.received.find("Connection: close") < c.received.find("\r\n\r\n");
    if (again)
      restart(c);
    else
      c.request = nullptr;
    if (closes) lose(c);
  }

  void wrong(const Connection& c, uint64_t& count) {
    ++count;
    if (counts_.first_wrong.size() < 8)
      counts_.first_wrong.push_back({{"expected", c.request->labels}, {"answer", c.received}});
  }

  json report(double seconds) {
    auto& ms = counts_.latencies_ms;
    std::ranges::sort(ms);
    const auto at = [&](double share) {
      return ms.empty() ? 0
                        : ms[std::min(ms.size() - 1,
                                      static_cast<size_t>(share * static_cast<double>(ms.size())))];
    };
    return {{"seconds", seconds},
            {"answered", counts_.answered},
            {"pictures_per_s", static_cast<double>(counts_.answered) * o_.pictures_each / seconds},
            {"wrong", counts_.other_labels + counts_.not_200 + counts_.not_400},
            {"other_labels", counts_.other_labels},
            {"not_200", counts_.not_200},
            {"not_400", counts_.not_400},
            {"first_wrong", counts_.first_wrong},
            {"refused", counts_.refused},
            {"retried", counts_.retried},
            {"lost", counts_.lost},
            {"bad_answered", counts_.bad_answered},
            {"p50_ms", at(0.5)},
            {"p99_ms", at(0.99)},
            {"p99.9_ms", at(0.999)}};
  }

  const Options& o_;
  std::vector<Prepared> good_, bad_;
  std::vector<Connection> connections_;
  std::deque<Clock::time_point> waiting_;
  uint64_t number_ = 0;
  Counts counts_;
  Clock::time_point last_answer_ = Clock::now();
};

/// Pictures a second of the runtime alone, its batches on as many threads as the server's workers.
json runtime_speed(const Options& o, const runtime::Network& psi, std::span<const uint8_t> pixels) {
  std::atomic<uint64_t> pictures = 0;
  const auto batch = pixels.first(static_cast<size_t>(o.pictures_each) * 3072);
  psi.logits(batch, 32, 32);
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(o.seconds));
  const auto begin = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < o.workers; ++i)
      threads.emplace_back([&] {
        while (Clock::now() < end) {
          psi.logits(batch, 32, 32);
          pictures += static_cast<uint64_t>(o.pictures_each);
        }
      });
  }
  return {{"pictures_per_s", static_cast<double>(pictures) /
                                 std::chrono::duration<double>(Clock::now() - begin).count()}};
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Load for veilnet serve", "serve_load");
  app.add_option("--model", o.model, "psi")->required();
  app.add_option("--pictures", o.pictures, "A CIFAR-10 batch file")->required();
  app.add_option("--port", o.port, "Of the server on this machine");
  app.add_option("--target", o.target, "Path of the request");
  app.add_option("--connections", o.connections);
  app.add_option("--pictures-each", o.pictures_each, "Pictures of a request");
  app.add_option("--rate", o.rate, "Requests a second, open loop; 0: as fast as answers come");
  app.add_option("--seconds", o.seconds);
  app.add_option("--bad-share", o.bad_share, "Share of malformed requests");
  app.add_flag("--runtime", o.runtime, "Measure the runtime alone");
  app.add_option("--threads", o.threads, "Of one computation of the runtime alone");
  app.add_option("--workers", o.workers, "Computations at once of the runtime alone");
  CLI11_PARSE(app, argc, argv);
  try {
    const runtime::Network psi(model::load(o.model, model::Role::Classifier),
                               {o.threads, o.runtime ? o.pictures_each : 32});
    auto pixels = read_pictures(o.pictures);
    pixels.resize(std::min(pixels.size(), size_t{3072} * 2000));
    const auto result = o.runtime ? runtime_speed(o, psi, pixels)
                                  : Load(o, prepare(o, psi, pixels), bad_requests(o)).run();
    fmt::print("{}\n", result.dump());
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "serve_load: {}\n", e.what());
    return 1;
  }
}
