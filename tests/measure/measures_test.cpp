#include "measure/measures.h"

#include <torch/torch.h>

#include "data/sources.h"
#include "support.h"

namespace veilnet::measure {
namespace {

double share(const Leak& leak, const char* id) { return *record::share(leak.figures, id); }

TEST(Measures, AreAllInTheTableOfRecords) {
  const auto plain = data::make_synthetic({7, 40, 10}).test;
  torch::manual_seed(1);
  model::Card card;
  card.class_names = plain.class_names;
  card.height = card.width = 32;
  card.architecture = "resnet";
  card.depth = 8;
  auto psi = nn::make_model(card);
  psi.net->eval();
  const auto leak = measure_all({plain, plain.pictures},
                                {&psi, std::make_shared<nn::FeatureExtractor>("relu1_1")});
  ASSERT_EQ(leak.figures.size(), record::measures().size());
  for (const auto& measure : record::measures()) {
    const auto id = std::string(measure.id);
    ASSERT_TRUE(leak.figures.contains(id)) << id;
    EXPECT_EQ(leak.values.contains(id), measure.over_pictures) << id;
  }
  EXPECT_EQ(measure_all({plain, plain.pictures}, {}).figures.count("named"), 0u)
      << "nobody is there to name them";
}

TEST(Measures, ExactReidentifiedAndDiversity) {
  const auto plain = data::make_synthetic({7, 40, 10}).test;
  auto guess = plain.pictures;
  const auto perfect = measure_all({plain, guess}, {});
  EXPECT_EQ(share(perfect, "exact"), 1.0);
  EXPECT_EQ(share(perfect, "reidentified"), 1.0);
  EXPECT_NEAR(diversity({plain, guess}), 1, 1e-6);
  EXPECT_TRUE(std::isinf(record::distribution(perfect.figures, "psnr_db")->median));
  guess.pixels()[0] ^= 1;
  EXPECT_NEAR(share(measure_all({plain, guess}, {}), "exact"), 0.9, 1e-12);
  const auto constant = mean_picture(plain.pictures, 5);
  const auto leak = measure_all({plain, constant}, {});
  EXPECT_EQ(leak.values.at("ssim").size(), 5u);
  EXPECT_EQ(diversity({plain, constant}), 0.0);
  EXPECT_LE(share(leak, "reidentified"), 0.2);
}

// A classifier that names everything as class 3.
TEST(Measures, NamedIsTheShareThatTheClassifierNames) {
  auto plain = data::make_synthetic({7, 40, 10}).test;
  model::Card card;
  card.class_names = plain.class_names;
  card.height = card.width = 32;
  card.architecture = "resnet";
  card.depth = 8;
  auto psi = nn::make_model(card);
  torch::NoGradGuard no_grad;
  for (auto& p : psi.net->named_parameters()) {
    if (p.value().dim() == 2) p.value().zero_();
    if (p.value().dim() == 1 && p.value().size(0) == 10) {
      p.value().zero_();
      p.value()[3] = 1;
    }
  }
  psi.net->eval();
  const auto threes = std::ranges::count(plain.labels, 3);
  ASSERT_GT(threes, 0);
  EXPECT_NEAR(share(measure_all({plain, plain.pictures}, {&psi}), "named"),
              static_cast<double>(threes) / static_cast<double>(plain.size()), 1e-12);
}

TEST(Measures, RefuseGuessesThatDoNotFit) {
  const auto plain = data::make_synthetic({7, 40, 10}).test;
  const image::Batch none(32, 32), many(32, 32, 11), small(16, 16, 1);
  for (const auto* guesses : {&none, &many, &small})
    test::expect_error(ErrorCode::InvalidArgument, {"10 pictures of 32x32"}, [&] {
      measure_all({plain, *guesses}, {});
    });
}

}  // namespace
}  // namespace veilnet::measure
