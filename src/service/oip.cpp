#include "service/oip.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>
#include <simdjson.h>

#include "core/error.h"
#include "core/text.h"
#include "model/labels.h"

namespace veilnet::service {
namespace {

namespace dom = simdjson::dom;
using nlohmann::json;

constexpr std::string_view kInput = "images";
constexpr size_t kMostSides = 5;

template <class... Values>
[[noreturn]] void refuse(fmt::format_string<Values...> format, Values&&... values) {
  fail(ErrorCode::BadData, format, std::forward<Values>(values)...);
}

/// The value of a simdjson result, or a refusal that names the field.
template <class T>
T must(simdjson::simdjson_result<T> result, std::string_view what, std::string_view kind) {
  T value;
  if (std::move(result).get(value) != simdjson::SUCCESS)
    refuse("{} is missing or no {}", what, kind);
  return value;
}

/// The member of an object, or nothing. An object that names it twice is refused: who checks the
/// one and computes the other can be fooled.
std::optional<dom::element> member(dom::object object, std::string_view key) {
  std::optional<dom::element> found;
  for (const auto field : object) {
    if (field.key != key) continue;
    if (found) refuse("the key \"{}\" stands twice in one object", key);
    found = field.value;
  }
  return found;
}

dom::element needed(dom::object object, std::string_view key, std::string_view where) {
  const auto found = member(object, key);
  if (!found) refuse("{}{} is missing", where, key);
  return *found;
}

std::string text_of(dom::element value, std::string_view what) {
  return std::string(must(value.get_string(), what, "string"));
}

bool flag_of(std::optional<dom::object> parameters, std::string_view key, std::string_view where,
             bool otherwise) {
  const auto found = parameters ? member(*parameters, key) : std::nullopt;
  if (!found) return otherwise;
  return must(found->get_bool(), fmt::format("{}parameters.{}", where, key), "true or false");
}

std::optional<dom::object> parameters_of(dom::object object, std::string_view where) {
  const auto found = member(object, "parameters");
  if (!found) return std::nullopt;
  return must(found->get_object(), fmt::format("{}parameters", where), "object");
}

std::vector<int64_t> read_shape(dom::element shape) {
  std::vector<int64_t> sides;
  for (const auto side : must(shape.get_array(), "inputs[0].shape", "list of whole numbers")) {
    if (sides.size() == kMostSides) break;  // one too many, which count_of refuses
    sides.push_back(must(side.get_int64(), "inputs[0].shape", "list of whole numbers"));
  }
  return sides;
}

/// Appends the bytes of a flat or nested list.
void read_data(dom::array values, size_t wanted, std::vector<uint8_t>& bytes) {
  for (const auto value : values) {
    if (value.is_array()) {
      read_data(value.get_array(), wanted, bytes);
      continue;
    }
    int64_t level = 0;
    if (value.get_int64().get(level) != simdjson::SUCCESS || level < 0 || level > 255)
      refuse("inputs[0].data: value {} is no whole number of 0 to 255", bytes.size());
    if (bytes.size() == wanted) refuse("inputs[0].data has more than {} values", wanted);
    bytes.push_back(static_cast<uint8_t>(level));
  }
}

std::vector<OutputTensor> read_outputs(dom::object request, const ModelForm& model, bool binary) {
  const auto given = member(request, "outputs");
  if (!given) return all_outputs(model, binary);
  const auto list = must(given->get_array(), "outputs", "list");
  std::vector<OutputTensor> outputs;
  for (const auto element : list) {
    const auto where = fmt::format("outputs[{}].", outputs.size());
    const auto output =
        must(element.get_object(), fmt::format("outputs[{}]", outputs.size()), "object");
    const auto name = text_of(needed(output, "name", where), where + "name");
    const auto parameters = parameters_of(output, where);
    if (parameters && member(*parameters, "classification"))
      refuse("{}parameters.classification is not offered; ask for label and name", where);
    add_output(outputs, name, flag_of(parameters, "binary_data", where, binary), model);
  }
  return outputs.empty() ? all_outputs(model, binary) : outputs;
}

/// The pictures of inputs[0], whose bytes are in the JSON or behind it, in body.
Pictures read_pictures(dom::object input, std::vector<uint8_t>& body, size_t binary_begin,
                       const ModelForm& model, const InferLimits& limits) {
  const auto name = text_of(needed(input, "name", "inputs[0]."), "inputs[0].name");
  const auto datatype = text_of(needed(input, "datatype", "inputs[0]."), "inputs[0].datatype");
  const auto shape = read_shape(needed(input, "shape", "inputs[0]."));
  Pictures pictures;
  pictures.count = count_of(name, datatype, shape, model, limits);
  const auto bytes = static_cast<size_t>(pictures.count * model.height * model.width * 3);
  const auto parameters = parameters_of(input, "inputs[0].");
  const auto size = parameters ? member(*parameters, "binary_data_size") : std::nullopt;
  const auto data = member(input, "data");
  if (data.has_value() == size.has_value())
    refuse("inputs[0] needs either data or parameters.binary_data_size");
  const auto behind = body.size() - binary_begin;
  if (size) {
    const auto given =
        must(size->get_uint64(), "inputs[0].parameters.binary_data_size", "number of bytes");
    if (given != bytes)
      refuse("inputs[0].parameters.binary_data_size is {}; the shape has {} bytes", given, bytes);
    if (behind != bytes)
      refuse("{} bytes follow the JSON; binary_data_size says {}", behind, bytes);
    pictures.memory = std::move(body);
    pictures.pixels_nhwc = std::span(pictures.memory).subspan(binary_begin);
    return pictures;
  }
  if (behind != 0) refuse("{} bytes follow the JSON, and no input says binary_data_size", behind);
  pictures.memory.reserve(std::min(bytes, binary_begin));  // a value takes a byte of JSON or more
  read_data(must(data->get_array(), "inputs[0].data", "list"), bytes, pictures.memory);
  if (pictures.memory.size() != bytes)
    refuse("inputs[0].data has {} values; the shape has {}", pictures.memory.size(), bytes);
  pictures.pixels_nhwc = pictures.memory;
  return pictures;
}

std::vector<double> probabilities_of(std::span<const float> logits, int digits) {
  auto shares = model::softmax(logits);
  const double scale = std::pow(10.0, digits);
  for (auto& share : shares) share = std::round(share * scale) / scale;
  return shares;
}

int64_t label_of(std::span<const float> logits) {
  return std::ranges::max_element(logits) - logits.begin();
}

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void append(std::string& bytes, std::string_view text) {
  append(bytes, static_cast<uint32_t>(text.size()));
  bytes += text;
}
void append(std::string& bytes, double share) { append(bytes, static_cast<float>(share)); }

}  // namespace

void check_id(std::string_view id, const InferLimits& limits) {
  if (id.size() > limits.max_id_bytes)
    refuse("id has {} bytes; allowed: {}", id.size(), limits.max_id_bytes);
}

int64_t count_of(std::string_view name, std::string_view datatype, std::span<const int64_t> shape,
                 const ModelForm& model, const InferLimits& limits) {
  if (name != kInput)
    refuse("inputs[0].name is \"{}\"; this model takes \"{}\"", printable(name), kInput);
  if (datatype != "UINT8")
    refuse("inputs[0].datatype is \"{}\"; this model takes UINT8", printable(datatype));
  const std::array<int64_t, 3> picture{model.height, model.width, 3};
  if (shape.size() != 4 || !std::ranges::equal(shape.subspan(1), picture))
    refuse("inputs[0].shape is {}; this model takes [n, {}, {}, 3]",
           shape.first(std::min(shape.size(), kMostSides)), model.height, model.width);
  if (shape[0] < 1 || shape[0] > limits.max_pictures)
    refuse("inputs[0].shape is {}: {} pictures; allowed: 1 to {}", shape, shape[0],
           limits.max_pictures);
  return shape[0];
}

std::vector<OutputTensor> all_outputs(const ModelForm& model, bool binary) {
  std::vector<OutputTensor> outputs{{"label", binary}, {"name", binary}};
  if (model.answers.score_digits > 0) outputs.push_back({"probabilities", binary});
  return outputs;
}

void add_output(std::vector<OutputTensor>& outputs, std::string_view name, bool binary,
                const ModelForm& model) {
  const auto is_it = [&](const OutputTensor& one) { return one.name == name; };
  const auto all = all_outputs(model, binary);
  if (std::ranges::none_of(all, is_it)) {
    std::vector<std::string> names;
    for (const auto& one : all) names.push_back(one.name);
    refuse("outputs[{}].name is \"{}\"; this model has {}", outputs.size(), printable(name),
           fmt::join(names, ", "));
  }
  if (std::ranges::any_of(outputs, is_it))
    refuse("outputs[{}].name \"{}\" is asked for twice", outputs.size(), name);
  outputs.push_back({std::string(name), binary});
}

std::chrono::milliseconds timeout_of(uint64_t us) {
  return std::chrono::milliseconds(std::min<uint64_t>(us, 3'600'000'000) / 1000 + (us % 1000 != 0));
}

int priority_of(uint64_t given) {
  if (given > kPriorities)
    refuse("parameters.priority is {}; allowed: 1, the first, to {}, or 0", given, kPriorities);
  return given == 0 ? InferRequest().priority : static_cast<int>(given);
}

OutputValues output_values(std::string_view name, std::span<const float> logits,
                           const ModelForm& model) {
  const auto classes = model.class_names.size();
  const auto count = logits.size() / classes;
  const auto of_picture = [&](size_t i) { return logits.subspan(i * classes, classes); };
  const auto pictures = static_cast<int64_t>(count);
  if (name == "probabilities") {
    std::vector<double> shares;
    for (size_t i = 0; i < count; ++i) {
      const auto own = probabilities_of(of_picture(i), model.answers.score_digits);
      shares.insert(shares.end(), own.begin(), own.end());
    }
    return {"FP32", {pictures, static_cast<int64_t>(classes)}, std::move(shares)};
  }
  std::vector<int64_t> labels;
  for (size_t i = 0; i < count; ++i) labels.push_back(label_of(of_picture(i)));
  if (name == "label") return {"INT64", {pictures}, std::move(labels)};
  std::vector<std::string_view> names;
  for (const auto label : labels) names.emplace_back(model.class_names[static_cast<size_t>(label)]);
  return {"BYTES", {pictures}, std::move(names)};
}

std::string binary_of(const OutputValues& values) {
  std::string bytes;
  std::visit(
      [&](const auto& data) {
        for (const auto& value : data) append(bytes, value);
      },
      values.data);
  return bytes;
}

InferRequest read_infer(std::vector<uint8_t> body, std::optional<uint64_t> json_bytes,
                        const ModelForm& model, const InferLimits& limits) {
  if (json_bytes && *json_bytes > body.size())
    refuse("Inference-Header-Content-Length is {}; the body has {} bytes", *json_bytes,
           body.size());
  const auto json_size = static_cast<size_t>(json_bytes.value_or(body.size()));
  if (json_size == 0) refuse("the body holds no JSON");
  dom::parser parser;
  dom::element root;
  auto error = parser.allocate(json_size, limits.max_depth);
  if (error == simdjson::SUCCESS)
    error = parser.parse(body.data(), json_size, /*realloc_if_needed=*/true).get(root);
  if (error == simdjson::DEPTH_ERROR)
    refuse("JSON nested deeper than the {} levels that are allowed", limits.max_depth);
  if (error != simdjson::SUCCESS) refuse("not valid JSON: {}", simdjson::error_message(error));
  const auto request = must(root.get_object(), "the body", "JSON object");

  InferRequest result;
  if (const auto id = member(request, "id")) {
    result.id = text_of(*id, "id");
    check_id(result.id, limits);
  }
  const auto parameters = parameters_of(request, "");
  if (const auto timeout = parameters ? member(*parameters, "timeout") : std::nullopt)
    result.timeout =
        timeout_of(must(timeout->get_uint64(), "parameters.timeout", "number of microseconds"));
  if (const auto priority = parameters ? member(*parameters, "priority") : std::nullopt)
    result.priority =
        priority_of(must(priority->get_uint64(), "parameters.priority", "whole number from 0 on"));
  const auto inputs = must(needed(request, "inputs", "").get_array(), "inputs", "list");
  if (inputs.size() != 1) refuse("inputs has {} entries; this model takes 1", inputs.size());
  const auto input = must(inputs.at(0).get_object(), "inputs[0]", "object");
  result.outputs =
      read_outputs(request, model, flag_of(parameters, "binary_data_output", "", false));
  result.pictures = read_pictures(input, body, json_size, model, limits);
  return result;
}

InferAnswer write_infer(const InferRequest& request, std::span<const float> logits,
                        const ModelForm& model, std::string_view model_name, int64_t version) {
  std::string binary;
  auto outputs = json::array();
  for (const auto& wanted : request.outputs) {
    const auto values = output_values(wanted.name, logits, model);
    json output{{"name", wanted.name}, {"datatype", values.datatype}, {"shape", values.shape}};
    if (wanted.binary) {
      const auto bytes = binary_of(values);
      output["parameters"] = {{"binary_data_size", bytes.size()}};
      binary += bytes;
    } else {
      std::visit([&](const auto& data) { output["data"] = data; }, values.data);
    }
    outputs.push_back(std::move(output));
  }
  json answer{{"model_name", model_name},
              {"model_version", std::to_string(version)},
              {"outputs", std::move(outputs)}};
  if (!request.id.empty()) answer["id"] = request.id;
  InferAnswer result{answer.dump(), std::nullopt};
  if (!binary.empty()) {
    result.json_bytes = result.body.size();
    result.body += binary;
  }
  return result;
}

json input_metadata(const ModelForm& model) {
  return {{{"name", kInput}, {"datatype", "UINT8"}, {"shape", {-1, model.height, model.width, 3}}}};
}

json output_metadata(const ModelForm& model) {
  json outputs{{{"name", "label"}, {"datatype", "INT64"}, {"shape", json::array({-1})}},
               {{"name", "name"}, {"datatype", "BYTES"}, {"shape", json::array({-1})}}};
  if (model.answers.score_digits > 0)
    outputs.push_back({{"name", "probabilities"},
                       {"datatype", "FP32"},
                       {"shape", {-1, static_cast<int64_t>(model.class_names.size())}}});
  return outputs;
}

json classification(std::span<const float> logits, const ModelForm& model,
                    std::string_view model_name, int64_t version, int64_t top_k) {
  const auto label = label_of(logits);
  json answer{{"model_name", model_name},
              {"model_version", std::to_string(version)},
              {"label", label},
              {"name", model.class_names[static_cast<size_t>(label)]}};
  const bool scores = model.answers.score_digits > 0;
  if (top_k <= 1 && !scores) return answer;
  const auto shares =
      scores ? probabilities_of(logits, model.answers.score_digits) : std::vector<double>();
  auto& top = answer["top"] = json::array();
  for (const auto i : model::largest(logits, static_cast<size_t>(std::max<int64_t>(top_k, 1)))) {
    json one{{"label", i}, {"name", model.class_names[i]}};
    if (scores) one["probability"] = shares[i];
    top.push_back(std::move(one));
  }
  return answer;
}

}  // namespace veilnet::service
