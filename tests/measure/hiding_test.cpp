#include "measure/hiding.h"

#include <map>
#include <torch/torch.h>

#include "data/dataset.h"
#include "data/sources.h"
#include "support.h"

namespace veilnet::measure {
namespace {

// A transformation whose output is a given function of the picture.
class Given : public nn::Network {
 public:
  explicit Given(std::function<torch::Tensor(torch::Tensor)> f) : f_(std::move(f)) {}
  torch::Tensor forward(torch::Tensor x) override { return torch::logit(f_(x), 1e-3); }

 private:
  std::function<torch::Tensor(torch::Tensor)> f_;
};

data::Dataset drawn(size_t pictures) {
  data::SyntheticOptions options;
  options.train_size = pictures;
  options.test_size = 10;
  return data::make_synthetic(options).train;
}

Hiding of(std::function<torch::Tensor(torch::Tensor)> f, size_t pictures = 100) {
  torch::manual_seed(1);
  const auto plain = drawn(pictures);
  model::Card card;
  card.role = model::Role::Transform;
  card.architecture = "unet";
  card.base_width = 2;
  nn::FeatureExtractor phi("relu1_1");
  return look_at({card, std::make_shared<Given>(std::move(f))}, phi, card, plain.pictures,
                 plain.labels);
}

TEST(Hiding, ShownPicturesAreNotHidden) {
  const auto shown = of([](torch::Tensor x) { return x; });
  EXPECT_GT(shown.ssim, 0.9);
  EXPECT_LT(shown.feature_distance, 0.1);
  EXPECT_GT(shown.probe_gain_db, 10);
  EXPECT_FALSE(shown.hides());
  EXPECT_TRUE(shown.text().starts_with("does not protect: SSIM beyond 0.1"));
}

TEST(Hiding, InvertedAndFaintPicturesAreRebuilt) {
  const auto inverted = of([](torch::Tensor x) { return 1 - x; });
  EXPECT_GT(inverted.probe_gain_db, 10);
  EXPECT_FALSE(inverted.hides());
  const auto pattern = torch::rand({1, 3, 32, 32});
  const auto faint = of([&](torch::Tensor x) { return 0.8 * pattern + 0.2 * x; });
  EXPECT_GT(faint.probe_gain_db, kMostProbeGainDb);
  EXPECT_FALSE(faint.hides());
}

TEST(Hiding, WhatOnlyItsSizeTellsIsRebuilt) {
  // Lighter than grey in one picture and darker in the next: no linear function finds it.
  const auto unsigned_ = of([](torch::Tensor x) {
    const auto sign = torch::randint(0, 2, {x.size(0), 1, 1, 1}) * 2 - 1;
    return 0.5 + 0.45 * sign * x;
  });
  EXPECT_GT(unsigned_.probe_gain_db, kMostProbeGainDb) << unsigned_.text();
}

TEST(Hiding, OutlinesShowWhateverTheColours) {
  // Lines where brightness changes, on a pattern and lighter or darker than it by chance.
  const auto pattern = torch::rand({1, 3, 32, 32}).round() * 0.5 + 0.25;
  const auto outlined = of(
      [&](torch::Tensor x) {
        const auto grey = x.mean(1, true);
        const auto steps = torch::constant_pad_nd(
            (grey.slice(3, 1) - grey.slice(3, 0, -1)).abs().gt(0.1).to(torch::kFloat),
            {0, 1, 0, 0});
        const auto sign = torch::randint(0, 2, {x.size(0), 1, 1, 1}) * 2 - 1;
        return (pattern + 0.25 * sign * steps).clamp(0, 1);
      },
      300);
  EXPECT_GT(outlined.outline_gain, 2 * kMostOutlineGain) << outlined.text();
  EXPECT_NE(outlined.text().find("outlines show"), std::string::npos) << outlined.text();
  const auto pattern_alone =
      of([&](torch::Tensor x) { return pattern.expand_as(x).contiguous(); }, 300);
  EXPECT_LT(pattern_alone.outline_gain, kMostOutlineGain) << "by chance";
  const auto few = of([](torch::Tensor x) { return x; }, 20);
  EXPECT_DOUBLE_EQ(few.outline_gain, 1) << "no class has enough";
}

TEST(Hiding, PixelsInOtherPlacesAreRebuilt) {
  // And every second one inverted: no place tells what is around it.
  const auto order = torch::randperm(32 * 32);
  const auto sign = torch::randint(0, 2, {1, 1, 32, 32}) * 2 - 1;
  const auto moved = of(
      [&](torch::Tensor x) {
        return 0.5 + sign * (x.flatten(2).index_select(2, order).reshape(x.sizes()) - 0.5);
      },
      300);
  EXPECT_LT(moved.probe_gain_db, kMostProbeGainDb);
  EXPECT_GT(moved.ridge_gain_db, 2 * kMostRidgeGainDb);
  EXPECT_NE(moved.text().find("rebuilt by more than 1 dB beyond its class"), std::string::npos)
      << moved.text();
}

TEST(Hiding, TheMeanOfTheClassIsNoLeak) {
  // A pattern for each class tells the class, and nothing else of the picture.
  const auto set = drawn(300);
  const auto classes = static_cast<int64_t>(set.class_names.size());
  const auto patterns = torch::rand({classes, 3, 32, 32}).round();
  std::map<std::string, int64_t> known;
  const auto key = [](const torch::Tensor& x) {
    const auto bytes = (x * 255).round().to(torch::kUInt8).permute({1, 2, 0}).contiguous();
    return std::string(static_cast<const char*>(bytes.data_ptr()),
                       static_cast<size_t>(bytes.numel()));
  };
  for (size_t i = 0; i < set.size(); ++i) {
    const auto picture = set.pictures.picture(i);
    known[std::string(picture.begin(), picture.end())] = set.labels[i];
  }
  const auto told = of(
      [&](torch::Tensor x) {
        std::vector<torch::Tensor> out;
        for (const auto& picture : x.unbind(0)) out.push_back(patterns[known.at(key(picture))]);
        return torch::stack(out);
      },
      300);
  EXPECT_LT(std::abs(told.ridge_gain_db), kMostRidgeGainDb) << told.text();
}

TEST(Hiding, TheMarginIsThatOfTheWorstFigure) {
  Hiding hiding{.ssim = -0.05, .feature_distance = 6, .probe_gain_db = kMostProbeGainDb / 3};
  EXPECT_DOUBLE_EQ(hiding.margin(), 2);
  hiding.feature_distance = 2;
  EXPECT_DOUBLE_EQ(hiding.margin(), 1);
  hiding.ridge_gain_db = 2 * kMostRidgeGainDb;
  EXPECT_DOUBLE_EQ(hiding.margin(), 1) << "alpha cannot help it";
  EXPECT_FALSE(hiding.hides());
  hiding.ridge_gain_db = 0;
  hiding.outline_gain = 2 * kMostOutlineGain;
  EXPECT_DOUBLE_EQ(hiding.margin(), 1) << "a look has too few pictures for it";
  EXPECT_FALSE(hiding.hides());
  hiding.probe_gain_db = 2 * kMostProbeGainDb;
  EXPECT_DOUBLE_EQ(hiding.margin(), 0.5);
  EXPECT_FALSE(hiding.hides());
}

TEST(Hiding, NoiseHides) {
  const auto noise = of([](torch::Tensor x) { return torch::rand_like(x).round(); });
  EXPECT_LT(std::abs(noise.ssim), kMostSsim);
  EXPECT_GT(noise.feature_distance, kLeastFeatureDistance);
  EXPECT_LT(noise.probe_gain_db, kMostProbeGainDb);
  EXPECT_LT(noise.outline_gain, kMostOutlineGain);
  EXPECT_TRUE(noise.hides()) << noise.text();
}

}  // namespace
}  // namespace veilnet::measure
