#include "experiment/matrix.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <regex>
#include <set>
#include <spdlog/spdlog.h>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/version.h"
#include "data/sources.h"
#include "experiment/bench.h"
#include "experiment/protections.h"
#include "image/transport.h"
#include "measure/learning.h"
#include "nn/infer.h"
#include "nn/protection.h"
#include "record/io.h"
#include "record/papers.h"
#include "report/charts.h"

namespace veilnet::experiment {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNotCovered[] = {
    "Attackers who train longer, with larger networks or with more pictures than this budget.",
    "Attackers who have several protected versions of one picture.",
    "The classifier itself: what its answers say about a picture, who was in its training set.",
    "Side channels: picture sizes, timing, metadata outside the pixels.",
    "Theft of keys, which this audit takes as secret."};

record::Dataset dataset_of(const Workspace& w) {
  const auto& train = w.data.train;
  return {train.name,
          w.data_sha256,
          w.split.train.size(),
          w.data.test.size(),
          train.class_names.size(),
          static_cast<uint64_t>(train.pictures.height()),
          static_cast<uint64_t>(train.pictures.width()),
          {}};
}

record::Settings to_record(const attack::Budget& b) {
  const auto count = [](auto value) { return static_cast<int64_t>(value); };
  return {{"name", b.name},
          {"attacked pictures", count(b.attacked)},
          {"own pictures", count(b.known)},
          {"epochs", count(b.epochs)},
          {"known pairs", count(b.known_pairs)},
          {"optimised pictures", count(b.optimised)},
          {"keys tried", count(b.keys)},
          {"width", count(b.width)},
          {"optimisation steps", count(b.optimise_steps)}};
}

// Of arXiv 2008.03143, which has ResNet-20 only.
std::optional<record::PaperFigure> paper_figure(const Experiment& e, const std::string& label) {
  if (e.classifier.architecture != "resnet" || e.classifier.depth != 20) return std::nullopt;
  return record::paper_figure(label, e.data.source);
}

record::Matrix frame(const Experiment& e, const Workspace& w, const std::string& title) {
  record::Matrix m;
  m.title = title;
  m.data = dataset_of(w);
  m.plain_paper = paper_figure(e, "plain");
  m.provenance = provenance_of(e);
  return m;
}

// Accuracies of the service on plain and on protected pictures of `set`.
void measure_service(Row& row, const data::Dataset& set) {
  if (!row.service) return;
  auto& r = row.record;
  r.classifier = model::describe(row.service->card);
  const auto seen = measure::protect_test(*row.protection, set);
  r.accuracy = nn::accuracy(*row.service, seen, set.labels);
  r.plain_accuracy = nn::accuracy(*row.service, set.pictures, set.labels);
  r.confidence = nn::confidence(*row.service, seen);
  const auto* h = dynamic_cast<const nn::NetworkProtection*>(row.protection.get());
  if (h && h->response())
    r.confidence_without_chance =
        nn::confidence(*row.service, nn::transform(h->network(), set.pictures));
}

// What the experiment's other services make of the pictures, whether h was trained for them or not.
void measure_services(Row& row, const Experiment& e, const Workspace& w, const data::Dataset& set) {
  if (e.transform.services.empty()) return;
  const auto seen = measure::protect_test(*row.protection, set);
  for (const auto& other : services_of(e, w)) {
    record::Service service;
    service.classifier = model::describe(other.card);
    service.classes = other.card.class_names.size();
    const auto said = nn::logits(other, seen).argmax(1),
               said_of_plain = nn::logits(other, set.pictures).argmax(1);
    const auto share = [](const torch::Tensor& right) {
      return right.to(torch::kDouble).mean().item<double>();
    };
    service.agreement = share(said.eq(said_of_plain));
    const auto& names = other.card.class_names;
    const auto* labels = names == set.class_names                       ? &set.labels
                         : set.other && names == set.other->class_names ? &set.other->labels
                                                                        : nullptr;
    if (labels) {
      const auto truth = torch::tensor(*labels, torch::kInt);
      service.accuracy = share(said.eq(truth));
      service.plain_accuracy = share(said_of_plain.eq(truth));
    }
    row.record.services.push_back(std::move(service));
  }
}

double gflop(const model::Card& card) {
  return 2e-9 * static_cast<double>(
                    model::multiplications(model::make_graph(card), card.height, card.width));
}

// What a network costs the client, and what the client could name alone.
void measure_client(Row& row, const Workspace& w, const data::Dataset& set) {
  const auto* network = dynamic_cast<const nn::NetworkProtection*>(row.protection.get());
  if (!network) return;
  row.record.client_gflop = gflop(network->network().card);
  if (const auto encoder = finished_encoder(row.point, w)) {
    row.record.local_accuracy = nn::accuracy(*encoder, set.pictures, set.labels);
    row.record.local_gflop = gflop(encoder->card);
  }
}

double float_accuracy(const nn::Model& psi, const nn::Model& h, const data::Dataset& set,
                      const train::Compute& compute) {
  size_t right = 0;
  std::vector<uint32_t> all(set.size());
  std::iota(all.begin(), all.end(), 0u);
  torch::NoGradGuard no_grad;
  nn::for_each_batch(set, all, nn::kInferenceBatch, compute.device,
                     [&](const torch::Tensor& pictures, const torch::Tensor& labels, size_t) {
                       const auto named = nn::classify(psi, nn::transform(h, pictures)).argmax(1);
                       right += static_cast<size_t>(named.eq(labels).sum().item<int64_t>());
                     });
  return static_cast<double>(right) / static_cast<double>(set.size());
}

record::Protection describe(const protection::Protection& protection, const data::Dataset& set) {
  record::Protection r;
  r.label = protection.label();
  r.text = protection.text();
  r.keys = protection::keys_name(protection.keys());
  if (const auto* scheme = protection.scheme(); scheme && measure::target_of(protection).keyed())
    r.key_space_bits = cipher::make_scheme(*scheme, {}, set.pictures.height(), set.pictures.width())
                           ->key_space_bits();
  // Its Fisher information is 1 / variance a value; rounding and clipping only take from it.
  if (const auto* scheme = protection.scheme(); scheme && scheme->id == "noise") {
    const double usual = cipher::scheme_spec(scheme->id).strength.usual;
    const double steps = scheme->strength > 0 ? scheme->strength : usual;
    r.unbiased_psnr_db = -20 * std::log10(steps / 255);
    r.text += fmt::format(
        "; no unbiased attacker is above {:.2f} dB (dFIL), but one who knows what pictures look "
        "like is biased",
        *r.unbiased_psnr_db);
  }
  return r;
}

std::string recipe_of(const Experiment& point) {
  return train::describe(point.transform.recipe) +
         (point.transform.options.freeze_encoder ? ", frozen encoder" : "");
}

Row network_row(const Experiment& point, const nn::Model& psi, nn::Model h, const Workspace& w) {
  const auto& test = w.data.test;
  Row row{nullptr, {}, psi, point};
  const auto card = h.card;
  // Before rounding there is no chance either.
  const auto on_float = point.transform.epsilon > 0
                            ? std::nullopt
                            : std::optional(float_accuracy(psi, h, test, point.compute));
  row.protection = protection_of(point, std::move(h));
  row.record = describe(*row.protection, test);
  auto& r = row.record;
  const double alpha = point.transform.options.alpha;
  r.alpha = alpha;
  r.architecture = model::describe(card);
  r.recipe = recipe_of(point);
  // Of a driven alpha that ended higher there is no figure of the paper.
  if (!card.notes.contains("alpha_at_end")) r.paper = paper_figure(point, r.label);
  r.provenance = card.notes;
  r.accuracy_float = on_float;
  measure_service(row, test);
  measure_services(row, point, w, test);
  measure_client(row, w, test);
  row.record.bound = bound_of(*row.protection, w);
  return row;
}

// A protection that the experiment names, with the service's classifier where it is trained.
Row named_row(const Experiment& e, const Workspace& w, const std::string& label,
              const data::Dataset& set) {
  const auto network = at_transform(e, label);
  Row row{make_protection(e, w, label), {}, std::nullopt, network ? *network : e};
  row.record = describe(*row.protection, set);
  const auto target = measure::target_of(*row.protection);
  const auto* h = dynamic_cast<const nn::NetworkProtection*>(row.protection.get());
  if (h) {
    row.service = finished_classifier(e, w);
    row.record.architecture = model::describe(h->network().card);
    if (network) {
      const auto& options = network->transform.options;
      // Of the paper's loss; a rival's is another one.
      if (options.adversary_weight == 0 && options.correlation_weight == 0)
        row.record.alpha = options.alpha;
    }
  } else if (target.is_scheme()) {
    row.service = finished_scheme(e.at_scheme(label), w);
  }
  if (row.service) {
    row.record.recipe = network ? recipe_of(*network)
                        : h     ? train::describe(gan_recipe(e))
                                : train::describe(e.classifier.recipe);
    row.record.provenance = h ? h->network().card.notes : row.service->card.notes;
    // Of a driven alpha that ended higher there is no figure of the paper.
    if (!row.record.provenance.contains("alpha_at_end"))
      row.record.paper = paper_figure(e, row.record.label);
  }
  measure_service(row, set);
  if (network) {
    measure_services(row, e, w, set);
    measure_client(row, w, set);
  }
  row.record.bound = bound_of(*row.protection, w);
  return row;
}

// The matrix of one protection as it is seen.
record::Matrix seen_only(record::Matrix m, const Row& row, const data::Dataset& set) {
  const auto seen = measure::protect_test(*row.protection, set);
  record::Cell look;
  look.protection = row.record.label;
  look.attack = "look";
  look.text = attack::attack_named("look").text;
  look.threat_model = {"unknown", "ciphertext_only", row.record.keys, "none"};
  look.n = look.candidates = set.size();
  look.measures = measure::measure_all({set, seen}, {}).figures;
  m.protections = {row.record};
  m.cells = {std::move(look)};
  return m;
}

// The main experiment attacks with all that it has: every test picture, and the whole training set
// as the attacker's own, as its [attack] table says.
attack::Budget full_budget(const Experiment& e, const Workspace& w) {
  attack::Budget budget;
  budget.name = "full";
  budget.attacked = w.data.test.size();
  budget.known = w.data.train.size();
  budget.epochs = e.attack.recipe.epochs;
  budget.width = e.attack.width;
  return budget;
}

Bench main_bench(const Experiment& e, const Workspace& w) {
  measure::Sets sets{w.data.test, w.data.train, {}, {}, w.split};
  return {e, w, full_budget(e, w), std::move(sets), e.folder(), e.folder() / "attacks" / "full"};
}

// A picture of each class: plain, and below as each row protects it.
void write_grid(const Experiment& e, const std::vector<Row>& rows, const data::Dataset& test) {
  std::vector<uint32_t> shown;
  for (size_t c = 0; c < std::min<size_t>(10, test.class_names.size()); ++c) {
    const auto first = std::ranges::find(test.labels, static_cast<int32_t>(c));
    if (first != test.labels.end())
      shown.push_back(static_cast<uint32_t>(first - test.labels.begin()));
  }
  std::vector<image::Image> pictures;
  for (const auto i : shown) pictures.push_back(test.pictures.image(i));
  for (const auto& row : rows) {
    const auto seen = measure::protect_test(*row.protection, test);
    for (const auto i : shown) pictures.push_back(seen.image(i));
  }
  image::write_png(e.folder() / "grid.png",
                   image::tile(pictures, static_cast<int>(shown.size()), 2, 2), Overwrite::Yes);
}

attack::Budget budget_of(const Experiment& e) {
  auto budget = attack::budget_named(e.attacks.budget);
  if (e.attacks.attacked > 0) budget.attacked = static_cast<size_t>(e.attacks.attacked);
  if (e.attacks.known > 0) budget.known = static_cast<size_t>(e.attacks.known);
  if (e.attacks.epochs > 0) budget.epochs = e.attacks.epochs;
  if (e.attacks.optimised > 0) budget.optimised = static_cast<size_t>(e.attacks.optimised);
  if (e.attacks.optimise_steps > 0) budget.optimise_steps = e.attacks.optimise_steps;
  budget.width = e.attack.width;
  return budget;
}

measure::Sets attack_sets(const Experiment& e, const Workspace& w, const attack::Budget& budget) {
  const auto &train = w.data.train, &test = w.data.test;
  const auto known = std::min(budget.known, train.size() / 2);  // of both sets as many
  measure::Sets sets{subset(test, positions(budget.attacked, test.size())),
                     subset(train, positions(known, train.size(), 2, 0)),
                     subset(train, positions(known, train.size(), 2, 1)),
                     {},
                     {}};
  if (e.data.source == "synthetic") return sets;
  data::SyntheticOptions options;
  options.train_size = std::max<size_t>(sets.auxiliary.size(), 10);
  auto drawings = data::make_synthetic(options).train;
  if (drawings.pictures.same_size(sets.attacked.pictures)) sets.unrelated = std::move(drawings);
  return sets;
}

}  // namespace

