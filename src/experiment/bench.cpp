#include "experiment/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/ranges.h>
#include <map>
#include <set>
#include <spdlog/spdlog.h>

#include "attack/attribute.h"
#include "core/error.h"
#include "core/files.h"
#include "core/version.h"
#include "measure/bound.h"
#include "measure/flags.h"
#include "nn/infer.h"
#include "record/io.h"
#include "report/page.h"
#include "report/pictures.h"

namespace veilnet::experiment {
namespace {

namespace fs = std::filesystem;
using attack::Access;
using attack::Auxiliary;
using attack::Keys;
using attack::Method;
using attack::ThreatModel;

// Raised when the same guesses give other figures.
constexpr int kMeasuringVersion = 1, kAttributeVersion = 1, kTransportVersion = 2;
constexpr size_t kWorstShown = 6, kExamplesShown = 10, kDisputedShown = 4;

record::ThreatModel to_record(const ThreatModel& model) {
  const auto parts = fields(model);
  return {std::string(parts[0].second), std::string(parts[1].second), std::string(parts[2].second),
          std::string(parts[3].second)};
}

// What the attacker of attributes knows the plain versions of: pictures protected by himself, or
// exact pairs under the one key.
ThreatModel attribute_model(Keys keys) {
  if (keys == Keys::Same) return {Method::Public, Access::ExactPairs, keys, Auxiliary::None};
  if (keys == Keys::None)
    return {Method::Public, Access::PublicTransform, keys, Auxiliary::SameDistribution};
  return {Method::Public, Access::CiphertextOnly, keys, Auxiliary::SameDistribution};
}

std::string text(bool bf16) { return bf16 ? "bfloat16" : "float32"; }

double rounded(double value) { return std::round(10 * value) / 10; }

// An inverted picture shows as much.
double median_ssim(const record::Figures& figures) {
  return std::abs(record::distribution(figures, "ssim")->median);
}

image::Batch through(const image::Transport& transport, const image::Batch& sent) {
  image::Batch arrived(sent.height(), sent.width());
  for (size_t i = 0; i < sent.count(); ++i) arrived.append(image::apply(transport, sent.image(i)));
  return arrived;
}

// The attacker learns from pictures as they arrive.
void send(attack::Materials& m, const image::Transport& transport) {
  if (m.run)
    m.run = [run = m.run, transport](const data::Dataset& plain) {
      return through(transport, run(plain));
    };
  if (m.pairs)
    m.pairs = data::Pairs(through(transport, m.pairs->protected_pictures()), m.pairs->plain());
  if (!m.ciphertexts.empty()) m.ciphertexts = through(transport, m.ciphertexts);
}

}  // namespace

std::vector<uint32_t> positions(size_t count, size_t available, size_t step, size_t start) {
  std::vector<uint32_t> out;
  for (size_t i = start; i < available && out.size() < count; i += step)
    out.push_back(static_cast<uint32_t>(i));
  return out;
}

data::Dataset subset(const data::Dataset& from, std::span<const uint32_t> positions) {
  data::Dataset out{from.name, from.class_names, from.pictures.subset(positions), {}};
  for (const auto i : positions) out.labels.push_back(from.labels[i]);
  if (from.other) {
    out.other = data::Labelling{from.other->class_names, {}};
    for (const auto i : positions) out.other->labels.push_back(from.other->labels[i]);
  }
  return out;
}

Bench::Bench(const Experiment& e, const Workspace& w, attack::Budget budget, measure::Sets sets,
             fs::path page, fs::path cells)
    : e_(e),
      w_(w),
      budget_(std::move(budget)),
      sets_(std::move(sets)),
      page_(std::move(page)),
      cells_(std::move(cells)),
      psi_(finished_classifier(e, w)),
      phi_(finished_phi(e, w)) {
  if (!psi_)
    spdlog::info("{} is not trained: no classifier names the reconstructions",
                 e.classifier_folder().string());
  judges_ = {psi_ ? &*psi_ : nullptr, phi_ ? phi_->net : nullptr, e.compute.device};
  for (const auto& text : e.attacks.transports) transports_.push_back(image::transport_from(text));
}

fs::path Bench::folder(const Row& row, const std::string& name) const {
  return cells_ / row.protection->label() / name;
}

std::map<std::string, std::string> Bench::inputs(const Row& row) const {
  return {{"data", w_.data_sha256}, {"protection", sha256_of(row.protection->describe())}};
}

Stage Bench::training_stage(const Row& row, const attack::Attack& attack, const ThreatModel& model,
                            const train::Recipe& recipe, const measure::Sets& sets) const {
  Stage stage{"attack-" + attack.id, attack.version, train::settings_of(recipe, "attack."),
              inputs(row)};
  const auto known =
      model.access == Access::ExactPairs ? sets.observed.size() : sets.auxiliary.size();
  stage.settings.insert({{"compute.precision", text(e_.compute.bf16)},
                         {"attack.width", std::to_string(budget_.width)},
                         {"attacks.known", std::to_string(known)},
                         {"threat model", attack::to_text(model)}});
  if (attack.needs_phi) stage.inputs["phi"] = phi_text();
  return stage;
}

Stage Bench::measuring_stage(const Row& row, const std::string& name, int version) const {
  Stage stage{name, version, train::settings_of(row.point.attack.recipe, "attack."), inputs(row)};
  stage.settings.insert({{"compute.precision", text(e_.compute.bf16)},
                         {"measuring", std::to_string(kMeasuringVersion)},
                         {"attacks.budget", budget_.name},
                         {"attacks.attacked", std::to_string(sets_.attacked.size())},
                         {"attacks.known", std::to_string(sets_.auxiliary.size())},
                         {"attacks.known_pairs", std::to_string(budget_.known_pairs)},
                         {"attacks.optimised", std::to_string(budget_.optimised)},
                         {"attacks.optimise_steps", std::to_string(budget_.optimise_steps)},
                         {"attacks.keys", std::to_string(budget_.keys)},
                         {"attack.width", std::to_string(budget_.width)}});
  stage.inputs["classifier"] = psi_ ? nn::content_hash(*psi_) : "none";
  stage.inputs["phi"] = phi_ ? phi_text() : "none";
  return stage;
}

// phi, and what its input is normalised with where that is not ImageNet's.
std::string Bench::phi_text() const {
  const auto &card = phi_->net->card, usual = model::Card();
  if (card.mean_rgb == usual.mean_rgb && card.std_rgb == usual.std_rgb) return phi_->sha256;
  return fmt::format("{} of {} and {}", phi_->sha256, card.mean_rgb, card.std_rgb);
}

void Bench::in_training(const fs::path& folder, const std::string& title, const Stage& stage,
                        train::Run& run, model::Role role,
                        const std::function<void()>& work) const {
  if (e_.rehearsal) {
    const auto record = read_stage(folder);
    if (record && is_result_of(*record, stage)) {
      e_.rehearsal->add_finished(title, stage.key());
      return;
    }
    run = {.folder = folder, .title = title, .key = stage.key(), .rehearsal = e_.rehearsal};
    return work();
  }
  StageFolder kept(folder, stage, training_files(), machine_of(e_.compute), Mode::Complete);
  if (!kept.finished()) write_file(folder / "config.toml", e_.resolved_toml, Overwrite::Yes);
  run = {folder, title, kept.key(), kept.resumes(), e_.checkpoint_minutes};
  work();
  if (!kept.finished())
    kept.finish(nn::content_hash(nn::load_model(folder / "model.safetensors", role)));
}

attack::Outcome Bench::attack(const Row& row, const attack::Attack& attack,
                              const ThreatModel& model, const Variation& variation) const {
  const auto& sets = variation.sets ? *variation.sets : sets_;
  auto materials = measure::grant(*row.protection, sets, model);
  if (variation.attacked) materials.attacked = *variation.attacked;
  if (variation.transport) send(materials, *variation.transport);
  attack::Setting setting{
      row.point.attack.recipe, e_.compute, budget_, {}, phi_ ? phi_->net : nullptr};
  if (variation.epochs > 0) setting.recipe.epochs = variation.epochs;
  if (attack.training.empty()) return attack.run(materials, setting);
  attack::Outcome outcome;
  const auto work = [&] { outcome = attack.run(materials, setting); };
  const auto title = row.protection->label() + ": " + attack.training;
  if (sets_.split) {
    // The main experiment's own attack, which `veilnet attack itn` trains as well.
    const auto* h = materials.network ? &*materials.network : nullptr;
    if (!h || attack.training != "itn")
      fail(ErrorCode::InvalidArgument, "{} is no part of the main experiment", attack.id);
    in_training(row.point.itn_folder(), title, itn_stage(row.point, w_, nn::content_hash(*h)),
                setting.run, model::Role::Inverse, work);
  } else {
    auto stage =
        training_stage(row, attack::attack_named(attack.training), model, setting.recipe, sets);
    if (variation.transport) stage.settings["transport"] = image::to_text(*variation.transport);
    in_training(folder(row, attack.training) / variation.training, title, stage, setting.run,
                model::Role::Inverse, work);
  }
  return outcome;
}

Bench::Against Bench::against(const Row& row, const attack::Attack& attack) const {
  auto target = measure::target_of(*row.protection);
  target.key_space_bits = row.record.key_space_bits;
  target.values = static_cast<int64_t>(sets_.attacked.image_bytes());
  auto against = attack.against(target);
  if (const auto* model = std::get_if<ThreatModel>(&against)) {
    if (attack.needs_phi && !phi_) return "phi is not there (phi.file)";
    if (model->auxiliary == Auxiliary::Unrelated && !sets_.unrelated)
      return "there are no unrelated pictures: the synthetic ones are of another size, or are "
             "attacked themselves";
  }
  return against;
}

template <class Record>
Record Bench::kept(const Row& row, const std::string& name, Stage stage, const std::string& file,
                   const std::function<Record()>& make) const {
  StageFolder place(folder(row, name), std::move(stage), {file}, machine_of(e_.compute),
                    Mode::Complete);
  const auto path = place.folder() / file;
  if (place.finished()) {
    const auto text = read_text(path, 1ull << 30);
    if (sha256_of(text) != place.result())
      fail(ErrorCode::BadData, "{}: is not what {} records; delete both to measure again",
           path.string(), (place.folder() / "run.json").string());
    return record::from_json<Record>(text, path.string());
  }
  const auto figures = make();
  const auto text = record::to_json(figures);
  write_file(path, text, Overwrite::Yes);
  place.finish(sha256_of(text));
  return figures;
}

record::Figures Bench::figures(const image::Batch& recovered) const {
  return measure::measure_all({sets_.attacked, recovered}, judges_).figures;
}

record::Cell Bench::cell(const Row& row, const attack::Attack& attack) const {
  record::Cell cell;
  cell.protection = row.protection->label();
  cell.attack = attack.id;
  cell.text = attack.text;
  const auto against = this->against(row, attack);
  if (const auto* reason = std::get_if<std::string>(&against)) {
    cell.refused = *reason;
    return cell;
  }
  const auto& model = std::get<ThreatModel>(against);
  auto stage = measuring_stage(row, "cell", attack.version);
  stage.settings["attack"] = attack.id;
  if (!attack.training.empty() && attack.training != attack.id)
    if (const auto version = attack::attack_named(attack.training).version; version > 1)
      stage.settings["training version"] = std::to_string(version);
  stage.settings["threat model"] = attack::to_text(model);
  cell.key = stage.key();
  return kept<record::Cell>(row, attack.id, std::move(stage), "cell.json",
                            [&] { return measure_cell(row, attack, model, std::move(cell)); });
}

record::Cell Bench::measure_cell(const Row& row, const attack::Attack& attack,
                                 const ThreatModel& model, record::Cell cell) const {
  spdlog::info("{}: {}", cell.protection, attack.id);
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = this->attack(row, attack, model);
  cell.threat_model = to_record(model);
  cell.budget = outcome.spent;
  cell.budget["seconds"] =
      rounded(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  const measure::Guesses guesses{sets_.attacked, outcome.recovered};
  auto leak = measure::measure_all(guesses, judges_);
  cell.n = cell.candidates = guesses.count();
  cell.measures = std::move(leak.figures);
  for (const char* id : {"ssim", "psnr_db"}) cell.values[id] = std::move(leak.values.at(id));
  const auto features = leak.values.find("feature_distance");
  cell.diversity = measure::diversity(guesses);
  if (outcome.trained) {
    const auto trained =
        sets_.split ? row.point.itn_folder() : folder(row, attack.training) / "training";
    if (const auto flag = measure::training_flag(measure::last_epoch(trained)))
      cell.flags.push_back(*flag);
  }
  if (auto flag = measure::epochs_flag(row.point.attack.recipe.epochs, attack.published_epochs))
    cell.flags.push_back(std::move(*flag));
  cell.commit = commit();
  keep_pictures(row, cell, outcome.recovered,
                features == leak.values.end() ? std::vector<double>() : features->second);
  const auto& m = cell.measures;
  spdlog::info("{}: {}: median SSIM {:.3f}, mean PSNR {:.2f} dB, {:.1f} % exact", cell.protection,
               attack.id, record::distribution(m, "ssim")->median,
               record::distribution(m, "psnr_db")->mean, 100 * *record::share(m, "exact"));
  return cell;
}

// The first picture of each class, those that leaked most by SSIM, and those on which SSIM and
// phi's features disagree most, by their place among all.
void Bench::keep_pictures(const Row& row, const record::Cell& cell, const image::Batch& recovered,
                          const std::vector<double>& feature_distances) const {
  const auto& attacked = sets_.attacked;
  const auto name = [&](uint32_t i) {
    return attacked.class_names[static_cast<size_t>(attacked.labels[i])];
  };
  std::vector<std::pair<uint32_t, std::string>> shown;
  for (size_t c = 0; c < std::min(kExamplesShown, attacked.class_names.size()); ++c) {
    const auto first = std::ranges::find(attacked.labels, static_cast<int32_t>(c));
    const auto i = static_cast<uint32_t>(first - attacked.labels.begin());
    if (i < recovered.count()) shown.emplace_back(i, name(i));
  }
  const auto& values = cell.values.at("ssim");
  auto order = positions(values.size(), values.size());
  const auto leak = [&](uint32_t i) { return record::leak(record::measure("ssim"), values[i]); };
  std::ranges::stable_sort(order, [&](uint32_t a, uint32_t b) { return leak(a) > leak(b); });
  order.resize(std::min(order.size(), kWorstShown));
  for (size_t k = 0; k < order.size(); ++k)
    shown.emplace_back(order[k], fmt::format("worst case {}: {}", k + 1, name(order[k])));
  if (feature_distances.size() == values.size() && values.size() > kDisputedShown) {
    const auto by_ssim = record::ranks(values), by_features = record::ranks(feature_distances);
    const auto last = static_cast<double>(values.size() + 1);  // a low distance leaks more
    const auto dispute = [&](uint32_t i) { return std::abs(by_ssim[i] + by_features[i] - last); };
    order = positions(values.size(), values.size());
    std::ranges::stable_sort(order,
                             [&](uint32_t a, uint32_t b) { return dispute(a) > dispute(b); });
    order.resize(kDisputedShown);
    for (const auto i : order)
      if (dispute(i) > 0)
        shown.emplace_back(
            i, fmt::format("more by {}: {}",
                           by_ssim[i] + by_features[i] > last ? "SSIM" : "features", name(i)));
  }
  std::vector<uint32_t> which;
  for (const auto& [i, label] : shown) which.push_back(i);
  const auto seen = measure::protect_test(*row.protection, attacked);
  report::CellPictures pictures;
  pictures.protection = cell.protection;
  pictures.attack = cell.attack;
  for (const auto& [i, label] : shown) {
    pictures.plain.push_back(attacked.pictures.image(i));
    pictures.protected_pictures.push_back(seen.image(i));
    pictures.recovered.push_back(recovered.image(i));
    pictures.labels.push_back(label);
  }
  report::write_pictures(page_ / "pictures", pictures, Overwrite::Yes);
}

const attack::Attack* Bench::strongest(const Row& row,
                                       const std::vector<record::Cell>& cells) const {
  const attack::Attack* best = nullptr;
  double most = -1;
  for (const auto& cell : cells) {
    if (cell.protection != row.protection->label() || !cell.refused.empty() || cell.looks() ||
        cell.picks() || attack::attack_named(cell.attack).picture_by_picture)
      continue;
    const double median = median_ssim(cell.measures);
    if (median <= most) continue;
    most = median;
    best = &attack::attack_named(cell.attack);
  }
  return best;
}

std::vector<record::Transport> Bench::transport(const Row& row,
                                                const std::vector<record::Cell>& cells) const {
  std::vector<record::Transport> entries;
  const auto* strongest = this->strongest(row, cells);
  const auto sent = measure::protect_test(*row.protection, sets_.attacked);
  for (const auto& transport : transports_) {
    const auto arrived = through(transport, sent);
    record::Transport entry;
    entry.protection = row.protection->label();
    entry.transport = image::to_text(transport);
    if (row.service) entry.accuracy = nn::accuracy(*row.service, arrived, sets_.attacked.labels);
    if (strongest) {
      const auto model = std::get<ThreatModel>(against(row, *strongest));
      entry.attack = strongest->id;
      entry.measures = figures(attack(row, *strongest, model, {.attacked = &arrived}).recovered);
      // One that trains a network can train it on what arrives, and does where that recovers more.
      const bool lossy = transport.kind == image::Transport::Kind::Jpeg ||
                         transport.kind == image::Transport::Kind::Webp;
      if (lossy && !strongest->training.empty() && !sets_.split) {
        auto name = "training-" + image::to_text(transport);
        std::ranges::replace(name, ':', '-');
        auto adapted =
            figures(attack(row, *strongest, model,
                           {.attacked = &arrived, .transport = &transport, .training = name})
                        .recovered);
        if (median_ssim(adapted) > median_ssim(entry.measures)) {
          entry.attack += ", trained on what arrives";
          entry.measures = std::move(adapted);
        }
      }
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<record::Attribute> Bench::attributes(const Row& row) const {
  const auto label = row.protection->label();
  const auto model = attribute_model(row.protection->keys());
  const auto materials = measure::grant(*row.protection, sets_, model);
  const auto known = materials.pairs ? *materials.pairs
                                     : data::Pairs(materials.run(*materials.auxiliary),
                                                   materials.auxiliary->pictures);
  const data::Pairs attacked(materials.attacked, sets_.attacked.pictures);
  const auto recipe = attribute_recipe(row);
  std::vector<record::Attribute> entries;
  for (const auto& name : attack::attribute_names()) {
    Stage stage{"attribute-" + name, kAttributeVersion, train::settings_of(recipe, "classifier."),
                inputs(row)};
    stage.settings.insert({{"compute.precision", text(e_.compute.bf16)},
                           {"attacks.known", std::to_string(known.count())},
                           {"threat model", attack::to_text(model)}});
    attack::AttributeInference read;
    train::Run run;
    in_training(folder(row, "attribute-" + name), label + ": " + name, stage, run,
                model::Role::Classifier, [&] {
                  read = attack::infer_attribute({run, recipe, e_.compute}, name, known,
                                                 attack::split_known(materials), attacked);
                });
    spdlog::info("{}: attribute {} named right for {:.1f} % (chance {:.1f} %)", label, name,
                 100 * read.accuracy, 100 * read.chance);
    entries.push_back({label, name, read.accuracy, read.chance, to_record(model)});
  }
  return entries;
}

std::vector<record::Curve> Bench::curves(const Row& row) const {
  std::vector<record::Curve> out;
  const auto begin = [&](const attack::Attack& attack, const char* budget) -> record::Curve& {
    return out.emplace_back(record::Curve{row.protection->label(), attack.id, budget, {}});
  };
  const auto applies = [&](const char* id, const auto& use) {
    const auto& attack = attack::attack_named(id);
    if (std::ranges::find(attacks, &attack) == attacks.end()) return;
    const auto against = this->against(row, attack);
    if (const auto* model = std::get_if<ThreatModel>(&against)) use(attack, *model);
  };
  const auto fewer = [](const data::Dataset& all, size_t count) {
    return subset(all, positions(count, all.size()));
  };

  applies("known-plaintext", [&](const attack::Attack& attack, const ThreatModel& model) {
    auto& curve = begin(attack, "pairs");
    for (const size_t pairs : {1, 2, 4, 8, 16, 32, 64}) {
      if (pairs > sets_.observed.size()) break;
      auto sets = sets_;
      sets.observed = fewer(sets.observed, pairs);
      curve.points.push_back(
          {static_cast<double>(pairs),
           figures(this->attack(row, attack, model, {.sets = &sets}).recovered)});
    }
  });
  applies("itn", [&](const attack::Attack& attack, const ThreatModel& model) {
    if (!measure::target_of(*row.protection).network) return;
    const size_t all = sets_.auxiliary.size();
    auto& by_pairs = begin(attack, "pairs");
    for (const size_t pairs : {all / 16, all / 4, all}) {
      if (pairs < 20) continue;
      auto sets = sets_;
      sets.auxiliary = fewer(sets.auxiliary, pairs);
      const auto training = pairs == all ? "training" : fmt::format("training-{}-pairs", pairs);
      by_pairs.points.push_back(
          {static_cast<double>(pairs),
           figures(
               this->attack(row, attack, model, {.sets = &sets, .training = training}).recovered)});
    }
    auto& by_epochs = begin(attack, "epochs");
    const auto full = row.point.attack.recipe.epochs;
    for (const auto epochs : std::set<int64_t>{1, std::max<int64_t>(full / 4, 1),
                                               std::max<int64_t>(full / 2, 1), full}) {
      const auto training = epochs == full ? "training" : fmt::format("training-{}-epochs", epochs);
      by_epochs.points.push_back(
          {static_cast<double>(epochs),
           figures(this->attack(row, attack, model, {.epochs = epochs, .training = training})
                       .recovered)});
    }
  });
  std::erase_if(out, [](const auto& curve) { return curve.points.empty(); });
  return out;
}

void Bench::rehearse() const {
  const auto some = positions(8, sets_.attacked.size());
  for (const auto& row : rows) {
    std::set<std::string> tried;
    for (const auto* attack : attacks) {
      const auto against = this->against(row, *attack);
      const auto* model = std::get_if<ThreatModel>(&against);
      if (!model || attack->training.empty() || attack->picture_by_picture) continue;
      if (!tried.insert(attack->training).second) continue;
      const auto materials = measure::grant(*row.protection, sets_, *model);
      const auto few = materials.attacked.subset(some);
      this->attack(row, *attack, *model, {.attacked = &few});
    }
  }
}

Stage Bench::extra_stage(const Row& row, const char* name) const {
  const bool transport = std::string_view(name) == "transport";
  auto stage = measuring_stage(row, name, transport ? kTransportVersion : 1);
  std::string ids, ways;
  for (const auto* attack : attacks)
    ids += attack->id +
           (transport && attack->version > 1 ? "@" + std::to_string(attack->version) : "") + " ";
  for (const auto& way : e_.attacks.transports) ways += way + " ";
  stage.settings["attacks.only"] = ids;
  if (transport) stage.settings["attacks.transports"] = ways;
  if (row.service) stage.inputs["service"] = nn::content_hash(*row.service);
  return stage;
}

// What reads attributes: psi's recipe, but no longer than the other attacks, and of whole pictures.
train::Recipe Bench::attribute_recipe(const Row& row) const {
  auto recipe = e_.classifier.recipe;
  recipe.epochs = row.point.attack.recipe.epochs;
  recipe.cutout = 0;
  return recipe;
}

std::vector<record::Attribute> Bench::kept_attributes(const Row& row) const {
  if (!e_.attacks.attributes) return {};
  auto stage = extra_stage(row, "attributes");
  const auto settings = train::settings_of(attribute_recipe(row), "classifier.");
  stage.settings.insert(settings.begin(), settings.end());
  stage.settings["attribute.version"] = std::to_string(kAttributeVersion);
  return kept<std::vector<record::Attribute>>(row, "attributes", std::move(stage), "entries.json",
                                              [&] { return attributes(row); });
}

std::vector<record::Curve> Bench::kept_curves(const Row& row) const {
  if (!e_.attacks.curve) return {};
  return kept<std::vector<record::Curve>>(row, "curve", extra_stage(row, "curve"), "entries.json",
                                          [&] { return curves(row); });
}

void Bench::measure_shard() const {
  size_t next = 0;
  const auto mine = [&] { return shard.has(next++); };
  for (const auto& row : rows) {
    // What uses one training belongs together: two processes would both begin it.
    std::map<std::string, bool> mine_by_training;
    const auto is_mine = [&](const std::string& training) {
      if (training.empty()) return mine();
      const auto [known, is_new] = mine_by_training.try_emplace(training, false);
      if (is_new) known->second = mine();
      return known->second;
    };
    for (const auto* attack : attacks)
      if (is_mine(attack->training)) cell(row, *attack);
    if (!extras) continue;
    if (mine()) kept_attributes(row);
    if (is_mine("itn")) kept_curves(row);
  }
}

record::Matrix Bench::run(record::Matrix m, std::vector<std::string> files) {
  if (e_.rehearsal) {
    rehearse();
    return m;
  }
  files.insert(files.end(), {"config.toml", "matrix.json", "report.html"});
  refuse_foreign(page_, files);
  if (!shard.whole()) {
    measure_shard();
    return m;
  }
  const auto append = [](auto& to, auto entries) {
    to.insert(to.end(), std::make_move_iterator(entries.begin()),
              std::make_move_iterator(entries.end()));
  };
  Stage page{"matrix", 1, {}, {{"data", w_.data_sha256}}};
  for (const auto& row : rows) {
    m.protections.push_back(row.record);
    std::vector<record::Cell> cells;
    for (const auto* attack : attacks) cells.push_back(cell(row, *attack));
    for (const auto& cell : cells) {
      if (cell.refused.empty()) page.inputs[cell.protection + "/" + cell.attack] = cell.key;
    }
    if (extras) {
      append(m.transport, kept<std::vector<record::Transport>>(
                              row, "transport", extra_stage(row, "transport"), "entries.json",
                              [&] { return transport(row, cells); }));
      append(m.attributes, kept_attributes(row));
      append(m.curve, kept_curves(row));
    }
    append(m.cells, std::move(cells));
  }
  const auto mean =
      measure::mean_picture((sets_.auxiliary.size() > 0 ? sets_.auxiliary : w_.data.train).pictures,
                            sets_.attacked.size());
  m.baselines = {{"mean picture",
                  "The mean of the attacker's own pictures, whatever the protected picture is.",
                  figures(mean)}};
  measure::set_flags(m.cells, m.baselines);
  for (auto& cell : m.cells) {
    const auto& bound = m.protection(cell.protection)->bound;
    // Who has the candidates knows more than what pictures are like: the bound is not about him.
    if (!bound || !cell.refused.empty() || cell.picks()) continue;
    if (auto flag = measure::bound_flag(*bound, cell.values.at("psnr_db")))
      cell.flags.push_back(std::move(*flag));
  }
  if (psi_)
    m.data.plain_accuracy = nn::accuracy(*psi_, sets_.attacked.pictures, sets_.attacked.labels);
  if (phi_) m.phi = record::Phi{phi_->description, e_.phi.layer};
  m.provenance.stages.insert(page.inputs.begin(), page.inputs.end());

  if (!writes_page) return m;
  StageFolder place(page_, page, files, machine_of(e_.compute), Mode::Force);
  write_file(page_ / "config.toml", e_.resolved_toml, Overwrite::Yes);
  record::write(page_ / "matrix.json", m, Overwrite::Yes);
  report::write_page(page_);
  place.finish(sha256_of(record::to_json(m)));
  return m;
}

}  // namespace veilnet::experiment
