#include "http/api.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "core/version.h"
#include "service/inference.h"

namespace veilnet::http {
namespace {

using nlohmann::json;
using service::Clock;
using service::Reason;
using service::Served;

struct RouteRow {
  Route route;
  std::string_view method, name;
};
constexpr std::array kRoutes = {
    RouteRow{Route::Server, "GET", "/v2"},
    RouteRow{Route::Live, "GET", "/v2/health/live"},
    RouteRow{Route::Ready, "GET", "/v2/health/ready"},
    RouteRow{Route::Metrics, "GET", "/metrics"},
    RouteRow{Route::Model, "GET", "/v2/models/{model}"},
    RouteRow{Route::ModelReady, "GET", "/v2/models/{model}/ready"},
    RouteRow{Route::ModelStatistics, "GET", "/v2/models/{model}/stats"},
    RouteRow{Route::Infer, "POST", "/v2/models/{model}/infer"},
    RouteRow{Route::Classify, "POST", "/v2/models/{model}/classify"},
    RouteRow{Route::Index, "POST", "/v2/repository/index"},
    RouteRow{Route::Load, "POST", "/v2/repository/models/{model}/load"},
    RouteRow{Route::Unload, "POST", "/v2/repository/models/{model}/unload"},
    RouteRow{Route::Web, "GET", "/{file}"},
};

const RouteRow& row_of(Route route) { return *std::ranges::find(kRoutes, route, &RouteRow::route); }

// A whole decimal number, or nothing.
std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

int status_of(Reason reason) {
  switch (reason) {
    case Reason::Malformed: return 400;
    case Reason::NotFound: return 404;
    case Reason::Unprotected: return 422;
    case Reason::Overloaded: return 503;
    case Reason::TimedOut: return 504;
    case Reason::Cancelled: return 499;  // nobody reads it; the log and /metrics have it
    case Reason::Failed: return 500;
  }
  return 500;
}

Response json_response(const json& value) { return {200, value.dump()}; }

// The value of a key of the query, or nothing.
std::optional<std::string_view> query_value(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.starts_with(key) && pair.substr(key.size()).starts_with('='))
      return pair.substr(key.size() + 1);
  }
  return std::nullopt;
}

int64_t top_k_of(std::string_view query, int64_t most) {
  const auto given = query_value(query, "top_k");
  if (!given) return 1;
  const auto value = number_of(*given);
  if (!value || *value < 1 || *value > static_cast<uint64_t>(most))
    fail(ErrorCode::BadData, "top_k is \"{}\"; allowed: 1 to {}", printable(*given, 40), most);
  return static_cast<int64_t>(*value);
}

// The picture of a file. It must have the model's size: bringing a protected picture to another
// destroys what it is named by.
service::Pictures picture_of(std::span<const uint8_t> file, const service::ModelForm& form,
                             uint64_t max_bytes) {
  image::DecodeLimits limits;
  limits.max_file_bytes = max_bytes;
  limits.max_side = static_cast<int>(std::max(form.height, form.width));
  limits.max_pixels = static_cast<uint64_t>(form.height * form.width);
  auto picture = image::decode(file, "the body", limits);
  if (picture.height != form.height || picture.width != form.width)
    fail(ErrorCode::BadData, "the picture has {}x{} pixels; this model takes {}x{}", picture.width,
         picture.height, form.width, form.height);
  service::Pictures pictures;
  pictures.count = 1;
  pictures.memory = std::move(picture.rgb);
  pictures.pixels_nhwc = pictures.memory;
  return pictures;
}

}  // namespace

std::string_view route_name(Route route) { return row_of(route).name; }

std::optional<Target> target_of(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  const auto parts = segments_of(path);
  const auto is = [&](size_t at, std::string_view text) {
    return at < parts.size() && parts[at] == text;
  };
  if (parts.size() == 1 && is(0, "metrics")) return Target{Route::Metrics, "", {}};
  if (!is(0, "v2")) return std::nullopt;
  if (parts.size() == 1) return Target{Route::Server, "", {}};
  if (is(1, "health") && parts.size() == 3) {
    if (is(2, "live")) return Target{Route::Live, "", {}};
    if (is(2, "ready")) return Target{Route::Ready, "", {}};
  }
  if (is(1, "repository")) {
    if (parts.size() == 3 && is(2, "index")) return Target{Route::Index, "", {}};
    if (parts.size() == 5 && is(2, "models")) {
      if (is(4, "load")) return Target{Route::Load, std::string(parts[3]), {}};
      if (is(4, "unload")) return Target{Route::Unload, std::string(parts[3]), {}};
    }
  }
  if (!is(1, "models") || parts.size() < 3) return std::nullopt;
  if (parts.size() == 3 && is(2, "stats")) return Target{Route::ModelStatistics, "", {}};
  Target target{Route::Model, std::string(parts[2]), {}};
  size_t at = 3;
  if (is(at, "versions")) {
    const auto version = at + 1 < parts.size() ? number_of(parts[at + 1]) : std::nullopt;
    if (!version || *version > INT64_MAX) return std::nullopt;
    target.version = static_cast<int64_t>(*version);
    at += 2;
  }
  if (parts.size() == at) return target;
  if (parts.size() > at + 1) return std::nullopt;
  for (const auto& [word, route] :
       {std::pair("ready", Route::ModelReady), std::pair("stats", Route::ModelStatistics),
        std::pair("infer", Route::Infer), std::pair("classify", Route::Classify)}) {
    if (!is(at, word)) continue;
    target.route = route;
    return target;
  }
  return std::nullopt;
}

