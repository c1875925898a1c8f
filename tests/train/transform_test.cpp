#include "train/tasks/transform.h"

#include <torch/torch.h>

#include "support.h"

namespace veilnet::train {
namespace {

struct Parts {
  nn::Model h, psi;
  std::shared_ptr<nn::FeatureExtractor> phi = std::make_shared<nn::FeatureExtractor>("relu1_1");
  torch::Tensor pictures = torch::rand({4, 3, 16, 16}), labels = torch::tensor({0, 1, 0, 1});

  Parts() {
    torch::manual_seed(2);
    model::Card card;
    card.class_names = {"a", "b"};
    card.height = card.width = 16;
    card.architecture = "resnet";
    card.depth = 8;
    psi = nn::make_model(card);
    psi.net->eval();
    for (auto& p : psi.net->parameters()) p.set_requires_grad(false);
    card.role = model::Role::Transform;
    card.architecture = "unet";
    card.base_width = 2;
    h = nn::make_model(card);
    h.net->train();
  }
};

TransformOptions options_of(const std::string& text) {
  auto config = Config::parse(text, "test.toml");
  const auto recipe = config.get_choice("transform.recipe", "quick", {"paper", "quick"});
  return read_transform_options(config, recipe);
}

TEST(TransformTask, PaperRecipeTrainsNothingBesideH) {
  Parts parts;
  TransformTask task(parts.h, parts.psi, parts.phi, options_of("[transform]\nrecipe = 'paper'\n"));
  EXPECT_EQ(task.auxiliary(), nullptr);
  const auto losses = task.training_losses({parts.pictures, parts.labels, {}}, {});
  EXPECT_EQ(losses.parts.size(), 2u) << "class_loss and feature_loss alone";
  losses.total.backward();
  for (const auto& p : parts.h.net->named_parameters())
    EXPECT_TRUE(p.value().grad().defined()) << p.key();
}

TEST(TransformTask, FrozenEncoderGetsNoGradient) {
  Parts parts;
  TransformTask task(parts.h, parts.psi, parts.phi,
                     options_of("[transform]\nfreeze_encoder = true\n"));
  EXPECT_EQ(task.auxiliary(), nullptr);
  task.training_losses({parts.pictures, parts.labels, {}}, {}).total.backward();
  for (const auto& p : parts.h.net->named_parameters()) {
    const bool encoder = p.key().rfind("conv", 0) == 0 && p.key().rfind("conv_1x1", 0) != 0;
    EXPECT_EQ(p.value().grad().defined(), !encoder) << p.key();
  }
}

TEST(TransformOptions, RefusesAFrozenEncoderThatWasNeverTrained) {
  test::expect_error(ErrorCode::InvalidArgument, {"freeze_encoder", "encoder_epochs 0"},
                     [] { options_of("[transform]\nrecipe = 'paper'\nfreeze_encoder = true\n"); });
}

}  // namespace
}  // namespace veilnet::train
