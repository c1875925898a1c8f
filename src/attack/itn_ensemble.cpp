// Several inverse networks; the public transformation says which one's guess fits best.
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "attack/inverse.h"
#include "attack/table.h"
#include "nn/infer.h"

namespace veilnet::attack {
namespace {

constexpr int kMembers = 3;

// Sum of squared differences of two pictures.
int64_t distance(std::span<const uint8_t> one, std::span<const uint8_t> other) {
  int64_t sum = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    const int64_t d = one[i] - other[i];
    sum += d * d;
  }
  return sum;
}

Outcome run_ensemble(const Materials& m, const Setting& s) {
  std::vector<image::Batch> guesses, seen;
  for (int member = 0; member < kMembers; ++member) {
    auto setting = s;
    setting.recipe.seed += static_cast<uint64_t>(member);
    if (member > 0) {
      const auto number = std::to_string(member);
      setting.run.folder /= "member-" + number;
      setting.run.key += "-" + number;
      setting.run.resume = std::filesystem::exists(setting.run.folder / "checkpoint" / "state.pt");
    }
    const auto inverse = inverse_from_pairs(m, setting, "unet");
    guesses.push_back(nn::transform(inverse, m.attacked));
    seen.push_back(nn::transform(*m.network, guesses.back()));
  }
  image::Batch best(m.attacked.height(), m.attacked.width());
  for (size_t i = 0; i < m.attacked.count(); ++i) {
    size_t nearest = 0;
    for (size_t k = 1; k < guesses.size(); ++k)
      if (distance(seen[k].picture(i), m.attacked.picture(i)) <
          distance(seen[nearest].picture(i), m.attacked.picture(i)))
        nearest = k;
    best.append(guesses[nearest].image(i));
  }
  return {std::move(best),
          {{"networks", static_cast<int64_t>(kMembers)},
           {"training pairs", static_cast<int64_t>(count_known(m))},
           {"recipe", train::describe(s.recipe)}},
          true};
}

}  // namespace

Attack itn_ensemble() {
  return {"itn-ensemble",
          "Trains three inverse networks and takes, for every picture, the guess that the public "
          "network turns into a picture nearest to the protected one.",
          [](const Target& t) -> Against {
            if (!t.network) return "there is no public network to judge a guess";
            return kPublicTransform;
          },
          run_ensemble, "itn-ensemble"};
}

}  // namespace veilnet::attack
