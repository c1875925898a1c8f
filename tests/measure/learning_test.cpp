#include "measure/learning.h"

#include <torch/torch.h>

#include "support.h"

namespace veilnet::measure {
namespace {

// Names a picture by its red value, of the pictures up to `known` of 255; of others the first
// class.
class ByRed : public nn::Network {
 public:
  ByRed(int64_t classes, double known) : classes_(classes), known_(known) {}
  torch::Tensor forward(torch::Tensor x) override {
    const auto red = torch::round(255 * x.select(1, 0).mean({1, 2}));
    const auto named = torch::where(red < known_, torch::remainder(red, classes_), 0 * red);
    return torch::one_hot(named.to(torch::kLong), classes_).to(torch::kFloat);
  }

 private:
  int64_t classes_;
  double known_;
};

// 200 pictures, half of them for validation; picture i is red as i says and of class i % 4. The
// classifier knows the first `known` of them.
Learning of(double known) {
  data::Dataset set{"red", {"a", "b", "c", "d"}, image::Batch(8, 8), {}};
  data::Split split;
  for (uint32_t i = 0; i < 200; ++i) {
    image::Image picture{8, 8, std::vector<uint8_t>(8 * 8 * 3, static_cast<uint8_t>(i))};
    set.pictures.append(picture);
    set.labels.push_back(static_cast<int32_t>(i % 4));
    (i < 100 ? split.train : split.validation).push_back(i);
  }
  nn::Model psi;
  psi.card.class_names = set.class_names;
  psi.card.mean_rgb.fill(0);
  psi.card.std_rgb.fill(1);
  psi.net = std::make_shared<ByRed>(4, known);
  return look_at(psi, set, split);
}

TEST(Learning, IsSaidWithItsFigures) {
  const auto all = of(200);
  EXPECT_EQ(all.validation, 1);
  EXPECT_EQ(all.training, 1);
  EXPECT_EQ(all.commonest, 0.25);
  EXPECT_EQ(all.pictures, 100u);
  EXPECT_TRUE(all.learned());
  EXPECT_EQ(all.text(),
            "learned: 100.0 % of 100 validation pictures right, 100.0 % of training pictures; "
            "always the commonest class 25.0 %");
}

TEST(Learning, ChanceIsNothing) {
  const auto nothing = of(0);
  EXPECT_FALSE(nothing.learned());
  EXPECT_TRUE(nothing.text().starts_with("did not learn: no better than chance (25.0 % of 100"))
      << nothing.text();
}

TEST(Learning, WhatHoldsForTrainingPicturesAloneIsNothing) {
  // 25 + 75 * 40 % = 55 % of the validation pictures, more than chance, with all of training.
  const auto half = of(140);
  EXPECT_NEAR(half.validation, 0.55, 1e-9);
  EXPECT_FALSE(half.learned());
  EXPECT_NE(half.text().find("far worse on validation than on training"), std::string::npos);
  EXPECT_TRUE(of(160).learned());
}

}  // namespace
}  // namespace veilnet::measure
