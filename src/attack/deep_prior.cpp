// A network that has learned nothing draws the picture: its architecture is the prior (deep image
// prior, Ulyanov et al., arXiv 1711.10925), the public transformation the judge.
#include <torch/utils.h>

#include "attack/inverse.h"
#include "attack/table.h"
#include "attack/tuning.h"

namespace veilnet::attack {
namespace {

// It begins with nothing, so it gets more steps than attacks that begin with a guess.
constexpr int64_t kTimesSteps = 5;

Outcome run_prior(const Materials& m, const Setting& s) {
  const int64_t height = m.attacked.height(), width = m.attacked.width();
  torch::manual_seed(s.recipe.seed);
  const auto network = nn::make_model(inverse_card(m, s, "unet"));
  const auto noise = 0.1 * torch::rand({1, 3, height, width});
  const bool enough_pixels = (height + 15) / 16 * ((width + 15) / 16) > 1;  // at the lowest level
  return tune_each(m, s, {network, noise, enough_pixels}, kTimesSteps * s.budget.optimise_steps,
                   {1e-3, 1e-2});
}

}  // namespace

Attack deep_prior() {
  Attack attack{
      "deep-prior",
      "Trains a network for every picture from nothing, until the public network turns what it "
      "draws of noise into the protected picture (deep image prior).",
      through_gradients, [](Materials& m, const Setting& s) { return run_prior(m, s); }};
  attack.picture_by_picture = true;
  return attack;
}

}  // namespace veilnet::attack
