// Models with drawn weights, for tests that have no LibTorch.
#pragma once

#include <cmath>
#include <random>

#include "model/model.h"

namespace veilnet::test {

/// Weights as after a training: activations keep their size, no statistic is without effect.
inline model::Model drawn_model(const model::Card& card, unsigned seed = 1) {
  model::Model model{card, model::make_graph(card), {}};
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(0.5f, 1.5f);
  for (const auto& spec : model.graph.tensors()) {
    size_t count = 1;
    for (const auto side : spec.shape) count *= static_cast<size_t>(side);
    const double fan_in = static_cast<double>(count) / static_cast<double>(spec.shape[0]);
    std::vector<float> values(count);
    for (auto& v : values) {
      if (spec.name.ends_with("running_var")) {
        v = uniform(random);
      } else if (spec.shape.size() == 1) {
        v = 0.2f * normal(random) + (spec.name.ends_with("weight") ? 1.0f : 0.0f);
      } else {
        v = normal(random) * static_cast<float>(std::sqrt(2 / fan_in));
      }
    }
    model.weights[spec.name] = {spec.shape, std::move(values)};
  }
  return model;
}

inline model::Card classifier_card(const std::string& architecture, int64_t side,
                                   const std::string& adaptation = "") {
  model::Card card;
  card.role = model::Role::Classifier;
  card.architecture = architecture;
  card.adaptation = adaptation;
  card.block_size = adaptation.empty() ? 0 : 4;
  card.depth = architecture == "resnet" ? 8 : 0;
  card.base_width = architecture == "unet_encoder" ? 16 : 0;
  card.class_names = {"a", "b", "c"};
  card.height = side;
  card.width = side + 4;
  return card;
}

inline model::Card picture_card(model::Role role, const std::string& architecture, int64_t width,
                                int64_t block = 0) {
  model::Card card;
  card.role = role;
  card.architecture = architecture;
  card.base_width = width;
  card.block_size = block;
  card.height = 20;
  card.width = 32;
  return card;
}

/// One of every kind of network.
inline std::vector<model::Card> every_architecture() {
  using model::Role;
  std::vector<model::Card> cards;
  for (const std::string name : {"resnet", "resnet18", "densenet", "unet_encoder"})
    cards.push_back(classifier_card(name, 16));
  cards.push_back(classifier_card("vgg16_bn", 32));
  for (const std::string kind : {"tanaka", "le", "ele", "pixel"})
    cards.push_back(classifier_card("resnet", 16, kind));
  for (const int64_t width : {1, 6, 16, 32})
    cards.push_back(picture_card(Role::Transform, "unet", width));
  cards.push_back(picture_card(Role::Transform, "coded", 6));
  cards.back().bits = 9;
  cards.back().width = cards.back().height = 32;
  cards.push_back(cards.back());
  cards.back().quantiser = "categorical";
  cards.back().bits = 12;  // two choices of 64
  cards.push_back(picture_card(Role::Inverse, "pixel_inverse", 0));
  cards.push_back(picture_card(Role::Inverse, "block_inverse", 0, 4));
  cards.push_back(picture_card(Role::Inverse, "position_inverse", 16, 4));
  return cards;
}

/// `count` pictures that are neither flat nor noise.
inline std::vector<uint8_t> drawn_pictures(int64_t count, int64_t height, int64_t width) {
  std::vector<uint8_t> bytes(static_cast<size_t>(count * height * width * 3));
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<uint8_t>(i * i * 7 + i / static_cast<size_t>(3 * width) * 5);
  return bytes;
}

}  // namespace veilnet::test
