#include "model/card.h"

#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace veilnet::model {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "veilnet-model";
constexpr std::string_view kFormatVersion = "1";
constexpr std::array kRoles = {Role::Classifier, Role::Transform, Role::Inverse};

Role role_of(const std::string& file, std::string_view name) {
  for (const Role role : kRoles) {
    if (name == role_name(role)) return role;
  }
  fail(ErrorCode::BadData, "{}: role is \"{}\"; allowed: classifier, transform, inverse", file,
       name);
}

}  // namespace

std::string_view role_name(Role role) {
  switch (role) {
    case Role::Classifier: return "classifier";
    case Role::Transform: return "transform";
    case Role::Inverse: return "inverse";
  }
  return "unknown";
}

std::string describe(const Card& card) {
  auto text = card.architecture;
  if (card.depth > 0) text += fmt::format("-{}", card.depth);
  if (card.base_width > 0) text += fmt::format(" width {}", card.base_width);
  if (!card.adaptation.empty()) text += " behind adaptation " + card.adaptation;
  return text;
}

std::map<std::string, std::string> to_metadata(const Card& card) {
  json parameters = json::object();
  if (card.depth) parameters["depth"] = card.depth;
  if (card.base_width) parameters["base_width"] = card.base_width;
  if (!card.adaptation.empty()) parameters["adaptation"] = card.adaptation;
  if (card.block_size) parameters["block_size"] = card.block_size;
  return {{"format", std::string(kFormat)},
          {"format_version", std::string(kFormatVersion)},
          {"role", std::string(role_name(card.role))},
          {"architecture", card.architecture},
          {"parameters", parameters.dump()},
          {"input_size", json{card.height, card.width}.dump()},
          {"mean_rgb", json(card.mean_rgb).dump()},
          {"std_rgb", json(card.std_rgb).dump()},
          {"class_names", json(card.class_names).dump()},
          {"notes", json(card.notes).dump()}};
}

Card card_of(const Safetensors& file) {
  const auto& metadata = file.metadata();
  const auto text = [&](std::string_view key) -> const std::string& {
    const auto it = metadata.find(std::string(key));
    if (it == metadata.end()) {
      fail(ErrorCode::BadData, "{}: metadata lacks \"{}\": not a model written by Veilnet",
           file.name(), key);
    }
    return it->second;
  };
  if (text("format") != kFormat) {
    fail(ErrorCode::BadData, "{}: metadata format is \"{}\"; expected \"{}\"", file.name(),
         text("format"), kFormat);
  }
  if (text("format_version") != kFormatVersion) {
    fail(ErrorCode::BadData, "{}: format_version is \"{}\"; this build reads \"{}\"", file.name(),
         text("format_version"), kFormatVersion);
  }
  Card card;
  card.role = role_of(file.name(), text("role"));
  card.architecture = text("architecture");
  std::string_view key = "parameters";
  try {
    const auto parameters = json::parse(text(key));
    card.depth = parameters.value("depth", int64_t{0});
    card.base_width = parameters.value("base_width", int64_t{0});
    card.adaptation = parameters.value("adaptation", std::string());
    card.block_size = parameters.value("block_size", int64_t{0});
    const auto size = json::parse(text(key = "input_size")).get<std::array<int64_t, 2>>();
    card.height = size[0];
    card.width = size[1];
    card.mean_rgb = json::parse(text(key = "mean_rgb")).get<std::array<double, 3>>();
    card.std_rgb = json::parse(text(key = "std_rgb")).get<std::array<double, 3>>();
    card.class_names = json::parse(text(key = "class_names")).get<std::vector<std::string>>();
    card.notes = json::parse(text(key = "notes")).get<std::map<std::string, std::string>>();
  } catch (const json::exception& e) {
    fail(ErrorCode::BadData, "{}: metadata \"{}\" is malformed: {}", file.name(), key, e.what());
  }
  if (card.height < 1 || card.width < 1 || card.height > 8192 || card.width > 8192) {
    fail(ErrorCode::BadData, "{}: input_size is {}; allowed: sides of 1 to 8192", file.name(),
         text("input_size"));
  }
  const auto fits = [](double value, double least, double most) {
    return std::isfinite(value) && value >= least && value <= most;
  };
  for (size_t i = 0; i < 3; ++i) {
    if (!fits(card.mean_rgb[i], -1e6, 1e6) || !fits(card.std_rgb[i], 1e-6, 1e6)) {
      fail(ErrorCode::BadData,
           "{}: mean_rgb is {}, std_rgb {}; allowed: means of -1e6 to 1e6, deviations of 1e-6 to "
           "1e6",
           file.name(), text("mean_rgb"), text("std_rgb"));
    }
  }
  if (card.role == Role::Classifier &&
      (card.class_names.size() < 2 || card.class_names.size() > 100'000)) {
    fail(ErrorCode::BadData, "{}: has {} class names; allowed: 2 to 100000", file.name(),
         card.class_names.size());
  }
  return card;
}

std::string content_hash(const Card& card, std::span<const TensorView> tensors) {
  auto metadata = to_metadata(card);
  metadata.erase("notes");
  metadata.erase("format_version");  // the same content in a later format is the same model
  std::vector<const TensorView*> order;
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, &TensorView::name);
  // One line for the card and one for each tensor; the bytes follow the line that tells their size.
  std::vector<std::string> lines = {json(metadata).dump() + "\n"};
  for (const auto* tensor : order) {
    lines.push_back(fmt::format("{} {} [{}]\n", json(tensor->name).dump(),
                                dtype_name(tensor->dtype), fmt::join(tensor->shape, ",")));
  }
  std::vector<std::span<const uint8_t>> parts;
  for (size_t i = 0; i < lines.size(); ++i) {
    parts.emplace_back(reinterpret_cast<const uint8_t*>(lines[i].data()), lines[i].size());
    if (i > 0) parts.push_back(order[i - 1]->bytes);
  }
  return sha256_hex(parts);
}

std::string content_hash(const std::filesystem::path& path) {
  const auto file = Safetensors::load(path);
  return content_hash(card_of(file), file.tensors());
}

}  // namespace veilnet::model
