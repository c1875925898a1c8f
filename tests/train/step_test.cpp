#include "train/step.h"

#include <torch/torch.h>

#include "data/sources.h"
#include "support.h"
#include "train/batch_source.h"

namespace veilnet::train {
namespace {

// A classifier whose loss is what the test says at each step.
class Scripted : public Task {
 public:
  explicit Scripted(std::vector<double> losses) : losses_(std::move(losses)) {
    model::Card card;
    card.class_names = {"a", "b"};
    card.height = card.width = 16;
    card.architecture = "resnet";
    card.depth = 8;
    torch::manual_seed(1);
    model_ = nn::make_model(card);
  }
  nn::Model& model() override { return model_; }
  Losses training_losses(const Batch&, const StepInfo& info) override {
    const auto zero = 0 * model_.net->parameters().front().sum();
    const auto loss = zero + losses_.at(static_cast<size_t>(info.step));
    return {loss, {{"part", loss.detach()}}};
  }
  std::vector<std::pair<std::string, double>> validation_means(const Batch&,
                                                               const StepInfo&) override {
    return {};
  }

 private:
  std::vector<double> losses_;
  nn::Model model_;
};

// The loss is read once for many steps; one that was NaN, or too large, in between is noticed.
TEST(Step, NoticesALossThatWasNotFiniteSinceItWasLastRead) {
  for (const double bad : {std::nan(""), 1e7, -1e7, double{INFINITY}}) {
    Scripted task({1, 2, bad, 1, 1});
    const Recipe recipe;
    const Compute compute;
    Step step(task, recipe, compute);
    StepInfo info{0, 5, 5};
    Losses losses;
    const auto take = [&](int steps) {
      for (; steps > 0; --steps, ++info.step) losses = step.take({}, info);
    };
    take(2);
    EXPECT_NO_THROW(step.check(losses, info.step));
    take(2);
    test::expect_error(ErrorCode::Diverged, {"step 4", "1 steps before", "part"},
                       [&] { step.check(losses, info.step); });
    take(1);
    EXPECT_NO_THROW(step.check(losses, info.step)) << "each is reported once";
  }
}

TEST(TrainingSet, GivesPairsThatAreFlippedTogether) {
  const auto plain = data::make_synthetic({3, 20, 10}).train.pictures;
  const data::Pairs pairs(plain, plain);
  data::Split split;
  for (uint32_t i = 0; i < 20; ++i) (i < 16 ? split.train : split.validation).push_back(i);
  Recipe recipe;
  recipe.batch_size = 8;
  recipe.crop_padding = 0;
  const TrainingSet set(pairs, split);
  EXPECT_EQ(set.steps_per_epoch(recipe), 2);
  auto batches = set.batches(recipe, torch::kCPU, 0);
  for (int i = 0; i < 4; ++i) {
    const auto batch = batches.next();
    EXPECT_EQ(batch.pictures.sizes().vec(), (std::vector<int64_t>{8, 3, 32, 32}));
    EXPECT_TRUE(torch::equal(batch.pictures, batch.plain));
    EXPECT_FALSE(batch.labels.defined());
  }
  int64_t seen = 0;
  set.for_each_validation_batch(recipe, torch::kCPU, [&](const Batch& batch) {
    EXPECT_TRUE(torch::equal(batch.pictures, batch.plain));
    seen += batch.pictures.size(0);
  });
  EXPECT_EQ(seen, 4);
}

}  // namespace
}  // namespace veilnet::train
