#include "model/torchscript.h"

#include <gtest/gtest.h>
#include <sstream>
#include <torch/script.h>

#include "model/reference.h"
#include "runtime/models.h"

namespace veilnet::model {
namespace {

torch::jit::Module loaded(const Model& model, torch::jit::ExtraFilesMap& files) {
  std::istringstream file(to_torchscript(model));
  return torch::jit::load(file, torch::kCPU, files);
}

// What the plain evaluation makes of pictures: logits, or float pictures in [0, 1].
torch::Tensor expected(const Model& model, const std::vector<uint8_t>& pictures, int64_t height,
                       int64_t width) {
  const auto out = ref_forward(model, network_input(model, pictures, height, width));
  const auto nchw = torch::tensor(out.values)
                        .view({out.count, out.height, out.width, out.channels})
                        .permute({0, 3, 1, 2});
  if (model.card.role == Role::Classifier) return nchw.flatten(1);
  return torch::sigmoid(nchw.slice(2, 0, height).slice(3, 0, width));
}

// One of every kind of network, at its own size and where it takes others at one that a U-Net pads.
TEST(TorchScript, ComputesWhatThePlainEvaluationDoes) {
  for (const auto& card : test::every_architecture()) {
    SCOPED_TRACE(describe(card));
    const auto model = test::drawn_model(card);
    torch::jit::ExtraFilesMap files;
    auto module = loaded(model, files);
    const auto& graph = model.graph;
    const int64_t more = graph.pads ? 5 : graph.height > 0 ? 0 : graph.multiple;
    for (const int64_t height : {card.height, card.height + more}) {
      const auto bytes = test::drawn_pictures(2, height, card.width);
      const auto pictures =
          torch::tensor(bytes).view({2, height, card.width, 3}).permute({0, 3, 1, 2}) / 255.0;
      const auto got = module.forward({pictures}).toTensor();
      const auto want = expected(model, bytes, height, card.width);
      ASSERT_EQ(got.sizes(), want.sizes());
      const auto largest = std::max(1.0, want.abs().max().item<double>());
      EXPECT_LT((got - want).abs().max().item<double>() / largest, 1e-5);
    }
  }
}

TEST(TorchScript, HoldsTheWeightsByNameAndTheCard) {
  const auto model = test::drawn_model(test::classifier_card("resnet", 16));
  torch::jit::ExtraFilesMap files{{"card.json", ""}};
  const auto module = loaded(model, files);
  EXPECT_FALSE(module.is_training());
  EXPECT_NE(files.at("card.json").find("veilnet-model"), std::string::npos);
  EXPECT_EQ(module.buffers().size(), model.weights.size() + 2);  // and mean and deviation
  for (const auto& [name, tensor] : model.weights) {
    auto attribute = name;
    std::ranges::replace(attribute, '.', '_');
    const auto found = module.attr(attribute).toTensor();
    EXPECT_EQ(found.sizes(), torch::IntArrayRef(tensor.shape)) << name;
    EXPECT_TRUE(torch::equal(found.flatten(), torch::tensor(tensor.values))) << name;
  }
}

}  // namespace
}  // namespace veilnet::model
