#include "model/zoo.h"

#include <fmt/format.h>
#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "core/text.h"

namespace veilnet::cli {
namespace {

void run(const CommonOptions& o) {
  const auto folder = model::zoo_folder();
  const auto models = model::zoo(folder);
  if (models.empty())
    fail(ErrorCode::NotFound,
         "there are no models: no folder share/veilnet/models or models/ with an index.json "
         "belongs to this program; VEILNET_MODELS names another");
  nlohmann::json list = nlohmann::json::array();
  fmt::print("{:<16} {:<10}  {}\n", "model", "role", "what it is");
  std::size_t wrong = 0;
  for (const auto& m : models) {
    std::string why;
    try {
      model::checked(folder, m);
    } catch (const Error& e) {
      why = e.what();
      ++wrong;
    }
    fmt::print("{:<16} {:<10}  {}\n", printable(m.name, 40), model::role_name(m.role),
               printable(m.text, 400));
    std::string figures;
    for (const auto& [name, value] : m.figures)
      figures +=
          fmt::format("{}{} {:.4g}", figures.empty() ? "" : ", ", printable(name, 80), value);
    fmt::print("{:<28}  {} ({})\n", "", figures, printable(m.record, 80));
    if (!why.empty()) fmt::print("{:<28}  CANNOT BE USED: {}\n", "", printable(why, 4096));
    list.push_back({{"name", m.name},
                    {"file", as_utf8((folder / m.file).native())},
                    {"sha256", m.sha256},
                    {"role", model::role_name(m.role)},
                    {"text", m.text},
                    {"licence", m.licence},
                    {"record", m.record},
                    {"figures", m.figures}});
    if (!why.empty()) list.back()["error"] = as_utf8(why);
  }
  write_json(o, list);
  if (wrong > 0)
    fail(ErrorCode::BadData, "{}: {} of {} models cannot be used", folder.string(), wrong,
         models.size());
  fmt::print("{}: {} models, every checksum right\n", folder.string(), models.size());
}

}  // namespace

void add_models(CLI::App& command) {
  const auto options = std::make_shared<CommonOptions>();
  add_json(command, *options);
  examples(command, {"veilnet models", "veilnet models --json models.json"});
  command.callback([options] { run(*options); });
}

}  // namespace veilnet::cli
