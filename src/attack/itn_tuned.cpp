// The inverse network, tuned for every picture by what the public transformation says of its guess.
#include "attack/inverse.h"
#include "attack/table.h"
#include "attack/tuning.h"

namespace veilnet::attack {

Attack itn_tuned() {
  Attack attack{
      "itn-tuned",
      "Tunes the weights of itn for every picture, until the public network turns what they "
      "recover into the protected picture.",
      through_gradients,
      [](Materials& m, const Setting& s) {
        const auto inverse = inverse_from_pairs(m, s, "unet");
        auto outcome = tune_each(m, s, {inverse}, s.budget.optimise_steps, {1e-5, 1e-4, 1e-3});
        outcome.spent["start"] = "itn";
        return outcome;
      },
      "itn"};
  attack.picture_by_picture = true;
  return attack;
}

}  // namespace veilnet::attack
