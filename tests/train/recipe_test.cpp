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
