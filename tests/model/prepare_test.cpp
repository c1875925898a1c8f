#include "model/prepare.h"

#include <cmath>
#include <gmock/gmock.h>

#include "support.h"

namespace veilnet::model {
namespace {

using testing::ElementsAre;

Model network(Role role, const std::string& architecture) {
  Card card;
  card.role = role;
  card.architecture = architecture;
  card.base_width = 1;
  card.height = 16;
  card.width = 32;
  card.class_names = {"a", "b"};
  card.mean_rgb = {0.5, 0.25, 0};
  card.std_rgb = {0.5, 0.25, 2};
  return {card, make_graph(card), {}};
}

TEST(Fit, GivesTheSizeOfTheCard) {
  const auto card = network(Role::Transform, "unet").card;
  const auto fitted = fit({20, 20, std::vector<uint8_t>(20 * 20 * 3, 9)}, card);
  EXPECT_EQ(fitted.height, 16);
  EXPECT_EQ(fitted.width, 32);
  EXPECT_THAT(fitted.rgb, testing::Each(9));
}

TEST(NetworkInput, NormalisesForClassifiersAlone) {
  std::vector<uint8_t> picture(16 * 16 * 3, 0);
  picture[3] = 255;
  picture[4] = 51;
  picture[5] = 255;
  const auto psi = network_input(network(Role::Classifier, "unet_encoder"), picture, 16, 16);
  EXPECT_THAT(std::span(psi.values).subspan(3, 3),
              ElementsAre(1.0f, testing::FloatNear(-0.2f, 1e-6f), 0.5f));
  const auto h = network_input(network(Role::Transform, "unet"), picture, 16, 16);
  EXPECT_THAT(std::span(h.values).subspan(3, 3), ElementsAre(1.0f, 0.2f, 1.0f));
}

TEST(NetworkInput, PadsByRepeatingTheLastRowAndColumn) {
  const auto h = network(Role::Transform, "unet");
  std::vector<uint8_t> pictures(2 * 2 * 3 * 3);
  for (size_t i = 0; i < pictures.size(); ++i) pictures[i] = static_cast<uint8_t>(i);
  const auto input = network_input(h, pictures, 2, 3);
  EXPECT_EQ(input.count, 2);
  ASSERT_EQ(input.height, 16);
  ASSERT_EQ(input.width, 16);
  const auto at = [&](int64_t n, int64_t y, int64_t x, int64_t c) {
    return std::lround(255 * input.values[static_cast<size_t>(((n * 16 + y) * 16 + x) * 3 + c)]);
  };
  EXPECT_EQ(at(0, 1, 2, 1), 16);
  EXPECT_EQ(at(0, 15, 2, 1), 16);
  EXPECT_EQ(at(0, 0, 15, 2), 8);
  EXPECT_EQ(at(1, 15, 15, 2), 35);
}

TEST(NetworkInput, RefusesHalfAPicture) {
  test::expect_error(ErrorCode::InvalidArgument, {"769", "768"}, [] {
    network_input(network(Role::Transform, "unet"), std::vector<uint8_t>(769), 16, 16);
  });
}

TEST(PicturesOf, CropsAndRounds) {
  Activations output{1, 16, 16, 3, std::vector<float>(16 * 16 * 3, 100.0f)};
  output.values[0] = 0;                                  // 127.5 rounds to the even 128
  output.values[1] = -200;                               // 0
  output.values[2] = std::log(0.2f / 0.8f);              // 51
  output.values[16 * 3] = std::log(1 / 254.0f) + 1e-3f;  // 1
  const auto pictures = pictures_of(output, 2, 1);
  EXPECT_THAT(pictures, ElementsAre(128, 0, 51, 1, 255, 255));
  for (const float broken : {NAN, INFINITY, -INFINITY}) {
    output.values[1] = broken;
    test::expect_error(ErrorCode::BadData, {"not finite"}, [&] { pictures_of(output, 2, 1); });
  }
}

}  // namespace
}  // namespace veilnet::model
