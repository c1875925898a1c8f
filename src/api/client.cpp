#include "api/guarded.h"
#include "core/error.h"
#if VEILNET_SERVE
#include <cmath>

#include "api/pictures.h"
#include "image/codecs.h"
#include "remote/service.h"
#endif

namespace veilnet {

using api::guarded;

#if VEILNET_SERVE
namespace {

remote::ConnectionOptions connection_of(const ServerOptions& o) {
  if (o.timeout_ms < 1 || o.tries < 1)
    fail(ErrorCode::InvalidArgument, "timeout_ms is {} and tries {}; allowed: 1 or more",
         o.timeout_ms, o.tries);
  remote::ConnectionOptions options;
  options.timeout = std::chrono::milliseconds(o.timeout_ms);
  options.ca_file = o.ca_file;
  options.api_key = o.api_key;
  options.tries = o.tries;
  return options;
}

Label label_of(const nlohmann::json& answer) {
  const auto said = answer.find("probability");
  const bool tells = said != answer.end() && said->is_number();
  return {remote::text_at(answer, "name"), tells ? said->get<double>() : std::nan("")};
}

}  // namespace

struct Client::Impl {
  Impl(Protector protector, const std::string& server, const ServerOptions& o)
      : h(std::move(protector)),
        service(server, connection_of(o), o.name,
                o.classifier_sha256.empty() ? h.classifier_sha256() : o.classifier_sha256) {}
  Protector h;
  remote::Service service;
};

std::vector<Label> Client::classify(const Picture& plain, int top_k) const {
  return guarded([&] {
    if (top_k < 1) fail(ErrorCode::InvalidArgument, "top_k is {}; allowed: 1 or more", top_k);
    const auto png = image::encode_png(api::checked(impl_->h.protect(plain)));
    const auto answer = impl_->service.classify(png, top_k);
    const auto top = answer.find("top");
    if (top == answer.end() || !top->is_array()) return std::vector{label_of(answer)};
    std::vector<Label> labels;
    for (const auto& one : *top) labels.push_back(label_of(one));
    return labels;
  });
}

bool Client::warned() const { return impl_->service.warned(); }

#else

struct Client::Impl {
  Impl(const Protector&, const std::string&, const ServerOptions&) {
    fail(ErrorCode::Unsupported, "this library was built without a client (-DVEILNET_SERVE=OFF)");
  }
};

std::vector<Label> Client::classify(const Picture&, int) const { return {}; }
bool Client::warned() const { return false; }

#endif

Client::Client(Protector h, const std::string& server, const ServerOptions& options) {
  guarded([&] { impl_ = std::make_unique<Impl>(std::move(h), server, options); });
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

}  // namespace veilnet
