#include "runtime/transformation.h"

#include "model/coded.h"
#include "runtime/models.h"
#include "support.h"

namespace veilnet::runtime {
namespace {

using model::Role;

class TransformationTest : public testing::Test {
 protected:
  std::filesystem::path saved(const model::Model& m, const std::string& name) {
    const auto path = folder_.path() / name;
    model::save(m, path, Overwrite::Yes);
    return path;
  }
  test::TemporaryFolder folder_;
};

TEST_F(TransformationTest, ComputesWhatTheNetworkComputes) {
  const auto h = test::drawn_model(test::picture_card(Role::Transform, "unet", 6));
  const auto pictures = test::drawn_pictures(3, 21, 35);
  EXPECT_EQ(Transformation(saved(h, "h")).transform(pictures, 21, 35),
            Network(h).transform(pictures, 21, 35));
}

TEST_F(TransformationTest, LetsAnAnswerChangeTheCode) {
  auto card = test::picture_card(Role::Transform, "coded", 6);
  card.bits = 3;
  card.width = card.height = 32;
  const auto model = test::drawn_model(card);
  const Transformation h(saved(model, "h"));
  const auto pictures = test::drawn_pictures(2, 32, 32);
  std::vector<uint8_t> seen;
  const auto answered = h.transform(pictures, 32, 32, [&](auto, auto picture) -> uint64_t {
    seen.insert(seen.end(), picture.begin(), picture.end());
    return seen.size() / 3072;
  });
  EXPECT_EQ(seen, pictures);
  EXPECT_EQ(answered, CodedNetwork(model).pictures(std::vector<std::uint64_t>{1, 2}));
}

TEST_F(TransformationTest, RefusesOtherRoles) {
  const auto psi = saved(test::drawn_model(test::classifier_card("resnet", 16)), "psi");
  test::expect_error(ErrorCode::BadData, {"psi", "classifier", "transform"},
                     [&] { Transformation{psi}; });
}

}  // namespace
}  // namespace veilnet::runtime
