// Reference tensors for tests that use LibTorch.
#pragma once

#include <torch/torch.h>

#include "core/safetensors.h"

namespace veilnet::test {

inline torch::Tensor tensor(const Safetensors& file, const std::string& name) {
  const auto& view = file.at(name);
  const auto type = view.dtype == DType::F32   ? torch::kFloat
                    : view.dtype == DType::F64 ? torch::kDouble
                    : view.dtype == DType::I64 ? torch::kLong
                                               : torch::kUInt8;
  return torch::from_blob(const_cast<uint8_t*>(view.bytes.data()), view.shape, type).clone();
}

/// Largest absolute difference divided by the largest absolute reference value.
inline double relative_error(const torch::Tensor& got, const torch::Tensor& expected) {
  return ((got - expected).abs().max() / expected.abs().max()).item<double>();
}

}  // namespace veilnet::test