record::Provenance provenance_of(const Experiment& e) {
  record::Provenance p;
  p.config = record::without_folders(e.resolved_toml);
  p.config_sha256 = e.config_sha256;
  p.commit = commit();
  p.seed = static_cast<int64_t>(e.transform.recipe.seed);
  p.machine = machine_of(e.compute);
  return p;
}

record::Matrix evaluate(const Experiment& e, const Workspace& w) {
  const auto psi = required(finished_classifier(e, w), e.classifier_folder(), "train classifier");
  auto bench = main_bench(e, w);
  auto m = frame(e, w, "Veilnet: " + e.name);
  if (const auto verdict = psi.card.notes.find(model::kVerdictNote);
      verdict != psi.card.notes.end() && verdict->second.starts_with(measure::kDidNotLearn))
    m.notes.push_back("The classifier " + verdict->second + ".");
  m.commands = {"veilnet reproduce --config " + (e.folder() / "config.toml").string()};
  for (const auto& point : e.points()) {
    auto h = finished_transform(point, w);
    if (!h) continue;
    bench.rows.push_back(network_row(point, psi, std::move(*h), w));
  }
  if (bench.rows.empty())
    fail(ErrorCode::NotFound,
         "{} holds no finished transformation network; run `veilnet train transform` first",
         e.folder().string());
  const bool coded =
      std::ranges::any_of(bench.rows, [](const Row& row) { return row.record.bound.has_value(); });
  for (const char* id : {"look", "dictionary", "code-means", "ridge", "itn"})
    if (coded || std::string_view(id) != "code-means")
      bench.attacks.push_back(&attack::attack_named(id));
  m.budget = to_record(full_budget(e, w));
  auto matrix = bench.run(std::move(m), {"grid.png"});
  write_grid(e, bench.rows, w.data.test);
  return matrix;
}

