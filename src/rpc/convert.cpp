#include "rpc/convert.h"

#include <fmt/format.h>
#include <optional>

#include "core/error.h"
#include "core/text.h"

namespace veilnet::rpc {
namespace {

using Parameters = google::protobuf::Map<std::string, inference::InferParameter>;

// Clients send whole numbers in either of two fields.
std::optional<uint64_t> number_of(const Parameters& parameters, const std::string& key) {
  const auto found = parameters.find(key);
  if (found == parameters.end()) return std::nullopt;
  const auto& value = found->second;
  if (value.has_uint64_param()) return value.uint64_param();
  if (value.has_int64_param() && value.int64_param() >= 0)
    return static_cast<uint64_t>(value.int64_param());
  fail(ErrorCode::BadData, "parameters.{} is no whole number from 0 on", key);
}

service::Pictures read_pictures(const inference::ModelInferRequest& message,
                                const service::ModelForm& model,
                                const service::InferLimits& limits) {
  const auto& input = message.inputs(0);
  service::Pictures pictures;
  pictures.count = service::count_of(
      input.name(), input.datatype(),
      {input.shape().data(), static_cast<size_t>(input.shape_size())}, model, limits);
  const auto bytes = static_cast<size_t>(pictures.count * model.height * model.width * 3);
  const bool raw = message.raw_input_contents_size() > 0;
  if (raw == input.has_contents())
    fail(ErrorCode::BadData, "inputs[0] needs either contents or raw_input_contents");
  if (raw) {
    if (message.raw_input_contents_size() != 1)
      fail(ErrorCode::BadData, "raw_input_contents has {} entries; there is 1 input",
           message.raw_input_contents_size());
    const auto& contents = message.raw_input_contents(0);
    if (contents.size() != bytes)
      fail(ErrorCode::BadData, "raw_input_contents[0] has {} bytes; the shape has {}",
           contents.size(), bytes);
    pictures.pixels_nhwc = {reinterpret_cast<const uint8_t*>(contents.data()), bytes};
    return pictures;
  }
  const auto& levels = input.contents().uint_contents();
  if (static_cast<size_t>(levels.size()) != bytes)
    fail(ErrorCode::BadData, "inputs[0].contents.uint_contents has {} values; the shape has {}",
         levels.size(), bytes);
  pictures.memory.reserve(bytes);
  for (const auto level : levels) {
    if (level > 255)
      fail(ErrorCode::BadData,
           "inputs[0].contents.uint_contents: value {} is {}; allowed: 0 to 255",
           pictures.memory.size(), level);
    pictures.memory.push_back(static_cast<uint8_t>(level));
  }
  pictures.pixels_nhwc = pictures.memory;
  return pictures;
}

void write_typed(const service::OutputValues& values, inference::InferTensorContents& contents) {
  if (const auto* labels = std::get_if<std::vector<int64_t>>(&values.data))
    contents.mutable_int64_contents()->Add(labels->begin(), labels->end());
  if (const auto* names = std::get_if<std::vector<std::string_view>>(&values.data))
    for (const auto name : *names) contents.add_bytes_contents(name.data(), name.size());
  if (const auto* shares = std::get_if<std::vector<double>>(&values.data))
    for (const double share : *shares) contents.add_fp32_contents(static_cast<float>(share));
}

// One list of inputs or outputs, from the JSON that the HTTP form sends.
template <class Tensors>
void write_tensors(const nlohmann::json& list, Tensors& tensors) {
  for (const auto& one : list) {
    auto& tensor = *tensors.Add();
    tensor.set_name(one["name"].get<std::string>());
    tensor.set_datatype(one["datatype"].get<std::string>());
    for (const auto& side : one["shape"]) tensor.add_shape(side.get<int64_t>());
  }
}

}  // namespace

service::InferRequest read_infer(const inference::ModelInferRequest& message,
                                 const service::ModelForm& model,
                                 const service::InferLimits& limits) {
  service::InferRequest request;
  service::check_id(message.id(), limits);
  request.id = message.id();
  if (const auto us = number_of(message.parameters(), "timeout"))
    request.timeout = service::timeout_of(*us);
  if (const auto priority = number_of(message.parameters(), "priority"))
    request.priority = service::priority_of(*priority);
  if (message.inputs_size() != 1)
    fail(ErrorCode::BadData, "inputs has {} entries; this model takes 1", message.inputs_size());
  const bool raw = message.raw_input_contents_size() > 0;
  for (const auto& output : message.outputs()) {
    if (output.parameters().contains("classification"))
      fail(ErrorCode::BadData,
           "outputs[{}].parameters.classification is not offered; ask for label and name",
           request.outputs.size());
    service::add_output(request.outputs, output.name(), raw, model);
  }
  if (request.outputs.empty()) request.outputs = service::all_outputs(model, raw);
  request.pictures = read_pictures(message, model, limits);
  return request;
}

void write_infer(const service::InferRequest& request, std::span<const float> logits,
                 const service::ModelForm& model, std::string_view model_name, int64_t version,
                 inference::ModelInferResponse& message) {
  message.set_model_name(std::string(model_name));
  message.set_model_version(std::to_string(version));
  message.set_id(request.id);
  for (const auto& wanted : request.outputs) {
    const auto values = service::output_values(wanted.name, logits, model);
    auto& output = *message.add_outputs();
    output.set_name(wanted.name);
    output.set_datatype(std::string(values.datatype));
    output.mutable_shape()->Add(values.shape.begin(), values.shape.end());
    if (wanted.binary) {
      message.add_raw_output_contents(service::binary_of(values));
    } else {
      write_typed(values, *output.mutable_contents());
    }
  }
}

void write_metadata(const service::ModelForm& model, inference::ModelMetadataResponse& message) {
  write_tensors(service::input_metadata(model), *message.mutable_inputs());
  write_tensors(service::output_metadata(model), *message.mutable_outputs());
}

}  // namespace veilnet::rpc
