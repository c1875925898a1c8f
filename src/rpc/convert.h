// Messages of the Open Inference Protocol's gRPC form from and to what the service knows.
#pragma once

#include "open_inference_grpc.pb.h"
#include "service/oip.h"

namespace veilnet::rpc {

/// The request that a message holds. Its pictures lie in the message, which outlives them, where
/// they come in raw_input_contents, and are copied from uint_contents.
/// @throws Error{BadData}, naming the field, the value and what is allowed.
service::InferRequest read_infer(const inference::ModelInferRequest& message,
                                 const service::ModelForm& model,
                                 const service::InferLimits& limits = {});

/// The answer for logits [pictures, classes]: raw bytes where the request came so, else typed.
void write_infer(const service::InferRequest& request, std::span<const float> logits,
                 const service::ModelForm& model, std::string_view model_name, int64_t version,
                 inference::ModelInferResponse& message);

/// Inputs and outputs as model metadata lists them.
void write_metadata(const service::ModelForm& model, inference::ModelMetadataResponse& message);

}  // namespace veilnet::rpc
