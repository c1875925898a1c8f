// The modules against the layer graph of src/model: names and shapes of tensors, and what they
// compute.
#include "model/graph.h"

#include "model/reference.h"
#include "nn/model.h"
#include "nn/tensors.h"
#include "support.h"

namespace veilnet::nn {
namespace {

using model::Card;
using model::Role;

Card classifier(const std::string& architecture, const std::string& adaptation = "",
                int64_t side = 16) {
  Card card;
  card.role = Role::Classifier;
  card.architecture = architecture;
  card.adaptation = adaptation;
  card.block_size = adaptation.empty() ? 0 : 4;
  card.depth = architecture == "resnet" ? 8 : 0;
  card.base_width = architecture == "unet_encoder" ? 3 : 0;
  card.class_names = {"a", "b", "c"};
  card.height = side;
  card.width = side + 4;
  return card;
}

Card pictures(Role role, const std::string& architecture, int64_t width, int64_t block) {
  Card card;
  card.role = role;
  card.architecture = architecture;
  card.base_width = width;
  card.block_size = block;
  card.height = 12;
  card.width = 20;
  return card;
}

std::vector<Card> every_architecture() {
  std::vector<Card> cards;
  for (const std::string name : {"resnet", "resnet18", "densenet", "unet_encoder"})
    cards.push_back(classifier(name));
  cards.push_back(classifier("vgg16_bn", "", 32));
  cards.push_back(classifier("resnet"));
  cards.back().depth = 20;
  for (const std::string kind : {"tanaka", "le", "ele", "pixel"})
    cards.push_back(classifier("resnet", kind));
  cards.push_back(classifier("densenet", "ele", 8));
  for (const int64_t width : {1, 5}) cards.push_back(pictures(Role::Transform, "unet", width, 0));
  cards.push_back(pictures(Role::Transform, "coded", 3, 0));
  cards.back().bits = 7;
  cards.back().height = cards.back().width = 32;
  cards.push_back(cards.back());
  cards.back().quantiser = "categorical";
  cards.back().bits = 12;  // two choices of 64
  cards.push_back(pictures(Role::Inverse, "pixel_inverse", 0, 0));
  cards.push_back(pictures(Role::Inverse, "block_inverse", 0, 4));
  cards.push_back(pictures(Role::Inverse, "position_inverse", 3, 4));
  cards.push_back(pictures(Role::Inverse, "position_inverse", 2, 2));
  return cards;
}

// Statistics and shifts as after a training, so that none of them is without effect.
Model shaken(const Card& card) {
  torch::manual_seed(3);
  torch::NoGradGuard no_grad;
  auto model = make_model(card);
  for (auto& [name, tensor] : state_tensors(*model.net)) {
    if (name.ends_with("running_mean")) {
      tensor.normal_(0, 0.2);
    } else if (name.ends_with("running_var")) {
      tensor.uniform_(0.4, 1.6);
    } else if (tensor.dim() == 1 || name.find("direct") != std::string::npos) {
      tensor.add_(torch::randn_like(tensor) * 0.2);
    }
  }
  model.net->eval();
  return model;
}

TEST(Graph, HasTheTensorsOfEveryModule) {
  auto cards = every_architecture();
  for (const int64_t depth : {32, 44, 56, 110}) {
    cards.push_back(classifier("resnet"));
    cards.back().depth = depth;
  }
  cards.push_back(pictures(Role::Inverse, "unet", 16, 0));
  for (const auto& card : cards) {
    SCOPED_TRACE(model::describe(card));
    std::map<std::string, std::vector<int64_t>> expected, graph;
    for (const auto& [name, tensor] : state_tensors(*make_model(card).net))
      expected[name] = tensor.sizes().vec();
    for (const auto& spec : model::make_graph(card).tensors()) graph[spec.name] = spec.shape;
    EXPECT_EQ(graph, expected);
  }
}

TEST(Graph, ComputesWhatEveryModuleComputes) {
  torch::NoGradGuard no_grad;
  for (const auto& card : every_architecture()) {
    SCOPED_TRACE(model::describe(card));
    const auto module = shaken(card);
    const auto plain = to_plain(module);
    std::vector<uint8_t> bytes(static_cast<size_t>(2 * card.height * card.width * 3));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i * 7 + i / 60);
    const auto tensor = to_tensor(bytes, 2, card.height, card.width);
    const auto input = model::network_input(plain, bytes, card.height, card.width);
    const auto output = model::ref_forward(plain, input);
    const auto got = torch::from_blob(const_cast<float*>(output.values.data()),
                                      {2, output.height, output.width, output.channels})
                         .permute({0, 3, 1, 2});
    if (card.role == Role::Classifier) {
      const auto expected = classify(module, tensor);
      EXPECT_LT(test::relative_error(got.reshape(expected.sizes()), expected), 1e-5);
      EXPECT_GT(expected.std().item<double>(), 1e-3);  // not a constant
    } else {
      const auto expected = module.net->forward(tensor);
      EXPECT_LT(
          test::relative_error(got.slice(2, 0, card.height).slice(3, 0, card.width), expected),
          1e-5);
      EXPECT_GT(expected.std().item<double>(), 1e-3);
      // Pictures may differ by one level where the value lies between two.
      const auto picture = model::pictures_of(output, card.height, card.width);
      const auto module_picture = to_bytes(transform(module, tensor));
      ASSERT_EQ(picture.size(), module_picture.size());
      for (size_t i = 0; i < picture.size(); ++i)
        ASSERT_LE(std::abs(int{picture[i]} - int{module_picture[i]}), 1);
    }
  }
}

TEST(NetworkInput, IsWhatNormaliseGives) {
  const auto card = classifier("resnet");
  const auto plain = to_plain(make_model(card));
  std::vector<uint8_t> bytes(256 * 3);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i / 3);
  const auto input = model::network_input(plain, bytes, 16, 16);
  const auto expected =
      normalise(to_tensor(bytes, 1, 16, 16), card).permute({0, 2, 3, 1}).contiguous();
  for (int64_t i = 0; i < expected.numel(); ++i)
    ASSERT_EQ(input.values[static_cast<size_t>(i)], expected.data_ptr<float>()[i]) << i;
}

}  // namespace
}  // namespace veilnet::nn
