#include "runtime/coded.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "model/reference.h"
#include "runtime/models.h"
#include "support.h"

namespace veilnet::runtime {
namespace {

model::Model coded(int64_t bits, const std::string& quantiser = "") {
  auto card = test::picture_card(model::Role::Transform, "coded", 6);
  card.bits = bits;
  card.quantiser = quantiser;
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

TEST(Codes, AreSymbolsAndBack) {
  model::Card card;
  for (const std::string quantiser : {"", "categorical"}) {
    for (const int64_t bits : {1, 4, 7, 10, 63}) {
      card.bits = bits;
      card.quantiser = quantiser;
      const auto last = ~0ull >> (64 - bits);
      for (const auto code : {0ull, last, last / 3}) {
        const auto symbols = model::symbols_of(card, code);
        EXPECT_EQ(model::code_of(card, symbols), code) << bits << quantiser;
        const auto each = model::choice_bits(bits);
        EXPECT_EQ(static_cast<int64_t>(symbols.size()),
                  quantiser.empty() ? bits : bits / each << each);
      }
    }
  }
}

TEST(CodedNetwork, ItsPartsComputeWhatTheWholeComputes) {
  for (const auto& [bits, quantiser] : {std::pair<int64_t, const char*>{1, ""},
                                        {9, ""},
                                        {64, ""},
                                        {4, "categorical"},
                                        {10, "categorical"},
                                        {64, "categorical"}}) {
    SCOPED_TRACE(fmt::format("{} {}", bits, quantiser));
    auto h = coded(bits, quantiser);
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
  const auto h = coded(9);
  const auto pictures = CodedNetwork(h).pictures(std::vector<std::uint64_t>{5, 6});
  ASSERT_EQ(pictures.size(), 2u * 32 * 32 * 3);
  const auto first = test::bytes(std::span(pictures).first(3072));
  EXPECT_NE(first, test::bytes(std::span(pictures).last(3072)));
  EXPECT_EQ(CodedNetwork(h).pictures(std::vector<std::uint64_t>{5}), first) << "drawn anew";
}

// All pictures of h, each of one level, so that they are told from drawn ones.
model::Codebook book_of(int64_t bits, int side = 32) {
  model::Codebook book{bits, "", image::Batch(side, side)};
  for (int code = 0; code < 1 << bits; ++code)
    book.pictures.append(
        std::vector<uint8_t>(static_cast<size_t>(3 * side * side), static_cast<uint8_t>(code)));
  return book;
}

TEST(CodedNetwork, TakesThePicturesOfACodebook) {
  auto h = coded(3);
  const auto pictures = dark_to_bright(20);
  centre(h, pictures);
  const auto encoder = model::encoder_of(h, "ab");
  EXPECT_EQ(encoder.card.role, model::Role::Encoder);
  EXPECT_EQ(encoder.card.notes.at(model::kWholeNote), "ab");
  EXPECT_LT(encoder.weights.size(), h.weights.size());
  const CodedNetwork whole(h), parts(encoder, {}, book_of(3));
  const auto codes = whole.codes(pictures, 32, 32);
  EXPECT_EQ(parts.codes(pictures, 32, 32), codes);
  const auto shown = parts.pictures(codes);
  ASSERT_EQ(shown.size(), pictures.size());
  for (size_t i = 0; i < shown.size(); ++i) ASSERT_EQ(shown[i], codes[i / 3072]);
}

TEST(CodedNetwork, RefusesAnotherCodebookAndAnEncoderWithout) {
  const auto h = coded(3);
  const auto refused = [](std::initializer_list<std::string> parts, auto&& make) {
    test::expect_error(ErrorCode::InvalidArgument, parts, make);
  };
  refused({"4 bits", "3 bits"}, [&] { CodedNetwork(h, {}, book_of(4)); });
  refused({"16x16", "32x32"}, [&] { CodedNetwork(h, {}, book_of(3, 16)); });
  const auto encoder = model::encoder_of(h, "");
  refused({"encoder alone", "codebook"}, [&] { CodedNetwork{encoder}; });
  refused({"encoder", "transform"},
          [&] { Network(encoder).transform(test::drawn_pictures(1, 32, 32), 32, 32); });
}

TEST(CodedNetwork, ComputesInFloat32Alone) {
  for (const auto precision : {Type::BFloat16, Type::Int8})
    test::expect_error(ErrorCode::InvalidArgument, {"coded", "fp32"},
                       [&] { CodedNetwork(coded(4), {.precision = precision}); });
}

TEST(CodedNetwork, RefusesANetworkWithoutACode) {
  test::expect_error(ErrorCode::InvalidArgument, {"unet width 6", "coded"}, [] {
    CodedNetwork(test::drawn_model(test::picture_card(model::Role::Transform, "unet", 6)));
  });
}

}  // namespace
}  // namespace veilnet::runtime
