#include "runtime/narrow.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <random>

#include "runtime/models.h"
#include "runtime/network.h"
#include "support.h"

namespace veilnet::runtime {
namespace {

constexpr Type kTypes[] = {Type::Int8, Type::BFloat16};

std::vector<uint8_t> drawn_bytes(size_t count, uint32_t seed, Type type) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<uint8_t> bytes(count);
  if (type == Type::Int8) {
    for (auto& b : bytes) b = static_cast<uint8_t>(random());
  } else {  // no NaN
    std::vector<float> values(count / 2);
    for (auto& v : values) v = std::abs(normal(random));
    portable_narrow_kernels(type).narrow(static_cast<int64_t>(values.size()), values.data(), 1,
                                         bytes.data());
  }
  return bytes;
}

// The fast loops against the plain ones, for every number of rows of a register tile.
TEST(Narrow, FastLoopsComputeWhatThePlainOnesDo) {
  bool compared = false;
  for (const auto type : kTypes) {
    const auto &fast = narrow_kernels(type), &plain = portable_narrow_kernels(type);
    if (&fast == &plain) continue;
    compared = true;
    const int64_t blocks = 5, stride = 40 * 16;
    auto a = drawn_bytes(static_cast<size_t>(blocks * stride), 1, type);
    if (type == Type::Int8) std::fill_n(a.begin(), 64, uint8_t{255});
    auto b = drawn_bytes(static_cast<size_t>(blocks * 16 * 32), 2, type);
    if (type == Type::Int8) {
      const int limit = fast.weight_limit;
      for (auto& w : b) w = static_cast<uint8_t>(w % (2 * limit + 1) - limit);
      // The largest sum of two products, on either side.
      const auto most = static_cast<uint8_t>(limit), least = static_cast<uint8_t>(-limit);
      for (size_t i = 0; i < 64; ++i) b[i] = i < 32 ? most : least;
    }
    for (const int64_t columns : {16, 32}) {
      for (int64_t m = 1; m <= 33; ++m) {
        std::vector<float> got(33 * 32), expected(33 * 32);
        fast.gemm(m, blocks, a.data(), stride, b.data(), columns, got.data());
        plain.gemm(m, blocks, a.data(), stride, b.data(), columns, expected.data());
        for (size_t i = 0; i < got.size(); ++i)
          ASSERT_NEAR(got[i], expected[i], 1e-4 * std::abs(expected[i]) + 1e-4)
              << fast.name << " " << m << " " << i;
      }
    }
    const auto sums = drawn_bytes(32, 3, Type::Int8);
    std::vector<float> values(32), scale(32, 1.5f), bias(32, -100);
    std::ranges::copy(sums, values.begin());
    for (const float residual : {0.0f, 0.5f}) {
      auto got = drawn_bytes(64, 4, type), expected = got;
      void *to_got[] = {got.data()}, *to_expected[] = {expected.data()};
      fast.finish(1, 27, values.data(), scale.data(), bias.data(), residual, 0, to_got);
      plain.finish(1, 27, values.data(), scale.data(), bias.data(), residual, 0, to_expected);
      EXPECT_EQ(got, expected);
    }
  }
  if (!compared) GTEST_SKIP() << "this processor has no faster loops for int8 or bfloat16";
}

TEST(Narrow, RoundsAndSaturates) {
  const float values[] = {-3, 0, 0.24f, 0.26f, 1, 127.4f, 200};
  uint8_t bytes[7];
  narrow_kernels(Type::Int8).narrow(7, values, 0.5f, bytes);
  EXPECT_THAT(bytes, testing::ElementsAre(0, 0, 0, 1, 2, 255, 255));
  float back[7];
  narrow_kernels(Type::Int8).widen(7, bytes, 0.5f, back);
  EXPECT_THAT(back, testing::ElementsAre(0, 0, 0, 0.5f, 1, 127.5f, 127.5f));
  // Halfway between two bfloat16: to the even one.
  const float halves[] = {1 + 0x1p-8f, 1 + 0x3p-8f, -2.5f};
  uint16_t bits[3];
  narrow_kernels(Type::BFloat16).narrow(3, halves, 1, bits);
  narrow_kernels(Type::BFloat16).widen(3, bits, 1, back);
  EXPECT_THAT(std::vector(back, back + 3), testing::ElementsAre(1, 1 + 0x1p-6f, -2.5f));
}

// Root of the mean squares of differences and of what is expected.
double relative_rms(const std::vector<float>& got, const std::vector<float>& expected) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{got.at(i)} - expected[i], 2);
    size += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / size);
}