record::Matrix reproduce(Experiment e, Mode mode) {
  refuse_foreign(e.folder(), {"config.toml", "matrix.json", "report.html", "grid.png"});
  const auto w = open_workspace(e);
  spdlog::info("data: {} with {} training, {} validation, {} test pictures of {}x{} in {} classes",
               w.data.train.name, w.split.train.size(), w.split.validation.size(),
               w.data.test.size(), w.data.train.pictures.height(), w.data.train.pictures.width(),
               w.data.train.class_names.size());
  check_transform(e, w);  // before hours of training
  const auto psi = train_classifier(e, w, mode);
  for (const auto& point : e.points()) {
    const auto h = train_transform(point, w, psi, mode);
    train_itn(point, w, h, mode);
  }
  if (e.rehearsal) return {};
  auto matrix = evaluate(e, w);
  spdlog::info("report: {}", (e.folder() / "report.html").string());
  return matrix;
}

fs::path attacks_folder(const Experiment& e) { return e.folder() / "attacks" / e.attacks.budget; }

namespace {

// The attacks of the table that are asked for.
std::vector<const attack::Attack*> chosen(const std::vector<std::string>& only) {
  for (const auto& id : only) attack::attack_named(id);
  std::vector<const attack::Attack*> out;
  for (const auto& attack : attack::attacks()) {
    if (only.empty() || std::ranges::find(only, attack.id) != only.end()) out.push_back(&attack);
  }
  return out;
}

// Refuses, before hours of training, what the [attacks] table misspells.
void check_attacks(const Experiment& e) {
  chosen(e.attacks.only);
  for (const auto& text : e.attacks.transports) image::transport_from(text);
  std::set<std::string> seen;
  for (const auto& label : e.attacks.schemes) {
    check_protection(e, label);
    if (!seen.insert(label).second)
      fail(ErrorCode::InvalidArgument, "attacks.schemes names \"{}\" twice", label);
  }
}

enum class Extent { Cell, Page, Defences };

record::Matrix attack_all(Experiment e, const Workspace& w, Extent extent,
                          const Shard& shard = {}) {
  const bool whole = extent != Extent::Cell;
  const auto attacks = chosen(e.attacks.only);
  const auto budget = budget_of(e);
  e.attack.recipe.epochs = budget.epochs;
  const auto folder = attacks_folder(e);
  auto sets = attack_sets(e, w, budget);
  const auto attacked = sets.attacked;
  Bench bench(e, w, budget, std::move(sets), folder, folder);
  bench.extras = bench.writes_page = whole;
  bench.attacks = attacks;
  bench.shard = shard;
  for (const auto& label : e.attacks.schemes)
    bench.rows.push_back(
        named_row(e, w, label, extent == Extent::Defences ? w.data.test : attacked));
  const bool defences = extent == Extent::Defences;
  auto m = frame(
      e, w, fmt::format("Veilnet: {} on {}", defences ? "defences" : "attacks", w.data.train.name));
  m.budget = to_record(budget);
  m.not_covered.assign(std::begin(kNotCovered), std::end(kNotCovered));
  m.commands = {fmt::format("veilnet reproduce {} --config {}", defences ? "defences" : "attacks",
                            (folder / "config.toml").string())};
  auto matrix = bench.run(std::move(m), {"boxes-*.svg", "defences-*.svg"});
  if (!whole || !shard.whole()) return matrix;
  for (const auto& [label, svg] : report::box_plots(matrix))
    write_file(folder / ("boxes-" + label + ".svg"), svg, Overwrite::Yes);
  for (const auto& [name, svg] : report::defence_charts(matrix))
    write_file(folder / ("defences-" + name + ".svg"), svg, Overwrite::Yes);
  return matrix;
}

}  // namespace

