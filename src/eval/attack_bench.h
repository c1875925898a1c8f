// What all attacks of one experiment share: the pictures, the victims, who judges, and where things
// are kept.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "attack/suite.h"
#include "eval/attack_report.h"
#include "eval/leak.h"
#include "experiment/models.h"
#include "image/transport.h"

namespace veilnet::eval {

/// What an attack is run with besides the bench's own.
struct Variation {
  const std::vector<uint8_t>* attacked = nullptr;  ///< protected pictures as they arrive
  const attack::Sets* sets = nullptr;
  int64_t epochs = 0;                 ///< 0: the budget's
  std::string training = "training";  ///< folder of its training
};

/// A bench holds every secret; attacks get what attack::grant hands out of it.
class AttackBench {
 public:
  /// Attacked are test pictures; the attacker's own and the observed ones are halves of the
  /// training set, so that no picture has two parts. Unrelated pictures are the synthetic ones,
  /// where the data are others of their size.
  /// @throws as run_attacks.
  explicit AttackBench(const experiment::Experiment& experiment);
  AttackBench(const AttackBench&) = delete;  // judges point into it

  attack::Outcome attack(const attack::Victim& victim, const attack::Attack& attack,
                         const attack::ThreatModel& model, const Variation& variation = {}) const;

  /// The threat model, or why the attack makes no sense or lacks what it needs.
  std::variant<attack::ThreatModel, std::string> against(const attack::Victim& victim,
                                                         const attack::Attack& attack) const;

  /// The service's classifier: psi for networks, the one that learned from the scheme's pictures
  /// else; absent when untrained.
  std::optional<nn::Model> service(const attack::Victim& victim) const;
  std::vector<uint8_t> protected_pictures(const attack::Victim& victim) const;

  /// What a figure about this victim depends on besides what its own stage adds.
  experiment::Stage measuring_stage(const attack::Victim& victim, const std::string& name,
                                    int version) const;
  /// Calls `work` with `run` set to that of a training in <folder(victim, place)>/<training>.
  void in_training(const attack::Victim& victim, const std::string& place,
                   const std::string& training, const experiment::Stage& stage, train::Run& run,
                   model::Role role, const std::function<void()>& work) const;
  std::filesystem::path folder(const attack::Victim& victim, const std::string& name) const;

  std::map<std::string, std::string> inputs(const attack::Victim& victim) const;

  experiment::Experiment e;
  experiment::Workspace w;
  attack::Budget budget;
  std::filesystem::path root;  ///< <experiment>/attacks/<budget>
  attack::Sets sets;
  std::optional<nn::Model> psi;  ///< where its training is finished
  experiment::Phi phi;           ///< where there is one
  Judges judges;
  std::vector<attack::Victim> victims;
  std::vector<attack::Attack> attacks;
  std::vector<image::Transport> transports;

 private:
  experiment::Stage training_stage(const attack::Victim& victim, const std::string& id,
                                   const attack::ThreatModel& model, const attack::Setting& setting,
                                   const Variation& variation) const;
};

nlohmann::json to_json(const attack::Budget& budget);
nlohmann::json to_json(const attack::ThreatModel& model);

/// At most `count` of the positions start, start + step, ... below `available`.
std::vector<uint32_t> positions(size_t count, size_t available, size_t step = 1, size_t start = 0);
/// Picture i of an NHWC block whose pictures have the size of `like`.
image::Image picture_at(const data::Dataset& like, std::span<const uint8_t> images_nhwc, size_t i);

}  // namespace veilnet::eval