Response error_response(int status, std::string_view text) {
  Response response{status, json{{"error", as_utf8(text)}}.dump()};
  if (status == 503 || status == 429) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Api::Api(service::Repository& repository, service::Scheduler& scheduler,
         service::Statistics& statistics, service::Control& control, const ApiOptions& options)
    : repository_(repository),
      scheduler_(scheduler),
      statistics_(statistics),
      control_(control),
      options_(options) {}

std::optional<Target> Api::served_target(const Head& head) const {
  auto target = target_of(head.path);
  if (!target && options_.web && options_.web->find(head.path)) target = Target{Route::Web, "", {}};
  return target;
}

std::optional<Response> Api::refuse(const Head& head) const {
  const auto target = served_target(head);
  if (!target) return error_response(404, "there is no such path");
  const auto& row = row_of(target->route);
  const auto refused = [&](int status, std::string_view text) {
    auto response = error_response(status, text);
    response.route = row.name;
    return response;
  };
  constexpr std::array kOpen = {Route::Live, Route::Ready, Route::Web};
  if (options_.keys && !std::ranges::count(kOpen, target->route)) {
    constexpr std::string_view kScheme = "Bearer ";
    const auto& given = head.authorization;
    std::string owner;
    const auto access = given.starts_with(kScheme)
                            ? options_.keys->check(given.substr(kScheme.size()), owner)
                            : service::Access::Unknown;
    if (access == service::Access::TooOften) return refused(429, "more requests than are allowed");
    if (access != service::Access::Granted) {
      auto response = refused(401, "a key is needed: Authorization: Bearer KEY");
      response.headers.emplace_back("WWW-Authenticate", "Bearer");
      return response;
    }
  }
  const bool asks_head = target->route == Route::Web && head.method == "HEAD";
  if (head.method != row.method && !asks_head) {
    auto response = refused(405, fmt::format("only {} is allowed here", row.method));
    response.headers.emplace_back("Allow", target->route == Route::Web ? "GET, HEAD" : row.method);
    return response;
  }
  if (!head.content_encoding.empty() && head.content_encoding != "identity")
    return refused(415, "compressed bodies are not taken; send it without Content-Encoding");
  if ((target->route == Route::Load || target->route == Route::Unload) && !options_.allow_control)
    return refused(403, "this server does not load or unload models (--allow-control)");
  return std::nullopt;
}

void Api::handle(Head head, std::vector<uint8_t> body, std::stop_token cancelled, Reply reply) {
  const auto target = served_target(head);
  const auto route = target ? row_of(target->route).name : "-";
  const auto tell = [route, reply = std::move(reply)](Response response) {
    response.route = route;
    reply(std::move(response));
  };
  try {
    if (!target) return tell(error_response(404, "there is no such path"));
    switch (target->route) {
      case Route::Infer: return infer(*target, head, std::move(body), std::move(cancelled), tell);
      case Route::Classify: return classify(*target, head, body, std::move(cancelled), tell);
      case Route::Load:
      case Route::Unload: return control(*target, tell);
      default: return tell(answer(*target, head));
    }
  } catch (const service::NotLoaded& e) {
    tell(error_response(503, e.what()));
  } catch (const Error& e) {
    tell(error_response(status_of(service::reason_of(e.code())), e.what()));
  } catch (const std::bad_alloc&) {
    tell(error_response(503, "not enough memory for this request"));
  }
}

Response Api::web(const Head& head) const {
  const auto& file = *options_.web->find(head.path);
  Response response;
  response.headers = web_headers();
  response.headers.emplace_back("ETag", file.etag);
  response.content_type = file.type;
  if (has_version(head.if_none_match, file))
    response.status = 304;
  else
    response.file = file.bytes;
  return response;
}

Response Api::answer(const Target& target, const Head& head) const {
  switch (target.route) {
    case Route::Server:
      return json_response(
          {{"name", "veilnet"},
           {"version", commit()},
           {"extensions",
            {"binary_tensor_data", "statistics", "model_repository", "parameters", "classify"}}});
    case Route::Live: return json_response({{"live", true}});
    case Route::Ready: {
      const bool ready = !draining_ && repository_.ready();
      auto response = json_response({{"ready", ready}});
      if (!ready) response.status = 503;
      return response;
    }
    case Route::Metrics: return metrics();
    case Route::Model: {
      const auto served = repository_.find(target.model, target.version);
      return json_response(
          {{"name", served->name},
           {"versions", {std::to_string(served->version)}},
           {"platform", served->platform},
           {"inputs", service::input_metadata(served->form)},
           {"outputs", service::output_metadata(served->form)},
           {"parameters", {{"content_sha256", served->sha256}, {"leak_guard", served->guard}}}});
    }
    case Route::ModelReady:
      repository_.find(target.model, target.version);
      return json_response({{"name", target.model}, {"ready", !draining_}});
    case Route::ModelStatistics:
      if (!target.model.empty()) repository_.find(target.model, target.version);
      return json_response(statistics_.to_json(target.model));
    case Route::Index: {
      auto list = json::array();
      for (const auto& one : repository_.index())
        list.push_back({{"name", one.name},
                        {"version", one.version ? std::to_string(one.version) : ""},
                        {"state", one.state},
                        {"reason", one.reason}});
      return json_response(list);
    }
    case Route::Web: return web(head);
    default: return error_response(404, "there is no such path");
  }
}

Response Api::metrics() const {
  return {200, statistics_.to_prometheus(repository_.pending()), "text/plain; version=0.0.4"};
}

namespace {

/// Answers a request for a model: `read` makes the pictures, `write` the answer of the logits.
template <class Write>
void compute(service::Scheduler& scheduler, const std::shared_ptr<const Served>& served,
             const Api::Reply& reply, const std::function<service::Job()>& read, Write write) {
  service::infer(scheduler, served, read,
                 [served, reply, write = std::move(write)](service::Result result) {
                   Response response;
                   if (const auto* failure = std::get_if<service::Failure>(&result)) {
                     response = error_response(status_of(failure->reason), failure->message);
                   } else {
                     const auto& computed = std::get<service::Computed>(result);
                     response = write(computed.logits);
                     response.pictures = computed.pictures;
                     response.unprotected = computed.unprotected;
                     if (computed.unprotected > 0)
                       response.headers.emplace_back("Veilnet-Unprotected",
                                                     std::to_string(computed.unprotected));
                   }
                   response.model = served->name;
                   response.version = served->version;
                   reply(std::move(response));
                 });
}

}  // namespace

void Api::infer(const Target& target, const Head& head, std::vector<uint8_t> body,
                std::stop_token cancelled, Reply reply) {
  const auto served = repository_.find(target.model, target.version);
  const auto request = std::make_shared<service::InferRequest>();
  compute(
      scheduler_, served, reply,
      [&] {
        std::optional<uint64_t> json_bytes;
        if (!head.json_bytes.empty()) {
          json_bytes = number_of(head.json_bytes);
          if (!json_bytes)
            fail(ErrorCode::BadData,
                 "Inference-Header-Content-Length is \"{}\"; expected a number of bytes",
                 printable(head.json_bytes, 40));
        }
        *request = service::read_infer(std::move(body), json_bytes, served->form, options_.infer);
        return service::Job{.pictures = std::move(request->pictures),
                            .timeout = request->timeout,
                            .priority = request->priority,
                            .cancelled = cancelled};
      },
      [served, request](std::span<const float> logits) {
        auto answer =
            service::write_infer(*request, logits, served->form, served->name, served->version);
        Response response{200, std::move(answer.body)};
        if (answer.json_bytes) {
          response.content_type = "application/octet-stream";
          response.headers.emplace_back("Inference-Header-Content-Length",
                                        std::to_string(*answer.json_bytes));
        }
        return response;
      });
}

void Api::classify(const Target& target, const Head& head, const std::vector<uint8_t>& body,
                   std::stop_token cancelled, Reply reply) {
  const auto served = repository_.find(target.model, target.version);
  const auto top_k = std::make_shared<int64_t>(1);
  compute(
      scheduler_, served, reply,
      [&] {
        *top_k = top_k_of(head.query, served->form.answers.max_top_k);
        return service::Job{.pictures = picture_of(body, served->form, options_.max_picture_bytes),
                            .cancelled = cancelled};
      },
      [served, top_k](std::span<const float> logits) {
        return json_response(
            service::classification(logits, served->form, served->name, served->version, *top_k));
      });
}

void Api::control(const Target& target, Reply reply) {
  auto done = [reply = std::move(reply)](const std::optional<service::Failure>& failure) {
    reply(failure ? error_response(status_of(failure->reason), failure->message)
                  : Response{200, "{}"});
  };
  if (target.route == Route::Load) {
    control_.load(target.model, std::move(done));
  } else {
    control_.unload(target.model, std::move(done));
  }
}

}  // namespace veilnet::http
