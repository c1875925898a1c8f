#include "runtime/network.h"

#include <atomic>
#include <cmath>
#include <gmock/gmock.h>
#include <malloc.h>
#include <thread>

#include "model/reference.h"
#include "runtime/models.h"
#include "support.h"

namespace veilnet::runtime {
namespace {

using model::Role;

// Largest difference divided by the largest expected value.
double relative_error(const std::vector<float>& got, const std::vector<float>& expected) {
  EXPECT_EQ(got.size(), expected.size());
  double difference = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference = std::max(difference, std::abs(double{got[i]} - expected[i]));
    largest = std::max(largest, std::abs(double{expected[i]}));
  }
  EXPECT_GT(largest, 1e-3);
  return difference / largest;
}

TEST(Network, ComputesWhatTheReferenceComputes) {
  for (const auto& card : test::every_architecture()) {
    SCOPED_TRACE(model::describe(card));
    const auto model = test::drawn_model(card);
    const auto input = model::network_input(model, test::drawn_pictures(3, card.height, card.width),
                                            card.height, card.width);
    const auto expected = model::ref_forward(model, input);
    for (const int threads : {1, 2}) {
      const Network network(model, {.threads = threads});
      const auto got = network.forward(input);
      EXPECT_EQ(got.height, expected.height);
      EXPECT_EQ(got.width, expected.width);
      EXPECT_LT(relative_error(got.values, expected.values), 2e-5) << threads << " threads";
    }
  }
}

TEST(Network, GivesPicturesAndLogits) {
  const auto h = test::drawn_model(test::picture_card(Role::Transform, "unet", 16));
  const auto pictures = test::drawn_pictures(2, 21, 35);
  const auto protected_pictures = Network(h).transform(pictures, 21, 35);
  const auto expected =
      model::pictures_of(model::ref_forward(h, model::network_input(h, pictures, 21, 35)), 21, 35);
  ASSERT_EQ(protected_pictures.size(), expected.size());
  size_t different = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_LE(std::abs(int{protected_pictures[i]} - int{expected[i]}), 1) << i;
    different += protected_pictures[i] != expected[i];
  }
  EXPECT_LT(different, expected.size() / 100);

  const auto psi = test::drawn_model(test::classifier_card("resnet", 16));
  const auto input = model::network_input(psi, pictures, 21, 35);
  EXPECT_LT(
      relative_error(Network(psi).logits(pictures, 21, 35), model::ref_forward(psi, input).values),
      2e-5);
}

TEST(Network, TakesAnyNumberOfPicturesOfAnySize) {
  const auto h = test::drawn_model(test::picture_card(Role::Transform, "unet", 16));
  const Network network(h, {.threads = 2, .largest_batch = 4});
  for (const int64_t count : {0, 1, 3, 7}) {
    for (const int64_t side : {1, 20}) {
      const auto pictures = test::drawn_pictures(count, side, 17);
      const auto together = network.transform(pictures, side, 17);
      ASSERT_EQ(together.size(), pictures.size());
      const size_t bytes = static_cast<size_t>(side) * 17 * 3;
      for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        const auto alone =
            network.transform(std::span(pictures).subspan(i * bytes, bytes), side, 17);
        for (size_t j = 0; j < bytes; ++j)
          ASSERT_LE(std::abs(int{together[i * bytes + j]} - int{alone[j]}), 1);
      }
    }
  }
}

TEST(Network, KeepsLittleMemoryForSizesThatMayNotComeAgain) {
  const Network network(test::drawn_model(test::picture_card(Role::Transform, "unet", 4)),
                        {.threads = 1});
  const auto mapped = [] { return ::mallinfo2().hblkhd; };  // large blocks are mapped
  const auto before = mapped();
  for (int64_t i = 0; i < 12; ++i) {
    const int64_t side = 1024 + 16 * i;
    network.transform(test::drawn_pictures(1, side, side), side, side);
    if (i > 0) continue;
    if (mapped() == before) GTEST_SKIP() << "another allocator, as sanitizers have";
    ASSERT_GT(mapped() - before, 48u << 20) << "the picture is too small to tell";
  }
  EXPECT_LT(mapped() - before, 700u << 20);
}

