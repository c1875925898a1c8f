#include "train/tasks/transform.h"

#include <map>
#include <sstream>
#include <torch/torch.h>

#include "support.h"
#include "train/step.h"
#include "train/tasks/losses.h"

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
                     options_of("[transform]\nfreeze_encoder = true\ndrive = 'steps'\n"));
  EXPECT_EQ(task.auxiliary(), nullptr);
  task.training_losses({parts.pictures, parts.labels, {}}, {}).total.backward();
  for (const auto& p : parts.h.net->named_parameters()) {
    const bool encoder = p.key().rfind("conv", 0) == 0 && p.key().rfind("conv_1x1", 0) != 0;
    EXPECT_EQ(p.value().grad().defined(), !encoder) << p.key();
  }
}

TEST(TransformTask, ShowsPsiNoiseAtTheStartAlone) {
  Parts parts;
  parts.h.net->eval();  // batch statistics would make a picture's loss depend on the others
  const auto class_loss = [&](double noise, const StepInfo& info) {
    auto options = options_of(
        "[transform]\nfreeze_encoder = true\ndrive = 'steps'\nalpha_start_share = 0.5\n");
    options.start_noise = noise;
    torch::NoGradGuard no_grad;
    const auto mine = [&](const torch::Tensor& x) {
      return x.slice(0, info.part.first, c10::nullopt, info.part.step);
    };
    return TransformTask(parts.h, parts.psi, parts.phi, options)
        .training_losses({mine(parts.pictures), mine(parts.labels), {}}, info)
        .parts.front()
        .second.item<double>();
  };
  const double with = class_loss(0.3, {3, 10, 10});
  EXPECT_NE(with, class_loss(0, {3, 10, 10}));
  EXPECT_NE(with, class_loss(0.3, {4, 10, 10}));
  EXPECT_EQ(with, class_loss(0.3, {3, 10, 10})) << "a training that is resumed";
  EXPECT_EQ(class_loss(0.3, {5, 10, 10}), class_loss(0, {5, 10, 10}));
  StepInfo of_other_seed{3, 10, 10};
  of_other_seed.seed += 1;
  EXPECT_NE(with, class_loss(0.3, of_other_seed));
  const auto half = [](int64_t first) {
    return StepInfo{
        .step = 3, .total_steps = 10, .steps_per_epoch = 10, .batch_size = 4, .part = {first, 2}};
  };
  const double divided = (class_loss(0.3, half(0)) + class_loss(0.3, half(1))) / 2;
  EXPECT_NEAR(divided, with, 1e-6);
}

TEST(TransformOptions, TheQuickRecipeStartsWithNoiseUnlessSaidOtherwise) {
  EXPECT_EQ(options_of("").start_noise, 0.2);
  EXPECT_EQ(options_of("[transform]\nstart_noise = 0\n").start_noise, 0);
  EXPECT_EQ(options_of("[transform]\nkind = 'coded'\n").start_noise, 0.2);
  EXPECT_EQ(options_of("[transform]\nrecipe = 'paper'\nkind = 'coded'\n").start_noise, 0);
  EXPECT_EQ(options_of("[transform]\nstart_noise = 0.3\n").start_noise, 0.3);
}

TEST(TransformTask, ServesSeveralClassifiersByTheirAnswersToPlainPictures) {
  Parts parts;
  auto card = parts.psi.card;
  card.class_names = {"x", "y", "z"};
  const auto other = [&] {
    torch::manual_seed(9);
    auto model = nn::make_model(card);
    model.net->eval();
    for (auto& p : model.net->parameters()) p.set_requires_grad(false);
    return model;
  };
  auto options = options_of("[transform]\nrecipe = 'paper'\nbottleneck_weight = 1\n");
  parts.h.net->eval();  // the same picture whoever looks
  std::vector<nn::Model> further;
  further.push_back(other());
  TransformTask task(parts.h, parts.psi, parts.phi, options, nullptr, std::move(further));
  const auto losses = task.training_losses({parts.pictures, parts.labels, {}}, {});
  torch::NoGradGuard no_grad;
  const auto shown = nn::transform(parts.h, parts.pictures);
  const auto second = other();
  const double expected = (classification_loss(nn::classify(parts.psi, shown), parts.labels) +
                           classification_loss(nn::classify(second, shown),
                                               nn::classify(second, parts.pictures).argmax(1)))
                              .item<double>() /
                          2;
  EXPECT_NEAR(losses.parts.front().second.item<double>(), expected, 1e-5);
  const auto validated = task.validation_means({parts.pictures, parts.labels, {}}, {});
  const std::map<std::string, double> means(validated.begin(), validated.end());
  EXPECT_NEAR(means.at("class_loss"), expected, 1e-5) << "the kept epoch is chosen by all";
  const auto heads = task.auxiliary()->parameters();
  EXPECT_EQ(heads.front().size(0), 5) << "two classes of psi, three of the other";
}

