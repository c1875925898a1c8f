#include "model/graph.h"

#include <gmock/gmock.h>
#include <map>

#include "support.h"

namespace veilnet::model {
namespace {

Card unet(int64_t width) {
  Card card;
  card.role = Role::Transform;
  card.architecture = "unet";
  card.base_width = width;
  card.height = card.width = 32;
  return card;
}

Card classifier(const std::string& architecture, int64_t depth = 0) {
  Card card;
  card.architecture = architecture;
  card.depth = depth;
  card.class_names.assign(10, "x");
  card.height = card.width = 32;
  return card;
}

// Without running statistics, as parameters are counted in the papers.
int64_t parameters(const Card& card) {
  int64_t total = 0;
  for (const auto& spec : make_graph(card).tensors()) {
    if (spec.name.find("running_") != std::string::npos) continue;
    int64_t count = 1;
    for (const auto side : spec.shape) count *= side;
    total += count;
  }
  return total;
}

TEST(Graph, HasThePublishedParameterCounts) {
  EXPECT_EQ(parameters(unet(64)), 34'527'171);
  EXPECT_EQ(parameters(classifier("resnet", 20)), 269'722);
  EXPECT_EQ(parameters(classifier("resnet18")), 11'173'962);
  EXPECT_EQ(parameters(classifier("vgg16_bn")), 15'253'578);
  EXPECT_EQ(parameters(classifier("densenet")), 769'162);
}

// Every name is compared with the modules' in tests/nn/graph_test.cpp.
TEST(Graph, NamesTensorsAsTheReferenceDoes) {
  std::map<std::string, std::vector<int64_t>> tensors;
  for (const auto& spec : make_graph(unet(2)).tensors()) tensors[spec.name] = spec.shape;
  EXPECT_THAT(tensors["conv1.conv.0.weight"], testing::ElementsAre(2, 3, 3, 3));
  EXPECT_THAT(tensors["up5.up.2.running_var"], testing::ElementsAre(16));
  EXPECT_THAT(tensors["up_conv2.conv.0.weight"], testing::ElementsAre(2, 4, 3, 3));
  EXPECT_THAT(tensors["conv_1x1.bias"], testing::ElementsAre(3));
}

TEST(Graph, DerivesShapes) {
  const auto graph = make_graph(unet(4));
  const auto all = shapes(graph, 32, 48);
  ASSERT_EQ(all.size(), graph.layers.size());
  EXPECT_EQ(all.front(), (Shape{3, 32, 48}));
  EXPECT_EQ(all.back(), (Shape{3, 32, 48}));
  EXPECT_THAT(all, testing::Contains(Shape{64, 2, 3}));
  const auto logits = shapes(make_graph(classifier("resnet18")), 33, 32);
  EXPECT_EQ(logits.back(), (Shape{10, 1, 1}));
  EXPECT_THAT(logits, testing::Contains(Shape{512, 5, 4}));
}

TEST(Graph, RefusesSizesThatTheNetworkCannotTake) {
  const auto refuse = [](const Card& card, int64_t height, int64_t width,
                         std::initializer_list<std::string> parts) {
    test::expect_error(ErrorCode::InvalidArgument, parts,
                       [&] { shapes(make_graph(card), height, width); });
  };
  refuse(unet(4), 32, 40, {"40x32", "multiples of 16"});
  refuse(classifier("vgg16_bn"), 16, 32, {"32x16", "at least 32"});
  auto ele = classifier("resnet", 20);
  ele.adaptation = "ele";
  ele.block_size = 4;
  refuse(ele, 36, 32, {"32x36", "32x32"});
}

TEST(Graph, RefusesWhatNoNetworkIs) {
  const auto refuse = [](const Card& card, std::initializer_list<std::string> parts) {
    test::expect_error(ErrorCode::InvalidArgument, parts, [&] { make_graph(card); });
  };
  refuse(classifier("perceptron"), {"\"perceptron\"", "classifier", "resnet18, vgg16_bn"});
  refuse(classifier("unet"), {"\"unet\"", "classifier"});
  auto bits = unet(4);
  bits.bits = 8;
  refuse(bits, {"unet bits is 8", "0, but for a coded one"});
  refuse(classifier("resnet", 21), {"resnet depth is 21", "6n+2"});
  refuse(classifier("resnet", 1208), {"resnet depth is 1208"});
  refuse(unet(0), {"unet width is 0", "1 to 256"});
  refuse(unet(257), {"unet width is 257"});
  auto card = unet(4);
  card.adaptation = "le";
  refuse(card, {"\"unet\" behind adaptation \"le\"", "transform", "none"});
  card = classifier("resnet", 20);
  card.class_names.clear();
  refuse(card, {"classes is 0"});
  card = classifier("resnet", 20);
  card.adaptation = "none";
  refuse(card, {"adaptation is \"none\"", "tanaka, le, ele, pixel"});
  for (const std::string kind : {"le", "tanaka", "ele"}) {
    card.adaptation = kind;
    for (const int64_t block : {0, -4, 5}) {
      card.block_size = block;
      refuse(card, {kind, std::to_string(block), "32x32"});
    }
  }
  card.role = Role::Inverse;
  card.adaptation.clear();
  card.architecture = "block_inverse";
  card.block_size = 65;
  refuse(card, {"block inverse is 65", "1 to 64"});
  card.architecture = "position_inverse";
  card.base_width = 4;
  refuse(card, {"65", "32x32"});
}

TEST(Graph, CountsMemoryAndMultiplications) {
  // The first level's two maps beside each other are the most a U-Net of width 64 holds, but for
  // the concatenation: 64 + 64 + 128 channels.
  EXPECT_EQ(activation_bytes(make_graph(unet(64)), 32, 32), 4u * 32 * 32 * (64 + 64 + 128));
  // Figures of He et al. 2016 and of the usual counters: 40.6 million for ResNet-20.
  EXPECT_NEAR(static_cast<double>(multiplications(make_graph(classifier("resnet", 20)), 32, 32)),
              40.55e6, 0.05e6);
}

}  // namespace
}  // namespace veilnet::model
