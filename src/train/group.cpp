#include "train/group.h"

#include <algorithm>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/error.h"

#if VEILNET_GLOO
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace veilnet::train {

#if VEILNET_GLOO
namespace {

using c10d::ProcessGroupGloo;

constexpr std::chrono::seconds kMeeting{300};

// Of messages of c10d, which go on with a stack.
std::string first_line(const std::exception& e) {
  const std::string_view text = e.what();
  return std::string(text.substr(0, text.find('\n')));
}

// This machine's address on the way to process 0. The name of a machine, which Gloo would ask for
// its address, is often that of the loopback alone.
std::string own_address(const Place& place) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  const auto port = std::to_string(place.port);
  if (const int error = ::getaddrinfo(place.host.c_str(), port.c_str(), &hints, &found))
    fail(ErrorCode::InvalidArgument, "MASTER_ADDR is {}: {}", place.host, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  std::string own;
  for (const auto* to = found; to && own.empty(); to = to->ai_next) {
    const int fd = ::socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    char text[NI_MAXHOST] = "";
    // Sends nothing: it chooses the way.
    if (::connect(fd, to->ai_addr, to->ai_addrlen) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&from), &size) == 0 &&
        ::getnameinfo(reinterpret_cast<sockaddr*>(&from), size, text, sizeof text, nullptr, 0,
                      NI_NUMERICHOST) == 0)
      own = text;
    ::close(fd);
  }
  if (own.empty())
    fail(ErrorCode::Io, "there is no way to process 0 at {} (MASTER_ADDR)", place.host);
  return own;
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace

struct Group::Connections {
  c10::intrusive_ptr<c10d::Store> store;
  // For what some reach much later than others, which are waited for as long as at the beginning:
  // how long is a property of the connections, whatever a call asks for.
  c10::intrusive_ptr<ProcessGroupGloo> meeting;
  // Sums that a step waits for, and those of gradients beside them, each in an order of its own.
  c10::intrusive_ptr<ProcessGroupGloo> waited, beside;
  bool lost = false;

  // What c10d throws becomes ours.
  template <class Work>
  auto guarded(const Work& work) {
    try {
      return work();
    } catch (const std::exception& e) {
      lost = true;
      fail(ErrorCode::Io, "another process has ended or does not answer: {}", first_line(e));
    }
  }

  void sum(ProcessGroupGloo& among, const torch::Tensor& tensor) {
    guarded([&] {
      std::vector<at::Tensor> tensors{tensor};
      among.allreduce(tensors)->wait();
    });
  }

  void broadcast(ProcessGroupGloo& among, const torch::Tensor& tensor) {
    guarded([&] {
      std::vector<at::Tensor> tensors{tensor};
      among.broadcast(tensors)->wait();
    });
  }
};

Group::Group(const Place& place, std::chrono::seconds patience)
    : place_(place), connections_(std::make_unique<Connections>()) {
  const auto own = own_address(place);
  bool all_are_there = false;
  try {
    c10d::TCPStoreOptions options;
    options.port = place.port;
    options.isServer = first() && !place.store_is_there;
    options.waitWorkers = !place.store_is_there;
    options.numWorkers = static_cast<std::size_t>(place.size);
    options.timeout = kMeeting;
    auto& store = connections_->store;
    store = c10::make_intrusive<c10d::TCPStore>(place.host, options);
    if (place.store_is_there)  // and holds what earlier attempts wrote
      store =
          c10::make_intrusive<c10d::PrefixStore>("veilnet/" + std::to_string(place.attempt), store);
    store->set("address/" + std::to_string(place.rank), bytes_of(own));
    const auto bytes = store->get("address/0");
    const std::string theirs(bytes.begin(), bytes.end());
    if (is_loopback(own) != is_loopback(theirs))
      fail(ErrorCode::InvalidArgument,
           "MASTER_ADDR {} leads process 0 to {} and process {} to {}: on one of their machines it "
           "is the loopback; give an address that all reach",
           place.host, theirs, place.rank, own);
    const auto open = [&](const char* name, std::chrono::seconds timeout) {
      auto gloo = ProcessGroupGloo::Options::create(timeout);
      gloo->devices.push_back(ProcessGroupGloo::createDeviceForHostname(own));
      return c10::make_intrusive<ProcessGroupGloo>(
          c10::make_intrusive<c10d::PrefixStore>(name, store), place.rank, place.size, gloo);
    };
    connections_->meeting = open("meeting", kMeeting);
    meet();
    all_are_there = true;  // and connect again within their patience
    connections_->waited = open("waited", patience);
    connections_->beside = open("beside", patience);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    if (all_are_there)
      fail(ErrorCode::Io,
           "{} processes have come together at {}:{}, and not all of them answered within the {} s "
           "of compute.peer_seconds; this is process {}: {}",
           place.size, place.host, place.port, patience.count(), place.rank, first_line(e));
    fail(ErrorCode::Io,
         "not all of {} processes have come to {}:{} (MASTER_ADDR, MASTER_PORT) within {} s; this "
         "is process {}: {}",
         place.size, place.host, place.port, kMeeting.count(), place.rank, first_line(e));
  }
}

bool Group::lost() const { return connections_->lost; }

void Group::meet() { connections_->sum(*connections_->meeting, torch::zeros({1})); }

void Group::sum(const torch::Tensor& tensor) { connections_->sum(*connections_->waited, tensor); }

std::function<void()> Group::start_sum(const torch::Tensor& tensor) {
  return connections_->guarded([&]() -> std::function<void()> {
    std::vector<at::Tensor> tensors{tensor};
    return [this, work = connections_->beside->allreduce(tensors)] {
      connections_->guarded([&] { work->wait(); });
    };
  });
}

void Group::take_from_first(const torch::Tensor& tensor) {
  connections_->broadcast(*connections_->waited, tensor);
}

std::string Group::from_first(const std::function<std::string()>& make) {
  return from_first(make, true);
}

std::string Group::from_first(const std::function<std::string()>& make, bool meets) {
  auto& among = meets ? *connections_->meeting : *connections_->waited;
  std::string text;
  if (first()) {
    try {
      text = nlohmann::json{{"value", make()}}.dump();
    } catch (const Error& e) {
      text = nlohmann::json{{"code", static_cast<int>(e.code())}, {"message", e.what()}}.dump();
    }
  }
  const auto length = torch::tensor({static_cast<int64_t>(text.size())});
  connections_->broadcast(among, length);
  const auto bytes = torch::zeros({length.item<int64_t>()}, torch::kByte);
  if (first()) std::ranges::copy(text, bytes.data_ptr<uint8_t>());
  connections_->broadcast(among, bytes);
  const auto* begin = bytes.data_ptr<uint8_t>();
  const auto answer = nlohmann::json::parse(begin, begin + bytes.numel());
  if (answer.contains("message"))
    throw Error(static_cast<ErrorCode>(answer["code"].get<int>()), answer["message"]);
  return answer["value"];
}

#else

struct Group::Connections {};

namespace {

[[noreturn]] void no_gloo() {
  fail(ErrorCode::Unsupported,
       "this veilnet-lab trains with one process alone: it was built without LibTorch's Gloo "
       "(libgloo-dev, VEILNET_GLOO)");
}

}  // namespace

Group::Group(const Place&, std::chrono::seconds) { no_gloo(); }
bool Group::lost() const { no_gloo(); }
void Group::meet() { no_gloo(); }
void Group::sum(const torch::Tensor&) { no_gloo(); }
std::function<void()> Group::start_sum(const torch::Tensor&) { no_gloo(); }
void Group::take_from_first(const torch::Tensor&) { no_gloo(); }
std::string Group::from_first(const std::function<std::string()>&) { no_gloo(); }
std::string Group::from_first(const std::function<std::string()>&, bool) { no_gloo(); }

#endif

Group::~Group() = default;

bool Group::any(bool mine) {
  const auto count = torch::tensor({mine ? 1.0 : 0.0}, torch::kDouble);
  sum(count);
  return count.item<double>() > 0;
}

std::map<std::string, double> Group::sum(const std::map<std::string, double>& mine) {
  const auto list = [&] {
    auto names = nlohmann::json::array();
    for (const auto& [name, value] : mine) names.push_back(name);
    return names.dump();
  };
  const auto names = nlohmann::json::parse(from_first(list, false));
  std::vector<double> values;
  for (const auto& name : names) {
    const auto found = mine.find(name);
    values.push_back(found == mine.end() ? 0 : found->second);
  }
  const auto sums = torch::tensor(values, torch::kDouble);
  sum(sums);
  std::map<std::string, double> out;
  for (size_t i = 0; i < names.size(); ++i)
    out[names[i]] = sums[static_cast<int64_t>(i)].item<double>();
  return out;
}

}  // namespace veilnet::train