record::Matrix run_attacks(Experiment e, const Shard& shard) {
  check_attacks(e);
  const auto w = open_workspace(e);
  return attack_all(std::move(e), w, Extent::Page, shard);
}

record::Matrix reproduce_defences(Experiment e) {
  check_attacks(e);
  const auto w = open_workspace(e);
  if (std::ranges::any_of(e.attacks.schemes,
                          [&](const auto& label) { return at_transform(e, label).has_value(); }))
    check_transform(e, w);
  const auto psi = train_classifier(e, w, Mode::Complete);
  for (const auto& label : e.attacks.schemes)
    if (const auto point = at_transform(e, label)) train_transform(*point, w, psi, Mode::Complete);
  if (e.rehearsal) return {};  // attacks need the finished networks
  return attack_all(std::move(e), w, Extent::Defences);
}

record::Matrix run_attack(Experiment e, const std::string& protection, const std::string& attack) {
  e.attacks.schemes = {protection};
  e.attacks.only = {attack};
  check_attacks(e);
  const auto w = open_workspace(e);
  return attack_all(std::move(e), w, Extent::Cell);
}

record::Matrix evaluate_plain(const Experiment& e, const Workspace& w) {
  const auto psi = required(finished_classifier(e, w), e.classifier_folder(), "train classifier");
  auto m = frame(e, w, "plain");
  m.provenance.seed = static_cast<int64_t>(e.classifier.recipe.seed);
  const auto& test = w.data.test;
  record::Protection plain;
  plain.label = "plain";
  plain.text = "pictures as they are";
  plain.keys = "none";
  plain.recipe = train::describe(e.classifier.recipe);
  plain.classifier = model::describe(psi.card);
  plain.accuracy = plain.plain_accuracy = nn::accuracy(psi, test.pictures, test.labels);
  plain.paper = m.plain_paper;
  m.protections = {plain};
  return m;
}

