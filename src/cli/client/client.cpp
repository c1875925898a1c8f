// `veilnet client`: protects pictures here, sends only what is protected, prints the labels.
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <spdlog/spdlog.h>

#include "cli/client/chance.h"
#include "cli/client/models.h"
#include "cli/picture_work.h"
#include "core/error.h"
#include "core/json_file.h"
#include "core/text.h"
#include "model/prepare.h"
#include "remote/service.h"

namespace veilnet::cli {
namespace {

using nlohmann::json;

struct ClientOptions : PictureOptions {
  ClientOptions() { jobs = 8; }

  ModelOptions model;
  ChanceOptions chance;
  std::string server = "http://127.0.0.1:8000", name, psi_sha256, format = "text";
  remote::ConnectionOptions connection;
  int64_t timeout_ms = 10'000;
  int top_k = 1;
  bool dry_run = false;
};

std::string csv_field(std::string text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  for (size_t at = 0; (at = text.find('"', at)) != text.npos; at += 2) text.insert(at, 1, '"');
  return '"' + text + '"';
}

std::string line_of(const ClientOptions& o, const Item& item) {
  const auto name = item.result.at("name").get<std::string>();
  if (o.format == "csv")
    return fmt::format("{},{},{}", csv_field(as_utf8(item.path.native())),
                       item.result.at("label").dump(), csv_field(name));
  if (o.format == "jsonl") {
    auto line = item.result;
    line["input"] = as_utf8(item.path.native());
    return line.dump();
  }
  auto line = fmt::format("{}  {}", printable(item.path.native(), 4096), printable(name));
  if (item.result.contains("top") && o.top_k > 1)
    for (size_t i = 1; i < item.result["top"].size(); ++i)
      line += ", " + printable(remote::text_at(item.result["top"][i], "name"));
  return line;
}

void run(ClientOptions o, const CLI::App& command) {
  if (!o.output.empty() && !o.dry_run)
    fail(ErrorCode::InvalidArgument,
         "--output is where --dry-run writes what would be sent; without it nothing is written");
  if (!o.dry_run && (o.force || o.skip_existing))
    fail(ErrorCode::InvalidArgument,
         "--{} is of what --dry-run writes; without it nothing is written",
         o.force ? "force" : "skip-existing");
  if (const char* key = std::getenv("VEILNET_API_KEY")) o.connection.api_key = key;
  o.connection.timeout = std::chrono::milliseconds(o.timeout_ms);
  const auto file = find_model(o.model, model::Role::Transform);
  const auto h = load_transformation(o.model, file);
  json record{{"model", as_utf8(file.native())}, {"server", o.server}};
  const auto answer = answer_of(o.chance, command, h.card(), file, record);
  std::optional<remote::Service> service;
  if (!o.dry_run) {
    const auto note = h.card().notes.find("classifier_sha256");
    if (o.psi_sha256.empty() && note != h.card().notes.end()) o.psi_sha256 = note->second;
    service.emplace(o.server, o.connection, o.name, o.psi_sha256);
    record["name"] = service->name();
    if (o.format == "csv") fmt::print("input,label,name\n");
  }
  PictureWork work{
      .title = o.dry_run ? "protect" : "classify",
      .done = o.dry_run ? "protected, and did not send," : "classified",
      .record = std::move(record),
      .read = [&](std::span<const uint8_t> bytes,
                  const std::string& path) { return model::decode_fitted(bytes, path, h.card()); },
      .together = [&](std::span<Item> items) { protect(h, items, answer); },
      .each = {},
      .encode = {},
      .at_end =
          [&](nlohmann::json& record) {
            if (!service || !service->warned()) return;
            constexpr const char* kWarning =
                "the server says that a picture looks unprotected: is this h the one that "
                "its leak guard was made for?";
            record["warning"] = kWarning;
            spdlog::warn(kWarning);
          }};
  if (o.dry_run) {
    work.encode = image::encode_png;
  } else {
    work.each = [&](Item& item) {
      const auto body = image::encode_png(item.picture);
      try {
        item.result = service->classify(body, o.top_k);
      } catch (const Error& e) {
        fail(e.code(), "{}: {}", item.path.string(), e.what());
      }
      item.line = line_of(o, item);
    };
  }
  run_pictures(o, std::move(work));
}

}  // namespace

void add_client(CLI::App& command) {
  const auto o = std::make_shared<ClientOptions>();
  add_picture_options(command, *o);
  add_model_options(command, o->model, model::Role::Transform);
  add_chance_options(command, o->chance);
  command.add_option("--server", o->server, "Where veilnet serve listens")
      ->type_name("URL")
      ->capture_default_str();
  command.add_option("--name", o->name, "The model there; the only one unless given");
  command.add_option("--psi-sha256", o->psi_sha256,
                     "Hash of the classifier that h was trained for, where its card lacks it");
  command.add_option("--format", o->format, "Of the lines: text, csv or jsonl")
      ->check(CLI::IsMember({"text", "csv", "jsonl"}))
      ->capture_default_str();
  command.add_option("--top-k", o->top_k, "How many classes to ask for")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--timeout-ms", o->timeout_ms, "Of one try of a request")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  command.add_option("--tries", o->connection.tries, "Of a request, with growing waits between")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command
      .add_option("--ca", o->connection.ca_file,
                  "Authorities that the server's certificate is checked with; the system's "
                  "unless given")
      ->type_name("FILE.pem");
  command.add_flag("--dry-run", o->dry_run, "Send nothing; write what would be sent to --output");
  add_output_options(command, *o);
  command.get_option("--jobs")->description("Requests under way at the same time (8)");
  examples(
      command,
      {"veilnet client photos/ --model h.safetensors --server https://example.org --format csv",
       "veilnet client photos/ --model h.safetensors --dry-run -o would-be-sent/",
       "VEILNET_API_KEY=$(cat key) veilnet client cat.png --model h.safetensors"});
  command.callback([o, &command] { run(*o, command); });
}

}  // namespace veilnet::cli