TEST(Network, GivesEveryThreadBatchesOfItsOwn) {
  const auto h = test::drawn_model(test::picture_card(Role::Transform, "unet", 16));
  const auto psi = test::drawn_model(test::classifier_card("resnet", 16));
  for (const int count : {15, 16, 37}) {  // less than a batch a thread, just that, more and a rest
    SCOPED_TRACE(count);
    const auto pictures = test::drawn_pictures(count, 16, 16);
    const Network one(h, {.threads = 1, .largest_batch = 8}),
        two(h, {.threads = 2, .largest_batch = 8});
    const auto expected = one.outputs(pictures, 16, 16);
    EXPECT_LT(relative_error(two.outputs(pictures, 16, 16), expected), 1e-5);
    const auto alone = one.transform(pictures, 16, 16), divided = two.transform(pictures, 16, 16);
    ASSERT_EQ(divided.size(), alone.size());
    for (size_t i = 0; i < alone.size(); ++i)
      ASSERT_LE(std::abs(int{divided[i]} - int{alone[i]}), 1) << i;
    EXPECT_LT(
        relative_error(Network(psi, {.threads = 3, .largest_batch = 4}).logits(pictures, 16, 16),
                       Network(psi, {.threads = 1}).logits(pictures, 16, 16)),
        1e-5);
  }
}

TEST(Network, RefusesWhatItCannotCompute) {
  auto psi_model = test::drawn_model(test::classifier_card("vgg16_bn", 32));
  const Network psi(psi_model),
      h(test::drawn_model(test::picture_card(Role::Transform, "unet", 1)));
  const auto pictures = test::drawn_pictures(1, 32, 32);
  test::expect_error(ErrorCode::InvalidArgument, {"classifier", "transform"},
                     [&] { psi.transform(pictures, 32, 32); });
  test::expect_error(ErrorCode::InvalidArgument, {"transform", "classify"},
                     [&] { h.logits(pictures, 32, 32); });
  test::expect_error(ErrorCode::InvalidArgument, {"32x16", "at least 32"},
                     [&] { psi.logits(test::drawn_pictures(1, 16, 32), 16, 32); });
  test::expect_error(ErrorCode::InvalidArgument, {"3072", "3069"},
                     [&] { h.transform(pictures, 31, 33); });
  psi_model.weights["classifier.6.bias"].values[0] = INFINITY;
  test::expect_error(ErrorCode::BadData, {"not finite"},
                     [&] { Network(psi_model).logits(pictures, 32, 32); });
}

TEST(Network, ChoosesWaysAsTold) {
  const auto h = test::drawn_model(test::picture_card(Role::Transform, "unet", 16));
  const auto pictures = test::drawn_pictures(2, 32, 32);
  const auto expected = Network(h).forward(model::network_input(h, pictures, 32, 32)).values;
  for (const auto choice : {Choice::Estimate, Choice::Try, Choice::OneDnn}) {
    const Network network(h, {.threads = 1, .choice = choice});
    size_t convolutions = 0, by_onednn = 0;
    for (const auto& step : network.profile(8, 32, 32, 1)) {
      convolutions += step.multiplications > 0;
      by_onednn += step.name.ends_with(", onednn");
    }
    EXPECT_EQ(convolutions, 23U);
    if (choice == Choice::OneDnn) EXPECT_EQ(by_onednn, convolutions);
    if (choice == Choice::Estimate) EXPECT_LT(by_onednn, convolutions);
    const auto got = network.forward(model::network_input(h, pictures, 32, 32)).values;
    EXPECT_LT(relative_error(got, expected), 2e-5);
  }
}

TEST(Network, MayBeUsedByManyThreads) {
  const Network network(test::drawn_model(test::picture_card(Role::Transform, "unet", 16)),
                        {.threads = 1});
  const auto pictures = test::drawn_pictures(4, 32, 32);
  const auto expected = network.transform(pictures, 32, 32);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) wrong += network.transform(pictures, 32, 32) != expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace veilnet::runtime
