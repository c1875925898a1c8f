// phi for the tests: training a VGG for it takes most of a tiny experiment's time.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <random>
#include <span>
#include <vector>

#include "core/safetensors.h"

namespace veilnet::experiment {

/// Writes a phi of one layer, relu1_1, with drawn weights.
inline std::filesystem::path drawn_phi(const std::filesystem::path& folder) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, std::sqrt(2.0f / 27));
  std::vector<float> weights(64 * 27), bias(64);
  for (auto& w : weights) w = normal(random);
  const auto bytes = [](const std::vector<float>& values) {
    return std::span(reinterpret_cast<const std::uint8_t*>(values.data()),
                     values.size() * sizeof(float));
  };
  const TensorView tensors[] = {{"features.0.weight", DType::F32, {64, 3, 3, 3}, bytes(weights)},
                                {"features.0.bias", DType::F32, {64}, bytes(bias)}};
  const auto path = folder / "phi.safetensors";
  save_safetensors(path, tensors, {}, Overwrite::Yes);
  return path;
}

}  // namespace veilnet::experiment
