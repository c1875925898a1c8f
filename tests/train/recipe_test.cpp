#include "train/recipe.h"

#include "support.h"

namespace veilnet::train {
namespace {

Recipe read(const std::string& toml, Subject subject = Subject::Classifier) {
  auto config = Config::parse(toml, "test");
  return read_recipe(config, subject);
}

TEST(Recipe, PaperIsThePublishedRecipeForEverySubject) {
  for (const auto& [table, subject] : {std::pair{"classifier", Subject::Classifier},
                                       {"transform", Subject::Transform},
                                       {"attack", Subject::Inverse}}) {
    const auto r = read(std::string("[") + table + "]\nrecipe = \"paper\"", subject);
    EXPECT_EQ(r.epochs, 200);
    EXPECT_EQ(r.batch_size, 128);
    EXPECT_EQ(r.optimizer, "sgd");
    EXPECT_EQ(r.momentum, 0.9);
    EXPECT_FALSE(r.nesterov);
    EXPECT_EQ(r.weight_decay, 5e-4);
    EXPECT_EQ(r.label_smoothing, 0);
    EXPECT_EQ(r.select, "lowest_validation_loss");
    EXPECT_EQ(r.crop_padding, subject == Subject::Inverse ? 0 : 4);
    EXPECT_TRUE(r.flip);
    const auto lr_in_epoch = [&](int64_t epoch) { return learning_rate(r, epoch * 10, 2000, 10); };
    EXPECT_DOUBLE_EQ(lr_in_epoch(0), 0.1);
    EXPECT_DOUBLE_EQ(lr_in_epoch(59), 0.1);
    EXPECT_DOUBLE_EQ(lr_in_epoch(60), 0.02);
    EXPECT_DOUBLE_EQ(lr_in_epoch(120), 0.004);
    EXPECT_NEAR(lr_in_epoch(160), 0.0008, 1e-15);
  }
}

TEST(Recipe, OneCycleRisesAndFalls) {
  const auto r = read("[classifier]\nlr = 1.0\nwarmup = 0.25");
  EXPECT_NEAR(learning_rate(r, 0, 100, 10), 0.04, 1e-12);
  EXPECT_NEAR(learning_rate(r, 25, 100, 10), 1.0, 1e-12);
  EXPECT_LT(learning_rate(r, 99, 100, 10), 0.01);
  for (int64_t step = 1; step < 100; ++step) {
    const double change = learning_rate(r, step, 100, 10) - learning_rate(r, step - 1, 100, 10);
    EXPECT_TRUE(step <= 25 ? change > 0 : change < 0) << step;
  }
}

// The records of CIFAR-10 and of Fashion-MNIST were made with what `quick` says of itself.
TEST(Recipe, LargeSetsAreTrainedAsEver) {
  for (const auto subject : {Subject::Classifier, Subject::Transform, Subject::Inverse}) {
    for (const int64_t pictures : {45'000, 47'500, 54'000}) {
      const auto before = read("", subject);
      auto r = before;
      fit_to(r, pictures);
      EXPECT_EQ(settings_of(r, ""), settings_of(before, ""));
    }
  }
}

TEST(Recipe, KeysWithoutCutoutStay) {
  EXPECT_FALSE(settings_of(read(""), "").contains("cutout"));
  const auto r = read("[classifier]\ncutout = 8\n");
  EXPECT_EQ(settings_of(r, "").at("cutout"), "8");
  EXPECT_EQ(r.augmentation()->cutout, 8);
}

TEST(Recipe, SmallSetsGetMoreEpochsOfSmallerBatches) {
  const auto before = read("");
  auto r = before;
  fit_to(r, 430);
  EXPECT_EQ(r.batch_size, 32);
  EXPECT_DOUBLE_EQ(r.lr, before.lr / 4);
  EXPECT_EQ(r.epochs, 77);  // of 13 steps
  const auto once = settings_of(r, "");
  fit_to(r, 430);
  EXPECT_EQ(settings_of(r, ""), once) << "fitted is fitted";
  EXPECT_EQ(epochs_for(10, 150, r, 430), 12);
  EXPECT_EQ(epochs_for(10, 0, r, 430), 10);
}

TEST(Recipe, WhatTheConfigurationSaysIsNotFitted) {
  auto r = read("[classifier]\nepochs = 6\nbatch_size = 100");
  fit_to(r, 430);
  EXPECT_EQ(r.epochs, 6);
  EXPECT_EQ(r.batch_size, 100);
  auto paper = read("[classifier]\nrecipe = \"paper\"");
  fit_to(paper, 430);
  EXPECT_EQ(paper.epochs, 200);
  auto asked = read("[classifier]\nepochs = 6\nleast_steps = 50\nbatch_size = 43");
  fit_to(asked, 430);
  EXPECT_EQ(asked.epochs, 6);
  asked.least_steps = 61;
  fit_to(asked, 430);
  EXPECT_EQ(asked.epochs, 7);
}

TEST(Recipe, AGivenRateStands) {
  auto r = read("[classifier]\nlr = 0.3");
  fit_to(r, 430);
  EXPECT_EQ(r.batch_size, 32);
  EXPECT_EQ(r.lr, 0.3);
  auto asked = read("[classifier]\nlr = 0.3\nscale_lr = true");
  fit_to(asked, 430);
  EXPECT_EQ(asked.lr, 0.3 / 4);
}

TEST(Recipe, SaysWhatWasFitted) {
  const auto before = read("");
  auto r = before;
  fit_to(r, 430);
  EXPECT_EQ(fitted(before, r), "batch 32, rate 0.075, 77 epochs");
  EXPECT_EQ(fitted(before, before), "");
}

TEST(Recipe, AVggIsTrainedAtARateThatItTakes) {
  const auto rate = [](const std::string& text) {
    auto config = Config::parse(text, "x");
    return read_recipe(config, Subject::Classifier, "vgg16_bn").lr;
  };
  EXPECT_EQ(rate(""), kVggRate);
  EXPECT_EQ(rate("[classifier]\nlr = 0.2"), 0.2);
  EXPECT_EQ(rate("[classifier]\nrecipe = 'paper'"), 0.1) << "as published";
}

TEST(Recipe, RefusesValuesOutOfRange) {
  test::expect_error(ErrorCode::InvalidArgument, {"classifier.epochs", "0"},
                     [] { read("[classifier]\nepochs = 0"); });
  test::expect_error(ErrorCode::InvalidArgument, {"classifier.optimizer", "rmsprop", "adamw"},
                     [] { read("[classifier]\noptimizer = \"rmsprop\""); });
  test::expect_error(ErrorCode::InvalidArgument, {"classifier.recipe", "fast", "paper"},
                     [] { read("[classifier]\nrecipe = \"fast\""); });
}

}  // namespace
}  // namespace veilnet::train
