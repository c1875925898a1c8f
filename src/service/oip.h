// Open Inference Protocol v2 (KServe, Triton): what its infer requests may say and how they are
// answered, and the bodies of both in JSON with the binary tensor data extension. Knows no HTTP.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "service/scheduler.h"

namespace veilnet::service {

/// What a model's answers say. More than the label tells an observer more about the picture.
struct AnswerOptions {
  /// Decimal digits of the probabilities, 1 to 6; 0 keeps them to the server.
  int score_digits = 0;
  /// Most classes that /classify names, 1 for the label alone.
  int64_t max_top_k = 5;
};

/// What is known of a model when a request for it is read.
struct ModelForm {
  int64_t height = 0, width = 0;
  std::vector<std::string> class_names;
  AnswerOptions answers;
};

struct InferLimits {
  int64_t max_pictures = 1024;  ///< of one request
  size_t max_depth = 16;        ///< levels of JSON
  size_t max_id_bytes = 256;
};

/// A tensor of the answer. "label": INT64 [n], the class; "name": BYTES [n], its name;
/// "probabilities": FP32 [n, classes], rounded, where score_digits is not 0.
struct OutputTensor {
  std::string name;
  bool binary = false;
};

struct InferRequest {
  std::string id;
  Pictures pictures;
  std::vector<OutputTensor> outputs;    ///< in the order asked for; all where none is asked for
  std::chrono::milliseconds timeout{};  ///< of parameters.timeout (microseconds), rounded up; 0
                                        ///< where there is none
  int priority = 2;  ///< of parameters.priority: 1, the first, to kPriorities; 0 or none: 2
};

/// The rules of a request's fields, for whoever reads one. Each throws Error{BadData}, naming the
/// field, the value and what is allowed.
void check_id(std::string_view id, const InferLimits& limits);
/// The number of pictures of the one input.
int64_t count_of(std::string_view name, std::string_view datatype, std::span<const int64_t> shape,
                 const ModelForm& model, const InferLimits& limits);
/// All outputs that the model has.
std::vector<OutputTensor> all_outputs(const ModelForm& model, bool binary);
/// Appends an output that is asked for.
void add_output(std::vector<OutputTensor>& outputs, std::string_view name, bool binary,
                const ModelForm& model);
/// Of microseconds.
std::chrono::milliseconds timeout_of(uint64_t us);
int priority_of(uint64_t given);

/// What an output holds, for each picture one value or, for probabilities, one for each class.
struct OutputValues {
  std::string_view datatype;
  std::vector<int64_t> shape;
  std::variant<std::vector<int64_t>, std::vector<std::string_view>, std::vector<double>> data;
};
/// @param logits [pictures, classes]. The names are those in `model`.
OutputValues output_values(std::string_view name, std::span<const float> logits,
                           const ModelForm& model);
/// Little-endian, as the protocol has it for tensors outside JSON; strings behind their lengths.
std::string binary_of(const OutputValues& values);

/// Reads the body of an infer request: JSON, and behind it the bytes of binary tensors. The model
/// takes one input, "images": UINT8 [n, height, width, 3], RGB.
/// @param json_bytes how many bytes are JSON (Inference-Header-Content-Length); nothing: all.
/// @throws Error{BadData}, naming the field, the value and what is allowed, for everything that is
/// not such a request.
InferRequest read_infer(std::vector<uint8_t> body, std::optional<uint64_t> json_bytes,
                        const ModelForm& model, const InferLimits& limits = {});

struct InferAnswer {
  std::string body;
  std::optional<size_t> json_bytes;  ///< where binary tensors follow
};

/// The answer for logits [pictures, classes].
InferAnswer write_infer(const InferRequest& request, std::span<const float> logits,
                        const ModelForm& model, std::string_view model_name, int64_t version);

/// The outputs as model metadata lists them: name, datatype, shape.
nlohmann::json output_metadata(const ModelForm& model);
nlohmann::json input_metadata(const ModelForm& model);

/// Of /classify: {"model_name", "model_version", "label", "name"}, for top_k above 1 also "top",
/// and probabilities where the model tells them.
nlohmann::json classification(std::span<const float> logits, const ModelForm& model,
                              std::string_view model_name, int64_t version, int64_t top_k);

}  // namespace veilnet::service
