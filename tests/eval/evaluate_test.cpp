#include "eval/evaluate.h"

#include <torch/torch.h>

#include "data/sources.h"
#include "support.h"

namespace veilnet::eval {
namespace {

// Names a picture by which half of it is brighter, so its right answers are known.
class LeftOrRight : public nn::Network {
 public:
  torch::Tensor forward(torch::Tensor x) override {
    const auto half = x.size(3) / 2;
    return torch::stack({x.slice(3, 0, half).mean({1, 2, 3}), x.slice(3, half).mean({1, 2, 3})}, 1);
  }
};

data::Dataset four_pictures() {
  data::Dataset set;
  set.name = "four";
  set.pictures = image::Batch(8, 8);
  set.class_names = {"left", "right"};
  set.labels = {0, 1, 0, 1};
  for (const int bright : {0, 1, 1, 1}) {  // the third one is labelled wrongly
    std::vector<uint8_t> picture;
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x)
        picture.insert(picture.end(), 3, (x < 4) == (bright == 0) ? 250 : 5);
    }
    set.pictures.append(picture);
  }
  return set;
}

TEST(Accuracy, CountsRightAnswers) {
  const auto set = four_pictures();
  const nn::Model psi{model::Card{}, std::make_shared<LeftOrRight>()};
  EXPECT_DOUBLE_EQ(accuracy_on_bytes(psi, set, set.pictures.pixels(), {}), 0.75);
  auto inverted = test::bytes(set.pictures.pixels());
  for (auto& v : inverted) v = static_cast<uint8_t>(255 - v);
  EXPECT_DOUBLE_EQ(accuracy_on_bytes(psi, set, inverted, {}), 0.25);
}

TEST(Similarity, HasOneValuePerPictureInOrder) {
  const auto set = data::make_synthetic({3, 40, 10}).test;
  auto other = test::bytes(set.pictures.pixels());
  for (size_t j = 0; j < set.image_bytes(); ++j)
    other[j] = static_cast<uint8_t>(255 - other[j]);  // the first picture only
  const auto s = compare(set, other);
  ASSERT_EQ(s.ssim.size(), set.size());
  EXPECT_LT(s.ssim[0], 0.5);
  EXPECT_LT(s.psnr_db[0], 30);
  for (size_t i = 1; i < set.size(); ++i) {
    EXPECT_DOUBLE_EQ(s.ssim[i], 1);
    EXPECT_TRUE(std::isinf(s.psnr_db[i]));
  }
}

TEST(Evaluation, SaysWhenThereIsNothingToReport) {
  const test::TemporaryFolder folder;
  test::expect_error(ErrorCode::NotFound, {"evaluation.json"},
                     [&] { write_report(folder.path()); });
  write_file(folder / "evaluation.json", "{}", Overwrite::No);
  test::expect_error(ErrorCode::BadData, {"evaluation.json", "models"},
                     [&] { write_report(folder.path()); });
  write_file(folder / "evaluation.json", "{", Overwrite::Yes);
  test::expect_error(ErrorCode::BadData, {"evaluation.json"}, [&] { write_report(folder.path()); });
}

}  // namespace
}  // namespace veilnet::eval
