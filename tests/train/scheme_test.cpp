#include "train/scheme.h"

#include <algorithm>
#include <numeric>
#include <torch/torch.h>

#include "data/sources.h"
#include "support.h"
#include "train/tasks/gan.h"

namespace veilnet::train {
namespace {

data::Dataset pictures(size_t count) {
  data::SyntheticOptions options;
  options.train_size = count;
  options.test_size = 10;
  return data::make_synthetic(options).train;
}

KeyedScheme scheme(const std::string& id, bool independent = false) {
  KeyedScheme s;
  s.options.id = id;
  s.independent_keys = independent;
  return s;
}

data::Split split_of(size_t count) {
  data::Split split;
  for (uint32_t i = 0; i < count; ++i) (i % 5 == 0 ? split.validation : split.train).push_back(i);
  return split;
}

std::vector<uint8_t> augmented(std::span<const uint8_t> picture, const data::Augmentation& how,
                               uint64_t seed) {
  std::vector<uint8_t> out(picture.size());
  Random random(seed);
  data::augment(picture, 32, 32, data::draw(how, 32, 32, random), out.data());
  return out;
}

TEST(SchemeTraining, AugmentsWhereItIsToldTo) {
  const auto plain = pictures(20);
  auto le = scheme("le");
  EXPECT_EQ(le.label(), "le");
  EXPECT_TRUE(encrypted_training(le, plain, split_of(20)).encrypt)
      << "plain pictures, as published";
  EXPECT_FALSE(settings_of(le).contains("scheme.augmentation")) << "keys of earlier runs stay";
  le.augmentation = "encrypted";
  EXPECT_EQ(le.label(), "le-augmented-encrypted");
  const auto training = encrypted_training(le, plain, split_of(20));
  EXPECT_FALSE(training.encrypt);
  EXPECT_EQ(training.pictures.pictures, encrypt_pictures(le, plain.pictures));
  EXPECT_NE(settings_of(le), settings_of(scheme("le")));
}

TEST(SchemeTraining, IndependentKeysDifferBetweenPicturesAndSets) {
  auto plain = pictures(20);
  for (size_t i = 0; i < plain.size(); ++i) {
    std::ranges::copy(plain.image(0), plain.pictures.picture(i).begin());
  }
  const auto same = encrypt_pictures(scheme("pe"), plain.pictures);
  const auto own = encrypt_pictures(scheme("pe", true), plain.pictures);
  const auto others = encrypt_pictures(scheme("pe", true), plain.pictures, 1ull << 32);
  const auto first = [](const image::Batch& all, size_t i) { return test::bytes(all.picture(i)); };
  EXPECT_EQ(first(same, 0), first(same, 1));
  EXPECT_NE(first(own, 0), first(own, 1));
  EXPECT_NE(first(own, 0), first(others, 0));
  EXPECT_EQ(own, encrypt_pictures(scheme("pe", true), plain.pictures))
      << "keys of an experiment are reproducible";
}

// Pixel-based encryption works on each position by itself, so a flip or shift of the encrypted
// picture is a picture encrypted under the flipped or shifted key: what a classifier sees has the
// same distribution. Block schemes move values between pixels, and no key makes the two orders
// agree.
TEST(SchemeTraining, OnlyPixelBasedEncryptionCommutesWithFlipAndShift) {
  const auto plain = pictures(20);
  data::Augmentation flip_and_crop;
  const auto commutes = [&](const std::string& id) {
    // Each value of the encrypted-then-augmented picture is that of the augmented-then-encrypted
    // one or its complement, or 0 from the padding.
    const auto s = scheme(id);
    const auto encrypted = encrypt_pictures(s, plain.pictures);
    for (size_t i = 0; i < 4; ++i) {
      const auto after = augmented(encrypted.picture(i), flip_and_crop, i);
      const auto before = augmented(plain.image(i), flip_and_crop, i);
      for (size_t v = 0; v < after.size(); ++v) {
        if (after[v] != before[v] && after[v] != 255 - before[v]) return false;
      }
    }
    return true;
  };
  EXPECT_TRUE(commutes("pe"));
  for (const std::string id : {"le", "ele", "etc", "pixel-shuffle"})
    EXPECT_FALSE(commutes(id)) << id;
}

TEST(SchemeTraining, PixelBasedEncryptionIsAugmentedAfterwardsAllOthersBefore) {
  const auto plain = pictures(20);
  const auto split = split_of(plain.size());
  const auto pe = encrypted_training(scheme("pe"), plain, split);
  EXPECT_FALSE(pe.encrypt);
  EXPECT_EQ(pe.pictures.pictures, encrypt_pictures(scheme("pe"), plain.pictures));

  for (const std::string id : {"le", "ele", "etc"}) {
    const auto training = encrypted_training(scheme(id), plain, split);
    const auto encrypted = encrypt_pictures(scheme(id), plain.pictures);
    for (const auto i : split.validation)
      EXPECT_EQ(test::bytes(training.pictures.image(i)), test::bytes(encrypted.picture(i))) << id;
    for (const auto i : split.train) {
      auto picture = test::bytes(training.pictures.image(i));
      EXPECT_TRUE(std::ranges::equal(picture, plain.image(i))) << id;
      training.encrypt(picture);
      EXPECT_EQ(picture, test::bytes(encrypted.picture(i))) << id;
    }
  }
}

TEST(SchemeTraining, NoiseDiffersBetweenPictures) {
  auto plain = pictures(20);
  std::ranges::fill(plain.pictures.pixels(), uint8_t{128});
  const auto noisy = encrypted_training(scheme("noise"), plain, split_of(plain.size()));
  EXPECT_FALSE(noisy.encrypt);
  EXPECT_FALSE(std::ranges::equal(noisy.pictures.image(0), noisy.pictures.image(1)));
}

TEST(SchemeTraining, RefusesBlocksThatDoNotFitThePictures) {
  auto s = scheme("le");
  s.options.block_size = 5;
  test::expect_error(ErrorCode::InvalidArgument, {"scheme.block_size is 5", "32x32"},
                     [&] { encrypt_pictures(s, pictures(20).pictures); });
}

TEST(SchemeTraining, LabelsNameTheScheme) {
  EXPECT_EQ(scheme("le").label(), "le");
  EXPECT_EQ(scheme("pe").label(), "pe-same");
  EXPECT_EQ(scheme("pe", true).label(), "pe-independent");
  auto published = scheme("etc");
  published.options.variant = true;
  EXPECT_EQ(published.label(), "etc-as-published");
  auto shuffled = scheme("pe", true);
  shuffled.options.variant = true;
  shuffled.options.block_size = 8;  // which pe does not read
  shuffled.key_seed = 2;
  EXPECT_EQ(shuffled.label(), "pe-independent-shuffled-seed2");
  auto blocks = scheme("le");
  blocks.options.block_size = 8;
  EXPECT_EQ(blocks.label(), "le-block8");
  auto noise = scheme("noise");
  noise.options.strength = 64;
  EXPECT_EQ(noise.label(), "noise");
  noise.options.strength = 20;
  EXPECT_EQ(noise.label(), "noise-strength20.0");
}

TEST(Gan, DiscriminatorsAreConstantsOfTheGeneratorsLoss) {
  torch::manual_seed(4);
  model::Card card;
  card.class_names = {"a", "b"};
  card.height = card.width = 16;
  card.architecture = "resnet";
  card.depth = 8;
  auto psi = nn::make_model(card);
  psi.net->eval();
  for (auto& p : psi.net->parameters()) p.set_requires_grad(false);
  card.role = model::Role::Transform;
  card.architecture = "unet";
  card.base_width = 2;
  const auto phi = std::make_shared<nn::FeatureExtractor>("relu1_1");
  const auto x = torch::rand({4, 3, 16, 16});
  const auto y = torch::tensor({0, 1, 0, 1});
  // The weight of the adversarial term moves the generators' gradient and leaves the
  // discriminators' alone.
  const auto gradients = [&](double adversarial) {
    torch::manual_seed(4);
    GanOptions options;
    options.discriminator_width = 4;
    options.adversarial_weight = adversarial;
    GanTask task(nn::make_model(card), psi, phi, options);
    task.model().net->train();
    torch::manual_seed(9);
    task.training_losses({x, y, {}}, {}).total.backward();
    std::vector<torch::Tensor> judge, generator;
    for (const auto& p : task.auxiliary()->named_parameters()) {
      if (p.key().rfind("judge", 0) == 0) judge.push_back(p.value().grad().clone());
    }
    for (const auto& p : task.model().net->parameters()) generator.push_back(p.grad().clone());
    return std::pair(judge, generator);
  };
  const auto [judge0, generator0] = gradients(0);
  const auto [judge1, generator1] = gradients(1);
  ASSERT_FALSE(judge0.empty());
  for (size_t i = 0; i < judge0.size(); ++i) EXPECT_TRUE(torch::equal(judge0[i], judge1[i]));
  bool changed = false;
  for (size_t i = 0; i < generator0.size(); ++i)
    changed |= !torch::allclose(generator0[i], generator1[i]);
  EXPECT_TRUE(changed);
}

}  // namespace
}  // namespace veilnet::train