record::Matrix evaluate_transform(const Experiment& point, const Workspace& w) {
  const auto psi =
      required(finished_classifier(point, w), point.classifier_folder(), "train classifier");
  auto h = required(finished_transform(point, w), point.transform_folder(), "train transform");
  auto row = network_row(point, psi, std::move(h), w);
  row.record.recipe =
      "h: " + row.record.recipe + "; psi: " + train::describe(point.classifier.recipe);
  return seen_only(frame(point, w, row.record.label), row, w.data.test);
}

record::Matrix evaluate_scheme(const Experiment& e, const Workspace& w) {
  const auto label = e.scheme.label();
  const bool gan = label == "gan";
  required(gan ? finished_gan(e, w) : finished_scheme(e, w), e.scheme_folder(), "train scheme");
  auto row = named_row(e, w, label, w.data.test);
  auto m = frame(e, w, label);
  if (gan) {
    row.record.recipe = "generator: " + train::describe(gan_recipe(e)) +
                        "; psi: " + train::describe(e.classifier.recipe);
  } else {
    m.provenance.seed = static_cast<int64_t>(e.classifier.recipe.seed);
  }
  m = seen_only(std::move(m), row, w.data.test);
  record::write(e.scheme_folder() / "metrics.json", m, Overwrite::Yes);
  return m;
}

Experiment experiment_of_run(const fs::path& run, const std::vector<std::string>& overrides) {
  const auto folder = fs::weakly_canonical(run);
  const auto name = folder.filename().string();
  std::string label;
  static const std::regex network("(transform|(coded[0-9]+)?(minmax)?(nopeek)?(shared)?)-a[0-9].*");
  if (std::regex_match(name, network)) {
    label = "transform";  // as its configuration says
  } else if (name.starts_with("scheme-")) {
    label = name.substr(7);
  } else {
    fail(ErrorCode::InvalidArgument,
         "{} is no run of a transformation network or a scheme; allowed: "
         "<experiment>/transform-a<alpha> or <experiment>/scheme-<name>",
         run.string());
  }
  auto config = Config::load(folder / "config.toml");
  for (const auto& assignment : overrides) config.set(assignment);
  const auto quoted = [](const std::string& text) { return nlohmann::json(text).dump(); };
  config.set("runs=" + quoted(folder.parent_path().parent_path().string()));
  config.set("name=" + quoted(folder.parent_path().filename().string()));
  config.set("attacks.schemes=[" + quoted(label) + "]");
  return read_experiment(config);
}

}  // namespace veilnet::experiment