TEST(Narrow, NetworksStayNearThoseInFloat32) {
  for (const auto& card : test::every_architecture()) {
    SCOPED_TRACE(model::describe(card));
    if (card.bits > 0) continue;  // the sign of a value near 0 turns with its last bits
    auto model = test::drawn_model(card);
    const auto pictures = test::drawn_pictures(3, card.height, card.width);
    const auto input = model::network_input(model, pictures, card.height, card.width);
    const Network wide(model);
    const auto expected = wide.forward(input);
    Ranges ranges;
    wide.calibrate(pictures, card.height, card.width, ranges);
    model.card.notes[kRangesNote] = to_note(ranges, model.graph);
    for (const int threads : {1, 2}) {
      const auto error = [&](Type type) {
        const Network network(model, {.threads = threads, .precision = type});
        return relative_rms(network.forward(input).values, expected.values);
      };
      EXPECT_LT(error(Type::BFloat16), 0.03);
      EXPECT_LT(error(Type::Int8), 0.12);
    }
  }
}

TEST(Narrow, RangesSayWhereValuesAreNotFinite) {
  auto model = test::drawn_model(test::picture_card(model::Role::Transform, "unet", 4));
  for (auto& [name, tensor] : model.weights)
    if (name.ends_with("weight"))
      for (auto& value : tensor.values) value *= 1e6f;
  Ranges ranges;
  Network(model).calibrate(test::drawn_pictures(1, 32, 32), 32, 32, ranges);
  EXPECT_TRUE(
      std::ranges::any_of(ranges, [](const auto& range) { return std::isinf(range.second); }));
}

TEST(Narrow, Int8NeedsACalibratedModel) {
  auto model = test::drawn_model(test::picture_card(model::Role::Transform, "unet", 16));
  const auto make = [&] { return Network(model, {.precision = Type::Int8}); };
  test::expect_error(ErrorCode::InvalidArgument, {"calibrate"}, make);
  for (const std::string bad : {"", "7 1:2", "no", "1:2"}) {
    model.card.notes[kRangesNote] = bad;
    test::expect_error(ErrorCode::BadData, {"int8.ranges", bad}, make);
  }
  const Ranges ranges = {{2, 0.5f}, {3, 1e-7f}, {4, 12345.67f}};
  model.card.notes[kRangesNote] = to_note(ranges, model.graph);
  EXPECT_EQ(ranges_of(model), ranges);
}

// What is computed in few bits, and that it is most of the work.
TEST(Narrow, ConvolutionsOfAUNetAreNarrow) {
  auto model = test::drawn_model(test::picture_card(model::Role::Transform, "unet", 16));
  for (const auto type : kTypes) {
    Ranges ranges;
    for (size_t i = 0; i < model.graph.layers.size(); ++i) ranges[i] = 1;
    model.card.notes[kRangesNote] = to_note(ranges, model.graph);
    const Network network(model, {.threads = 1, .precision = type});
    double narrow = 0, all = 0;
    for (const auto& step : network.profile(1, 32, 32, 1)) {
      all += step.multiplications;
      if (step.name.ends_with(type == Type::Int8 ? ", int8" : ", bfloat16"))
        narrow += step.multiplications;
    }
    EXPECT_GT(narrow, 0.98 * all);
  }
}

}  // namespace
}  // namespace veilnet::runtime