// Adam's first step moves every value by its rate, whatever the gradient.
TEST(TransformTask, TheCodeLearnsFasterByTheFactorThatIsSaid) {
  Parts parts;
  auto card = parts.h.card;
  card.architecture = "coded";
  card.bits = 3;
  for (const double factor : {1.0, 10.0}) {
    torch::manual_seed(3);
    const auto h = nn::make_model(card);
    auto options = options_of("[transform]\nkind = 'coded'\ndrive = 'steps'\n");
    options.code_rate = factor;
    TransformTask task(h, parts.psi, parts.phi, options);
    std::map<std::string, torch::Tensor> before;
    for (const auto& p : h.net->named_parameters()) before[p.key()] = p.value().detach().clone();
    Recipe recipe;
    recipe.optimizer = "adamw";
    recipe.lr = 1e-3;
    recipe.weight_decay = 0;
    const Compute compute;
    Step(task, recipe, compute).take({parts.pictures, parts.labels, {}}, {0, 10, 10});
    const auto moved = [&](const char* name) {
      const auto parameters = h.net->named_parameters();
      return (parameters[name].detach() - before.at(name)).abs().max().item<double>();
    };
    EXPECT_NEAR(moved("start.weight"), 1e-3, 1e-5);
    EXPECT_NEAR(moved("code.weight"), factor * 1e-3, factor * 1e-5);
    EXPECT_NEAR(moved("code_norm.weight"), factor * 1e-3, factor * 1e-5);
  }
}

TEST(TransformOptions, RefusesAFrozenEncoderThatWasNeverTrained) {
  test::expect_error(ErrorCode::InvalidArgument, {"freeze_encoder", "encoder_epochs 0"},
                     [] { options_of("[transform]\nrecipe = 'paper'\nfreeze_encoder = true\n"); });
}

// alpha in force at each step while the judge says `margin(look)`, looks counted from 1.
std::vector<double> driven_alphas(TransformTask& task, const Parts& parts, int64_t first,
                                  int64_t last, const std::function<double(int)>& margin) {
  int look = 0;
  task.judge_by([&](const nn::Model& h) {
    EXPECT_FALSE(h.net->is_training());
    return margin(++look);
  });
  std::vector<double> alphas;
  for (int64_t step = first; step < last; ++step) {
    const auto losses =
        task.training_losses({parts.pictures, parts.labels, {}}, {step, 1000, 1000});
    EXPECT_TRUE(parts.h.net->is_training());
    for (const auto& [name, value] : losses.parts)
      if (name == "alpha") alphas.push_back(value.item<double>());
  }
  return alphas;
}

TEST(TransformTask, ProtectionDrivesAlpha) {
  Parts parts;
  const auto options = options_of(
      "[transform]\nrecipe = 'paper'\nalpha = 0.01\nalpha_start = 0.05\n"
      "drive = 'protection'\n");
  TransformTask task(parts.h, parts.psi, parts.phi, options);
  // A look every 20th of 1000 steps: shown twice, then better, just hidden, and hidden well.
  const auto alphas = driven_alphas(task, parts, 0, 400, [](int look) {
    return look <= 2 ? 0.5 : look == 3 ? 0.9 : look == 4 ? 1.3 : 3.0;
  });
  ASSERT_EQ(alphas.size(), 400u);
  EXPECT_DOUBLE_EQ(alphas[0], 0.05);
  EXPECT_DOUBLE_EQ(alphas[19], 0.05);
  EXPECT_DOUBLE_EQ(alphas[20], 0.05) << "better than the nothing before";
  EXPECT_DOUBLE_EQ(alphas[40], 0.1);
  EXPECT_DOUBLE_EQ(alphas[60], 0.1) << "waits while it gets better";
  EXPECT_DOUBLE_EQ(alphas[80], 0.1) << "held";
  EXPECT_DOUBLE_EQ(alphas[100], 0.06);
  EXPECT_DOUBLE_EQ(alphas[399], 0.01) << "not below transform.alpha";
  TransformTask shown(parts.h, parts.psi, parts.phi, options);
  EXPECT_DOUBLE_EQ(driven_alphas(shown, parts, 0, 160, [](int) { return 0.1; }).back(), 1)
      << "at most";
}

