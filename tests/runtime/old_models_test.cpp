// Model files that earlier versions wrote load for ever, and compute what they did:
// tests/data/README.md says how they were made, tests/model/model_test.cpp has those without a
// code.
#include <filesystem>
#include <gmock/gmock.h>
#include <span>
#include <vector>

#include "runtime/precision.h"
#include "runtime/transformation.h"

namespace veilnet::runtime {
namespace {

const auto kOld = std::filesystem::path("tests/data");

// Four pictures of 32x32, the dark one first.
std::vector<uint8_t> dark_to_bright() {
  std::vector<uint8_t> pictures;
  for (unsigned n = 1; n <= 4; ++n)
    for (unsigned i = 0; i < 32 * 32 * 3; ++i)
      pictures.push_back(static_cast<uint8_t>((i * 37 + i / 96 * 11) % 256 * n / 4));
  return pictures;
}

const auto kSign = kOld / "coded-sign-format1.safetensors";
const auto kCodebook = kOld / "codebook-format1";

void expect_within_a_level(const std::vector<uint8_t>& made, std::span<const uint8_t> expected) {
  ASSERT_EQ(made.size(), expected.size());
  for (size_t i = 0; i < made.size(); ++i) ASSERT_NEAR(made[i], expected[i], 1) << i;
}

TEST(OldModelFile, OfSignsGivesItsCodesAndTheirPictures) {
  const CodedNetwork h(model::load(kSign, model::Role::Transform));
  EXPECT_THAT(h.codes(dark_to_bright(), 32, 32), testing::ElementsAre(2, 2, 0, 0));
  const auto book = model::read_codebook(kCodebook, 32, 32);
  ASSERT_EQ(book.pictures.count(), 8u);
  for (std::uint64_t code = 0; code < 8; ++code)
    expect_within_a_level(h.pictures({&code, 1}), book.pictures.picture(code));
}

TEST(OldModelFile, OfChoicesGivesItsCodesAndTheirPictures) {
  const CodedNetwork h(
      model::load(kOld / "coded-categorical-format1.safetensors", model::Role::Transform));
  const auto codes = h.codes(dark_to_bright(), 32, 32);
  EXPECT_THAT(codes, testing::ElementsAre(1971807, 2037271, 2954534, 3003686));
  const auto made = h.pictures(std::vector<std::uint64_t>{codes[0], codes[2], codes[3]});
  std::vector<uint8_t> some;
  for (size_t i = 0; i < made.size(); i += 397) some.push_back(made[i]);
  expect_within_a_level(
      some, std::vector<uint8_t>{77, 128, 129, 77, 128, 133, 77, 128, 129, 77, 128, 129,
                                 77, 140, 133, 77, 128, 129, 77, 128, 133, 77, 128, 129});
}

// That the codebook is taken for theirs also pins how a model is hashed.
TEST(OldModelFile, OfAnEncoderTakesItsCodebook) {
  const auto book = model::read_codebook(kCodebook, 32, 32);
  std::vector<uint8_t> expected;
  for (const size_t code : {2, 2, 0, 0}) {
    const auto page = book.pictures.picture(code);
    expected.insert(expected.end(), page.begin(), page.end());
  }
  for (const auto& file : {kOld / "encoder-format1.safetensors", kSign})
    EXPECT_EQ(Transformation(file, {}, kCodebook).transform(dark_to_bright(), 32, 32), expected)
        << file;
}

TEST(OldModelFile, ThatWasCalibratedComputesInInt8) {
  const auto psi = model::load(kOld / "classifier-int8-format1.safetensors");
  const auto ranges = ranges_of(psi);
  ASSERT_EQ(ranges.size(), 16u);
  EXPECT_EQ(ranges.at(3), 4.4211736f);
  EXPECT_EQ(ranges.at(36), 0.11354737f);
  const auto logits = Network(psi, {.precision = Type::Int8}).logits(dark_to_bright(), 32, 32);
  ASSERT_EQ(logits.size(), 8u);
  // Instruction sets differ by 0.003, as AVX2 alone has 7 bits for a weight; ranges of half the
  // size move it by 0.06.
  for (size_t i = 0; i < logits.size(); ++i)
    EXPECT_NEAR(logits[i], i % 2 == 0 ? -0.3184f : 0.0542f, 0.006) << i;
}

}  // namespace
}  // namespace veilnet::runtime
