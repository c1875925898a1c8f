#include "model/zoo.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <sys/auxv.h>
#include <system_error>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/hash.h"
#include "core/json_file.h"
#include "core/text.h"

namespace veilnet::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kIndex = "index.json";
constexpr const char* kFormat = "veilnet-models";
constexpr int kIndexVersion = 1;

[[noreturn]] void refuse(const fs::path& index, const std::string& what) {
  fail(ErrorCode::BadData, "{}: {}", index.string(), what);
}

std::string text(const fs::path& index, const json& row, const char* field) {
  const auto found = row.find(field);
  if (found == row.end() || !found->is_string())
    refuse(index, fmt::format("a model's \"{}\" is missing or no text", field));
  return found->get<std::string>();
}

ZooModel row_of(const fs::path& index, const json& row) {
  if (!row.is_object()) refuse(index, "models holds a value that is no object");
  ZooModel model;
  model.name = text(index, row, "name");
  model.file = text(index, row, "file");
  if (model.file.has_parent_path() || model.file.extension() != ".safetensors")
    refuse(index, fmt::format("\"{}\": file is \"{}\"; allowed: the name of a .safetensors file",
                              printable(model.name, 80), printable(model.file.string(), 80)));
  model.sha256 = text(index, row, "sha256");
  const auto role = text(index, row, "role");
  const auto known = std::ranges::find(kRoles, role, role_name);
  if (known == std::end(kRoles))
    refuse(index,
           fmt::format("\"{}\": role is \"{}\"; allowed: classifier, transform, inverse, encoder",
                       printable(model.name, 80), printable(role, 80)));
  model.role = *known;
  model.text = text(index, row, "text");
  model.licence = text(index, row, "licence");
  model.record = text(index, row, "record");
  const auto figures = row.find("figures");
  if (figures == row.end() || !figures->is_object())
    refuse(index, "a model's \"figures\" is missing or no object");
  for (const auto& [name, value] : figures->items()) {
    if (!value.is_number()) refuse(index, "a model's \"figures\" holds what is no number");
    model.figures[name] = value.get<double>();
  }
  return model;
}

}  // namespace

fs::path zoo_folder() {
  if (const char* given = std::getenv("VEILNET_MODELS")) return given;
  std::error_code cause;
  auto program = fs::read_symlink("/proc/self/exe", cause);
  // Without /proc: the path that was executed. NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto* executed = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  if (program.empty() && executed) program = fs::absolute(executed, cause);
  Dl_info here{};  // the library, where this code is part of one
  const bool known = ::dladdr(reinterpret_cast<void*>(&zoo_folder), &here) != 0 && here.dli_fname;
  const auto beside = [&](const fs::path& file, std::initializer_list<const char*> places) {
    for (const char* place : places) {
      auto folder = (file.parent_path() / place).lexically_normal();
      if (!file.empty() && fs::exists(folder / kIndex, cause)) return folder;
    }
    return fs::path();
  };
  // Installed, beside bin/, lib/ and lib's folders; a build's programs, and its Python module.
  auto folder =
      beside(program, {"../share/veilnet/models", "../../share/veilnet/models", "../../models"});
  if (folder.empty() && known && !fs::equivalent(here.dli_fname, program, cause))
    folder = beside(here.dli_fname, {"../share/veilnet/models", "../../share/veilnet/models",
                                     "../../models", "../../../models"});
  return folder;
}

std::vector<ZooModel> zoo(const fs::path& folder) {
  if (folder.empty()) return {};
  const auto index = folder / kIndex;
  const auto object =
      read_json(index, {.max_bytes = 1 << 20, .max_depth = 6, .max_values = 10'000});
  if (!object.is_object() || object.value("format", json()) != kFormat ||
      object.value("format_version", json()) != kIndexVersion)
    refuse(index, fmt::format("is no list of models: format \"{}\", format_version {}", kFormat,
                              kIndexVersion));
  const auto models = object.find("models");
  if (models == object.end() || !models->is_array()) refuse(index, "models is missing or no list");
  std::vector<ZooModel> out;
  for (const auto& row : *models) {
    out.push_back(row_of(index, row));
    const auto& name = out.back().name;
    if (std::ranges::count(out, name, &ZooModel::name) > 1)
      refuse(index, fmt::format("\"{}\" is there twice", printable(name, 80)));
  }
  return out;
}

fs::path checked(const fs::path& folder, const ZooModel& model) {
  const auto path = folder / model.file;
  if (const auto found = sha256_file(path); found != model.sha256)
    fail(ErrorCode::BadData,
         "{}: is not the model \"{}\" that {} lists: its SHA-256 is {}, expected {}", path.string(),
         printable(model.name, 80), (folder / kIndex).string(), found, printable(model.sha256, 80));
  return path;
}

std::optional<fs::path> listed(const std::string& name) {
  const auto folder = zoo_folder();
  for (const auto& model : zoo(folder))
    if (model.name == name) return checked(folder, model);
  return std::nullopt;
}

fs::path file_of(const std::string& given) {
  std::error_code cause;
  if (fs::exists(given, cause) || cause == std::errc::permission_denied) return given;
  if (auto path = listed(given)) return *path;
  const auto folder = zoo_folder();
  fail(ErrorCode::NotFound, "{}: no such file, nor the name of a model{}", given,
       folder.empty() ? ": there is no folder of models (VEILNET_MODELS names one)"
                      : " in " + folder.string());
}

}  // namespace veilnet::model
