#include "nn/coded.h"

#include <set>
#include <string>
#include <torch/torch.h>

#include "model/coded.h"
#include "nn/model.h"
#include "support.h"

namespace veilnet::nn {
namespace {

// From dark to bright, each channel apart.
torch::Tensor pictures_of(int64_t count) {
  return torch::rand({count, 3, 1, 1}) * torch::rand({count, 3, 16, 16});
}

// As after a training: statistics that part the pictures.
CodedTransform coded(int64_t bits, bool categorical = false, int64_t width = 2) {
  torch::manual_seed(1);
  CodedTransform net(width, bits, 16, categorical);
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 60; ++i) net.forward_in_training(pictures_of(64), true);
  net.eval();
  return net;
}

std::set<std::string> distinct(const torch::Tensor& pictures) {
  std::set<std::string> out;
  for (const auto& picture : pictures.split(1)) {
    const auto bytes = to_bytes(torch::sigmoid(picture));
    out.emplace(bytes.begin(), bytes.end());
  }
  return out;
}

TEST(Coded, EveryOutputIsThatOfACode) {
  torch::NoGradGuard no_grad;
  for (const auto& [bits, categorical] : {std::pair<int64_t, bool>{1, false},
                                          {4, false},
                                          {12, false},
                                          {4, true},
                                          {8, true},
                                          {10, true},
                                          {12, true}}) {
    SCOPED_TRACE(fmt::format("{} bits{}", bits, categorical ? ", categorical" : ""));
    // Of 64 times 64 choices, two channels that never learned draw some as nothing at all.
    auto net = coded(bits, categorical, categorical && bits == 12 ? 8 : 2);
    const auto listed = net.decode(torch::arange(int64_t{1} << bits));
    const auto pictures = pictures_of(300);
    const auto codes = net.encode(pictures);
    EXPECT_TRUE(torch::allclose(net.forward(pictures), listed.index_select(0, codes), 1e-4, 1e-5));
    std::set<int64_t> seen;
    for (int64_t i = 0; i < 300; ++i) seen.insert(codes[i].item<int64_t>());
    EXPECT_GT(seen.size(), bits == 1 ? 1u : 2u);
    EXPECT_EQ(distinct(listed).size(), size_t{1} << bits) << "codes are told apart";
  }
}

TEST(Coded, PicturesOfOneCodeBecomeOnePicture) {
  torch::NoGradGuard no_grad;
  auto net = coded(2);
  const auto pictures = pictures_of(100);
  const auto codes = net.encode(pictures), protected_pictures = net.forward(pictures);
  std::map<int64_t, torch::Tensor> first;
  for (int64_t i = 0; i < 100; ++i) {
    const auto [it, added] = first.emplace(codes[i].item<int64_t>(), protected_pictures[i]);
    EXPECT_TRUE(torch::equal(it->second, protected_pictures[i]));
  }
  EXPECT_GT(first.size(), 1u);
}

TEST(Coded, CodesAreTheSignsOfTheirBits) {
  torch::NoGradGuard no_grad;
  auto net = coded(64);
  const auto pictures = pictures_of(50);
  const auto signs = net.forward_in_training(pictures, false).bottleneck;
  EXPECT_TRUE(torch::equal(signs.abs(), torch::ones({50, 64, 1, 1})));
  const auto codes = net.encode(pictures);
  for (int64_t i = 0; i < 50; ++i) {
    const auto code = static_cast<uint64_t>(codes[i].item<int64_t>());
    for (int64_t bit = 0; bit < 64; ++bit)
      EXPECT_EQ(code >> bit & 1, signs[i][bit].item<float>() > 0 ? 1u : 0u);
  }
  EXPECT_TRUE(torch::allclose(net.decode(codes), net.forward(pictures)));
}

TEST(Coded, CodesAreThePlacesOfTheirChoices) {
  torch::NoGradGuard no_grad;
  auto net = coded(12, true);  // two choices of 64
  model::Card card;
  card.bits = 12;
  card.quantiser = "categorical";
  const auto pictures = pictures_of(50);
  const auto symbols = net.forward_in_training(pictures, false).bottleneck.flatten(1).contiguous();
  ASSERT_EQ(symbols.size(1), 128);
  EXPECT_TRUE(torch::equal(symbols.sum(1), torch::full({50}, 2.0)));
  const auto codes = net.encode(pictures);
  for (int64_t i = 0; i < 50; ++i)
    EXPECT_EQ(model::code_of(card, {symbols[i].data_ptr<float>(), 128}),
              static_cast<uint64_t>(codes[i].item<int64_t>()));
  EXPECT_TRUE(torch::allclose(net.decode(codes), net.forward(pictures)));
}

// Of pictures that a classifier on the encoder's features names, the codes tell the class before
// anything is trained: as a value of each choice, or digit by digit.
TEST(Coded, StartsAsAClassifier) {
  constexpr int64_t classes = 20;
  for (const int64_t bits : {5, 10, 20, 8, 6, 13}) {
    SCOPED_TRACE(bits);
    torch::manual_seed(3);
    torch::NoGradGuard no_grad;
    CodedTransform net(2, bits, 16, true);
    UNetEncoder encoder(2, classes + 3);  // of two services; the first counts
    const auto pictures = pictures_of(400);
    for (int i = 0; i < 60; ++i) encoder.forward(pictures);
    encoder.eval();
    encoder.copy_into(net);
    const auto stands_for = net.start_from(encoder.linear(), classes);
    const auto values = int64_t{1} << model::choice_bits(bits),
               choices = bits / model::choice_bits(bits);
    ASSERT_EQ(stands_for.size(0), choices * values);
    ASSERT_EQ(stands_for.size(1), classes);
    // Each class has its value in every choice, or several where there are more values.
    EXPECT_TRUE((stands_for.reshape({choices, values, classes}).sum(1) >= 1).all().item<bool>());
    if (values < classes) continue;
    net.eval();
    // Statistics under which the layer's values are the logits.
    for (auto& [name, buffer] : net.named_buffers().pairs()) {
      if (name == "code_norm.running_mean") buffer.zero_();
      if (name == "code_norm.running_var") buffer.fill_(1);
    }
    const auto codes = net.encode(pictures);
    const auto first = codes.bitwise_and(values - 1);
    const auto named = stands_for.index_select(0, first).argmax(1);
    const auto logits = encoder.forward(pictures).slice(1, 0, classes) -
                        encoder.linear()->bias.slice(0, 0, classes);
    EXPECT_GT(named.eq(logits.argmax(1)).to(torch::kFloat).mean().item<double>(), 0.8);
  }
}

TEST(Coded, SignsStartAsDrawn) {
  torch::manual_seed(3);
  CodedTransform net(2, 10, 16);
  const auto before = net.named_parameters()["code.weight"].clone();
  EXPECT_FALSE(net.start_from(UNetEncoder(2, 4).linear(), 4).defined());
  EXPECT_TRUE(torch::equal(before, net.named_parameters()["code.weight"]));
}

TEST(Coded, LearnsWithoutTheEncoder) {
  for (const bool categorical : {false, true}) {
    torch::manual_seed(2);
    CodedTransform net(2, 8, 16, categorical);
    const auto output = net.forward_in_training(torch::rand({16, 3, 16, 16}), false);
    output.picture.square().sum().backward();
    const auto parameters = net.named_parameters();
    EXPECT_FALSE(parameters["conv1.conv.0.weight"].grad().defined());
    EXPECT_GT(parameters["code.weight"].grad().abs().sum().item<double>(), 0) << "straight through";
    EXPECT_GT(parameters["start.weight"].grad().abs().sum().item<double>(), 0);
  }
}

TEST(Coded, AnEncoderAloneIsNoModule) {
  model::Card card;
  card.role = model::Role::Encoder;
  card.architecture = "coded";
  card.bits = 4;
  card.base_width = 2;
  card.height = card.width = 16;
  test::expect_error(ErrorCode::InvalidArgument, {"encoder", "whole network"},
                     [&] { make_model(card); });
}

TEST(Coded, RefusesWhatItCannotBe) {
  const auto refused = [](std::initializer_list<std::string> words, auto make) {
    test::expect_error(ErrorCode::InvalidArgument, words, make);
  };
  refused({"bits are 0", "1 to 64"}, [] { CodedTransform(2, 0, 16); });
  refused({"bits are 65", "1 to 64"}, [] { CodedTransform(2, 65, 16); });
  refused({"multiple of 16", "not 24"}, [] { CodedTransform(2, 8, 24); });
  refused({"32x32", "16x16"}, [] {
    CodedTransform(2, 8, 16).forward(torch::rand({1, 3, 32, 32}));
  });
}

}  // namespace
}  // namespace veilnet::nn
