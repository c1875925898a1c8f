#include "model/card.h"

#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/json_file.h"
#include "core/text.h"

namespace veilnet::model {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "veilnet-model";
constexpr std::string_view kFormatVersion = "1";

}  // namespace

std::string_view role_name(Role role) {
  switch (role) {
    case Role::Classifier: return "classifier";
    case Role::Transform: return "transform";
    case Role::Inverse: return "inverse";
    case Role::Encoder: return "encoder";
  }
  return "unknown";
}

Role role_of(std::string_view name) {
  std::vector<std::string_view> allowed;
  for (const Role role : kRoles) {
    if (name == role_name(role)) return role;
    allowed.push_back(role_name(role));
  }
  fail(ErrorCode::InvalidArgument, "role is \"{}\"; allowed: {}", printable(name),
       fmt::join(allowed, ", "));
}

void check(const Card& card) {
  if (card.height < 1 || card.width < 1 || card.height > 8192 || card.width > 8192) {
    fail(ErrorCode::InvalidArgument, "input_size is [{}, {}]; allowed: sides of 1 to 8192",
         card.height, card.width);
  }
  const auto fits = [](double value, double least, double most) {
    return std::isfinite(value) && value >= least && value <= most;
  };
  for (size_t i = 0; i < 3; ++i) {
    if (!fits(card.mean_rgb[i], -1e6, 1e6) || !fits(card.std_rgb[i], 1e-6, 1e6)) {
      fail(ErrorCode::InvalidArgument,
           "mean_rgb is {}, std_rgb {}; allowed: means of -1e6 to 1e6, deviations of 1e-6 to 1e6",
           card.mean_rgb, card.std_rgb);
    }
  }
  if (card.role == Role::Classifier &&
      (card.class_names.size() < 2 || card.class_names.size() > 100'000)) {
    fail(ErrorCode::InvalidArgument, "has {} class names; allowed: 2 to 100000",
         card.class_names.size());
  }
  for (const auto& name : card.class_names) check_class_name(name);
}

void check_class_name(const std::string& name) {
  constexpr size_t kLongest = 100;
  if (!name.empty() && printable(name, kLongest) == name) return;
  fail(ErrorCode::InvalidArgument,
       "\"{}\" cannot name a class; allowed: 1 to {} bytes without control characters",
       printable(name, kLongest), kLongest);
}

std::string describe(const Card& card) {
  auto text = card.architecture;
  if (card.depth > 0) text += fmt::format("-{}", card.depth);
  if (card.base_width > 0) text += fmt::format(" width {}", card.base_width);
  if (card.bits > 0) text += fmt::format(", {} bits", card.bits);
  if (!card.quantiser.empty()) text += ", " + card.quantiser;
  if (card.role == Role::Encoder) text += ", the encoder alone";
  if (!card.adaptation.empty()) text += " behind adaptation " + card.adaptation;
  return text;
}

std::map<std::string, std::string> to_metadata(const Card& card) {
  json parameters = json::object();
  if (card.depth) parameters["depth"] = card.depth;
  if (card.base_width) parameters["base_width"] = card.base_width;
  if (card.bits) parameters["bits"] = card.bits;
  if (!card.quantiser.empty()) parameters["quantiser"] = card.quantiser;
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
         printable(text("format")), kFormat);
  }
  if (text("format_version") != kFormatVersion) {
    fail(ErrorCode::BadData, "{}: format_version is \"{}\"; this build reads \"{}\"", file.name(),
         printable(text("format_version")), kFormatVersion);
  }
  Card card;
  card.architecture = text("architecture");
  const auto malformed = [&](std::string_view key, std::string_view what) {
    fail(ErrorCode::BadData, "{}: metadata \"{}\" is malformed: {} in {}", file.name(), key, what,
         printable(text(key)));
  };
  const auto value_of = [&](std::string_view key) {
    return parse_json(text(key), fmt::format("{}: metadata \"{}\"", file.name(), key));
  };
  const auto list = [&](std::string_view key, size_t size, bool (json::*is_type)() const noexcept) {
    const auto value = value_of(key);
    if (!value.is_array() || value.size() != size || !std::ranges::all_of(value, is_type))
      malformed(key, fmt::format("not {} numbers", size));
    return value;
  };
  const auto strings = [&](std::string_view key, json::value_t kind) {
    const auto value = value_of(key);
    if (value.type() != kind || !std::ranges::all_of(value, &json::is_string))
      malformed(key, "not strings");
    return value;
  };
  const auto parameters = value_of("parameters");
  if (!parameters.is_object()) malformed("parameters", "no object");
  const auto number = [&](const char* name) {
    const auto value = parameters.value(name, json(0));
    if (!value.is_number_integer()) malformed("parameters", fmt::format("no whole {}", name));
    return value.get<int64_t>();
  };
  card.depth = number("depth");
  card.base_width = number("base_width");
  card.bits = number("bits");
  card.block_size = number("block_size");
  const auto word = [&](const char* name) {
    const auto value = parameters.value(name, json(""));
    if (!value.is_string()) malformed("parameters", fmt::format("no name of {}", name));
    return value.get<std::string>();
  };
  card.adaptation = word("adaptation");
  card.quantiser = word("quantiser");
  const auto size = list("input_size", 2, &json::is_number_integer);
  card.height = size[0];
  card.width = size[1];
  card.mean_rgb = list("mean_rgb", 3, &json::is_number);
  card.std_rgb = list("std_rgb", 3, &json::is_number);
  card.class_names = strings("class_names", json::value_t::array);
  card.notes = strings("notes", json::value_t::object).get<decltype(card.notes)>();
  try {
    card.role = role_of(text("role"));
    check(card);
  } catch (const Error& e) {
    fail(ErrorCode::BadData, "{}: {}", file.name(), e.what());
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
