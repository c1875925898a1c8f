// What every cell of a matrix is measured with. Internal to this folder.
//
// A bench holds every secret; attacks get what measure::grant hands out of it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "attack/attack.h"
#include "core/shard.h"
#include "experiment/models.h"
#include "image/transport.h"
#include "measure/grant.h"
#include "measure/measures.h"
#include "protection/protection.h"
#include "record/matrix.h"

namespace veilnet::experiment {

/// One protection of the matrix.
struct Row {
  std::unique_ptr<protection::Protection> protection;
  record::Protection record;         ///< what is said of it
  std::optional<nn::Model> service;  ///< names its pictures; absent when untrained
  Experiment point;                  ///< with the attacker's recipe
};

/// What an attack is run with besides the bench's own.
struct Variation {
  const image::Batch* attacked = nullptr;  ///< protected pictures as they arrive
  /// Through which all pictures go that he learns from; else he learns from what is sent.
  const image::Transport* transport = nullptr;
  const measure::Sets* sets = nullptr;
  int64_t epochs = 0;                 ///< 0: the recipe's
  std::string training = "training";  ///< folder of its training
};

class Bench {
 public:
  /// @param page folder of matrix.json, report.html and pictures. @param cells folder of the cells.
  Bench(const Experiment& experiment, const Workspace& workspace, attack::Budget budget,
        measure::Sets sets, std::filesystem::path page, std::filesystem::path cells);
  Bench(const Bench&) = delete;  // attacks and judges point into it

  std::vector<Row> rows;
  std::vector<const attack::Attack*> attacks;  ///< in the order of the table
  bool writes_page = true;
  bool extras = false;  ///< transport, attributes, budget curves, as [attacks] says
  Shard shard;          ///< of the cells, and of the attributes and curves of each row

  /// Measures every cell, keeps what is kept and writes the page. @param files that the page's
  /// folder may hold besides matrix.json, report.html and pictures.
  /// A part of them is only kept, for a bench that measures all: no page, and `frame` comes back.
  record::Matrix run(record::Matrix frame, std::vector<std::string> files);

 private:
  void measure_shard() const;
  /// Tries the trainings of the attacks, for e_.rehearsal.
  void rehearse() const;
  using Against = std::variant<attack::ThreatModel, std::string>;

  attack::Outcome attack(const Row& row, const attack::Attack& attack,
                         const attack::ThreatModel& model, const Variation& variation = {}) const;
  /// The threat model, or why the attack makes no sense or lacks what it needs.
  Against against(const Row& row, const attack::Attack& attack) const;

  record::Cell cell(const Row& row, const attack::Attack& attack) const;
  record::Cell measure_cell(const Row& row, const attack::Attack& attack,
                            const attack::ThreatModel& model, record::Cell cell) const;
  void keep_pictures(const Row& row, const record::Cell& cell, const image::Batch& recovered,
                     const std::vector<double>& feature_distances) const;
  record::Figures figures(const image::Batch& recovered) const;

  /// Of what is measured of a row beside the cells.
  Stage extra_stage(const Row& row, const char* name) const;
  train::Recipe attribute_recipe(const Row& row) const;
  std::string phi_text() const;
  std::vector<record::Attribute> kept_attributes(const Row& row) const;
  std::vector<record::Curve> kept_curves(const Row& row) const;
  const attack::Attack* strongest(const Row& row, const std::vector<record::Cell>& cells) const;
  std::vector<record::Transport> transport(const Row& row,
                                           const std::vector<record::Cell>& cells) const;
  std::vector<record::Attribute> attributes(const Row& row) const;
  std::vector<record::Curve> curves(const Row& row) const;

  std::filesystem::path folder(const Row& row, const std::string& name) const;
  std::map<std::string, std::string> inputs(const Row& row) const;
  Stage training_stage(const Row& row, const attack::Attack& attack,
                       const attack::ThreatModel& model, const train::Recipe& recipe,
                       const measure::Sets& sets) const;
  Stage measuring_stage(const Row& row, const std::string& name, int version) const;
  void in_training(const std::filesystem::path& folder, const std::string& title,
                   const Stage& stage, train::Run& run, model::Role role,
                   const std::function<void()>& work) const;
  /// A record that is kept in `file` of a stage's folder; `make` is called unless it is there.
  template <class Record>
  Record kept(const Row& row, const std::string& name, Stage stage, const std::string& file,
              const std::function<Record()>& make) const;

  const Experiment& e_;
  const Workspace& w_;
  attack::Budget budget_;
  measure::Sets sets_;
  std::filesystem::path page_, cells_;
  std::optional<nn::Model> psi_;  ///< where its training is finished
  std::optional<Phi> phi_;        ///< where there is one
  measure::Judges judges_;
  std::vector<image::Transport> transports_;
};

/// At most `count` of the positions start, start + step, ... below `available`.
std::vector<uint32_t> positions(size_t count, size_t available, size_t step = 1, size_t start = 0);
data::Dataset subset(const data::Dataset& from, std::span<const uint32_t> positions);

}  // namespace veilnet::experiment
