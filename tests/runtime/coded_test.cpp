#include "runtime/coded.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "model/reference.h"
#include "runtime/models.h"
#include "support.h"

namespace veilnet::runtime {
namespace {

model::Model coded(int64_t bits) {
  auto card = test::picture_card(model::Role::Transform, "coded", 6);
  card.bits = bits;
  card.width = card.height = 32;
  return test::drawn_model(card);
}

std::vector<uint8_t> dark_to_bright(int64_t count) {
  auto pictures = test::drawn_pictures(count, 32, 32);
  for (size_t i = 0; i < pictures.size(); ++i)
    pictures[i] = static_cast<uint8_t>(pictures[i] * (i / 3072 + 1) / static_cast<size_t>(count));
  return pictures;
}

// As after a training: the norm before the signs has the mean of what these pictures give, so that
// they have different codes.
void centre(model::Model& h, const std::vector<uint8_t>& pictures) {
  auto before = model::coded_parts(h).encoder;
  before.graph.layers.resize(before.graph.layers.size() - 2);
  const auto values = model::ref_forward(before, model::network_input(h, pictures, 32, 32));
  auto& mean = h.weights.at("code_norm.running_mean").values;
  std::ranges::fill(mean, 0.0f);
  for (size_t i = 0; i < values.values.size(); ++i)
    mean[i % mean.size()] += values.values[i] / static_cast<float>(values.count);
  std::ranges::fill(h.weights.at("code_norm.bias").values, 0.0f);
}

TEST(CodedNetwork, ItsPartsComputeWhatTheWholeComputes) {
  for (const int64_t bits : {1, 9, 64}) {
    auto h = coded(bits);
    const auto pictures = dark_to_bright(20);
    centre(h, pictures);
    const CodedNetwork parts(h);
    const auto codes = parts.codes(pictures, 32, 32);
    ASSERT_EQ(codes.size(), 20u);
    if (bits < 64)
      for (const auto code : codes) EXPECT_LT(code, 1ull << bits);
    EXPECT_GT(std::set(codes.begin(), codes.end()).size(), 1u);
    const auto drawn = parts.pictures(codes), whole = Network(h).transform(pictures, 32, 32);
    ASSERT_EQ(drawn.size(), whole.size());
    for (size_t i = 0; i < drawn.size(); ++i)
      ASSERT_LE(std::abs(int{drawn[i]} - int{whole[i]}), 1) << i;
  }
}

TEST(CodedNetwork, ACodeHasOnePicture) {
  const CodedNetwork parts(coded(9));
  const auto pictures = parts.pictures(std::vector<std::uint64_t>{5, 6, 5});
  ASSERT_EQ(pictures.size(), 3u * 32 * 32 * 3);
  const auto first = test::bytes(std::span(pictures).first(3072));
  EXPECT_EQ(first, test::bytes(std::span(pictures).last(3072)));
  EXPECT_NE(first, test::bytes(std::span(pictures).subspan(3072, 3072)));
}

TEST(CodedNetwork, ComputesInFloat32Alone) {
  test::expect_error(ErrorCode::InvalidArgument, {"coded", "fp32"},
                     [] { CodedNetwork(coded(4), {.precision = Type::BFloat16}); });
}

TEST(CodedNetwork, RefusesANetworkWithoutACode) {
  test::expect_error(ErrorCode::InvalidArgument, {"unet width 6", "coded"}, [] {
    CodedNetwork(test::drawn_model(test::picture_card(model::Role::Transform, "unet", 6)));
  });
}

}  // namespace
}  // namespace veilnet::runtime
