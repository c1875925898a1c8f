#include "remote/service.h"

#include <fmt/format.h>
#include <utility>

#include "core/error.h"
#include "core/json_file.h"
#include "core/text.h"

namespace veilnet::remote {

using nlohmann::json;

namespace {

// It becomes part of a path.
void check_name(const std::string& name) {
  if (name.find_first_of("/?#% ") != name.npos || printable(name, name.size()) != name)
    fail(ErrorCode::InvalidArgument,
         "the model's name is \"{}\"; not allowed are / ? # %, spaces and control characters",
         printable(name, 80));
}

}  // namespace

std::string text_at(const json& answer, const char* key) {
  const auto found = answer.is_object() ? answer.find(key) : answer.end();
  if (found == answer.end() || !found->is_string())
    fail(ErrorCode::BadData, "the server's answer holds no \"{}\"", key);
  return *found;
}

Service::Service(const std::string& url, ConnectionOptions options, std::string name,
                 const std::string& classifier_sha256)
    : endpoint_(endpoint_of(url)), options_(std::move(options)), name_(std::move(name)) {
  if (name_.empty()) name_ = only_model();
  check_name(name_);
  check_psi(classifier_sha256);
}

json Service::request(const std::string& target, std::optional<std::span<const uint8_t>> body,
                      const std::string& content_type) {
  std::unique_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!connection) connection = std::make_unique<Connection>(endpoint_, options_);
  const auto answer = connection->request(target, body, content_type);
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
    warned_ |= answer.unprotected > 0;
  }
  json value;
  try {
    value = parse_json(answer.body, "the server's answer");
  } catch (const Error&) {
    if (answer.status == 200) throw;
  }
  if (answer.status == 200) return value;
  const auto error = value.is_object() ? value.value("error", json()) : json();
  fail(ErrorCode::BadData, "the server answers {}: {}", answer.status,
       error.is_string() ? printable(error.get<std::string>(), 400) : "no reason given");
}

std::string Service::only_model() {
  const auto index = request("/v2/repository/index", std::span<const uint8_t>());
  std::vector<std::string> ready;
  if (index.is_array())
    for (const auto& one : index)
      if (text_at(one, "state") == "READY") ready.push_back(text_at(one, "name"));
  if (ready.size() == 1) return ready.front();
  std::string names;
  for (const auto& name : ready) names += " " + printable(name);
  fail(ErrorCode::InvalidArgument,
       "the server has {} models ready, and no name (--name) says which is meant of:{}",
       ready.size(), names);
}

void Service::check_psi(const std::string& wants) {
  const auto metadata = request("/v2/models/" + name_, {});
  const auto parameters = metadata.is_object() ? metadata.value("parameters", json()) : json();
  const auto has = text_at(parameters, "content_sha256");
  if (wants.empty())
    fail(ErrorCode::InvalidArgument,
         "the card of h does not say which psi it was trained for; --psi-sha256 does "
         "(classifier_sha256 in the library). The server's is {}",
         printable(has));
  if (wants != has)
    fail(ErrorCode::BadData,
         "h was trained for the psi {}, and the server has {}: nothing was sent",
         printable(wants, 64), printable(has, 64));
}

json Service::classify(std::span<const uint8_t> png, int top_k) {
  auto target = fmt::format("/v2/models/{}/classify", name_);
  if (top_k > 1) target += fmt::format("?top_k={}", top_k);
  auto answer = request(target, png, "image/png");
  if (!answer.is_object() || !answer.value("label", json()).is_number_integer())
    fail(ErrorCode::BadData, "the server's answer holds no label");
  text_at(answer, "name");
  return answer;
}

bool Service::warned() const {
  const std::lock_guard lock(mutex_);
  return warned_;
}

}  // namespace veilnet::remote