TEST(TransformTask, WhatDrivesAlphaIsPartOfTheStateThatACheckpointKeeps) {
  Parts parts;
  const auto options = options_of("[transform]\ndrive = 'protection'\n");
  TransformTask task(parts.h, parts.psi, parts.phi, options);
  const auto before = driven_alphas(task, parts, 0, 45, [](int) { return 0.5; });
  std::stringstream kept;
  torch::save(task.auxiliary(), kept);
  TransformTask again(parts.h, parts.psi, parts.phi, options);
  auto auxiliary = again.auxiliary();
  torch::load(auxiliary, kept);
  EXPECT_DOUBLE_EQ(driven_alphas(again, parts, 45, 46, [](int) { return 0.5; }).back(),
                   before.back());
}

TEST(TransformOptions, ProtectionDrivesAlphaUnlessSaidOtherwise) {
  EXPECT_EQ(options_of("").drive, "protection");
  EXPECT_EQ(options_of("[transform]\nalpha = 0\n").drive, "steps") << "nothing to drive";
  EXPECT_EQ(options_of("[transform]\ndrive = 'steps'\n").drive, "steps");
  EXPECT_EQ(options_of("[transform]\nrecipe = 'paper'\n").drive, "steps");
  test::expect_error(ErrorCode::InvalidArgument, {"transform.drive", "luck", "protection"},
                     [] { options_of("[transform]\ndrive = 'luck'\n"); });
}

// Gradient reversal: the inverse network learns to rebuild, h to prevent it.
TEST(TransformTask, AnAdversaryLearnsOneWayAndHTheOther) {
  Parts parts;
  auto options = options_of("[transform]\nrecipe = 'paper'\nalpha = 0\nadversary_weight = 10\n");
  TransformTask task(parts.h, parts.psi, parts.phi, options);
  ASSERT_NE(task.auxiliary(), nullptr);
  // Enough pixels at the bottleneck: statistics over four values magnify the processor's rounding.
  const auto pictures = torch::rand({16, 3, 32, 32}), labels = torch::arange(16) % 2;
  const auto gradient_of_h = [&](double weight) {
    options.adversary_weight = weight;
    torch::manual_seed(3);
    Parts fresh;
    TransformTask one(fresh.h, fresh.psi, fresh.phi, options);
    const auto losses = one.training_losses({pictures, labels, {}}, {});
    losses.total.backward();
    if (weight > 0)
      for (const auto& p : one.auxiliary()->parameters()) EXPECT_TRUE(p.grad().defined());
    return fresh.h.net->parameters().back().grad().clone();
  };
  const auto without = gradient_of_h(0), once = gradient_of_h(100) - without,
             tenfold = gradient_of_h(1000) - without;
  EXPECT_GT(once.abs().max().item<double>(), 1e-9);
  EXPECT_LT((tenfold - 10 * once).norm().item<double>(), 1e-2 * tenfold.norm().item<double>());

  // What would help the inverse network, the other way.
  torch::manual_seed(3);
  Parts fresh;
  TransformTask one(fresh.h, fresh.psi, fresh.phi, options);
  auto* adversary = one.auxiliary()->named_children()["adversary"]->as<nn::UNet>();
  ASSERT_NE(adversary, nullptr);
  const auto seen = torch::sigmoid(fresh.h.net->forward(pictures));
  torch::mse_loss(torch::sigmoid(adversary->forward(seen)), pictures).backward();
  const auto help = fresh.h.net->parameters().back().grad();
  EXPECT_LT((once + 100 * help).norm().item<double>(), 2e-2 * once.norm().item<double>());
}

TEST(TransformTask, RivalsAreNoPartOfTheUsualSettings) {
  auto options = options_of("[transform]\nrecipe = 'paper'\n");
  EXPECT_TRUE(added_settings_of(options, "transform.").empty());
  const auto usual = veilnet::settings_of(options, "transform.");
  EXPECT_FALSE(usual.contains("transform.adversary_weight"));
  const std::string rival = "[transform]\nrecipe = 'paper'\ncorrelation_weight = 1\n";
  EXPECT_EQ(added_settings_of(options_of(rival), "transform."),
            (Settings{{"transform.correlation_weight", "1"}}));
}

}  // namespace
}  // namespace veilnet::train
