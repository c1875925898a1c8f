// What was protected, attacked and measured: the one form of all figures that the project keeps.
//
// Numbers out of measure/ go in, pages and tables come out of report/. Every protection stands
// beside every attack; the main experiment is the matrix of one network at several alphas, a row of
// the comparison table a matrix of one protection that nobody attacks but by looking.
//
// record/io.h reads and writes them. What is optional is absent from the JSON where it is empty;
// otherwise the JSON has the names of the members here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "record/measures.h"

namespace veilnet::record {

/// A number, a count or words, by name: a budget, or what was spent of it.
using Value = std::variant<std::int64_t, double, std::string>;
using Settings = std::map<std::string, Value>;

/// Why a figure is not to be trusted. `under_trained` says that it is a lower bound, `beats_bound`
/// that it or the bound is wrong; any other, that it says nothing.
struct Flag {
  std::string id, text;
};
inline constexpr const char* kUnderTrained = "under_trained";
inline constexpr const char* kBeatsBound = "beats_bound";  ///< a figure and a bound that disagree

/// The names that attack/threat_model.h gives.
struct ThreatModel {
  std::string method, access, keys, auxiliary;
};

/// Where a figure of somebody else's stands.
struct PaperFigure {
  double accuracy = 0;  ///< 0 to 1
  std::string source;   ///< "arXiv 2008.03143, Table I, ResNet-20"
};

struct Dataset {
  std::string name, hash;
  std::uint64_t train = 0, test = 0, classes = 0, height = 0, width = 0;  ///< 0: not known
  std::optional<double> plain_accuracy;  ///< on plain pictures, of who names reconstructions
};

struct Phi {
  std::string source, layer;
};

/// What no attacker can do, whatever he has and knows, where protected pictures are the outputs of
/// a code (docs/bound.md). Over `pictures` test pictures.
struct Bound {
  std::uint64_t bits = 0;      ///< 2^bits protected pictures are possible
  std::uint64_t pictures = 0;  ///< that the figures are over
  std::uint64_t distinct = 0;  ///< different protected pictures among theirs
  std::uint64_t alone = 0;     ///< pictures that share their protected version with no other
  std::optional<std::uint64_t> at_hand;           ///< pictures, those of the training included
  std::optional<std::uint64_t> distinct_at_hand;  ///< different codes among theirs
  std::optional<std::uint64_t> dead;              ///< codes of none of these; of up to 16 bits
  /// The anonymity set: of how many test pictures, itself included, a picture's protected version
  /// is; the median.
  std::optional<double> anonymity;
  /// The PSNR of the smallest mean squared error that is possible, in dB: no attacker's is higher.
  double psnr_db = 0;
  double psnr_low_db = 0, psnr_high_db = 0;  ///< its 95 % interval
  double class_mean_psnr_db = 0;  ///< of answering with the mean picture of the true class
  double mean_psnr_db = 0;        ///< of answering with the mean picture
  /// By the number of candidates, the highest rate at which the right one can be picked, 0 to 1; of
  /// `at_hand` candidates that are all of these.
  std::map<std::string, double> reidentified;
  /// Of local differential privacy for the whole picture, where chance decides on the code.
  std::optional<double> epsilon;
  std::optional<double> epsilon_seen;  ///< at least so much, by trying it (95 % confidence)
  std::optional<double> kept;          ///< the share of pictures that chance leaves their code
};

/// "at most 2^10 protected pictures exist (443 of 10,000 test pictures); ...": the bound in words.
std::string to_text(const Bound& bound);

/// Bound::reidentified from the fewest candidates on.
std::vector<std::pair<std::uint64_t, double>> by_candidates(const Bound& bound);

/// The highest rate at which the right one of so many candidates can be picked, by the bound: that
/// of the most candidates, no more than these, that it knows, since more are harder. Nothing where
/// it knows of more alone.
std::optional<double> reidentified_at_most(const Bound& bound, std::uint64_t candidates);

/// What another service makes of the same protected pictures.
struct Service {
  std::string classifier;     ///< "resnet-20"
  std::uint64_t classes = 0;  ///< that it knows
  double agreement = 0;       ///< share of pictures of which it says the same as of the plain one
  std::optional<double> accuracy, plain_accuracy;  ///< where the data have its names
};

/// A way of protecting pictures, and the service that names what it makes of them.
struct Protection {
  std::string label;  ///< unique, and a name that a folder can have: "transform-a0.005", "le"
  std::string text;   ///< what it is, a sentence for people
  std::string keys;   ///< "none", "same" or "independent"
  std::optional<double> key_space_bits;
  std::optional<double> alpha;           ///< of a transformation network
  std::string architecture;              ///< of its network
  std::string recipe;                    ///< how it, or the classifier of its pictures, was trained
  std::string classifier;                ///< the service's: "resnet-20"
  std::optional<double> accuracy;        ///< of the service on protected 8-bit pictures
  std::optional<double> accuracy_float;  ///< on the network's output before it is rounded
  std::optional<double> plain_accuracy;  ///< of the same classifier on plain pictures
  /// The service's mean probability of what it says, and where chance decides on the code, without.
  std::optional<double> confidence, confidence_without_chance;
  std::optional<PaperFigure> paper;  ///< of its accuracy
  /// Of a classifier on the client, where h starts from one: its encoder, on plain pictures.
  std::optional<double> local_accuracy;
  std::optional<double> local_gflop;   ///< of that classifier, for one picture: 2 a multiplication
  std::optional<double> client_gflop;  ///< of h, likewise
  std::vector<Service> services;       ///< besides the first
  std::optional<Bound> bound;          ///< where there is one
  /// Of Gaussian noise, in dB: no unbiased attacker's mean squared error is below that of it (dFIL,
  /// arXiv 2305.04146). One who knows what pictures look like is biased, and can pass it.
  std::optional<double> unbiased_psnr_db;
  std::map<std::string, std::string> provenance;  ///< what its model file says of itself
};

/// What an attacker guesses who does not look at the protected picture.
struct Baseline {
  std::string name;  ///< "mean picture"
  std::string text;
  Figures measures;
};

/// What one attack recovers under one protection.
struct Cell {
  std::string protection, attack;
  std::string text;     ///< what the attack does, a sentence
  std::string refused;  ///< why it makes no sense there; then nothing below is there
  ThreatModel threat_model;
  Settings budget;               ///< what was spent
  std::uint64_t n = 0;           ///< pictures, at least 1
  std::uint64_t candidates = 0;  ///< that "reidentified" was picked out of; at least 1 with it
  Figures measures;              ///< "ssim", "psnr_db" and "exact" at least
  double diversity = 1;     ///< how much guesses differ from each other, in terms of plain pictures
  std::vector<Flag> flags;  ///< empty where the figure is to be trusted
  std::map<std::string, std::vector<double>> values;  ///< by measure, a value a picture; for charts
  std::string commit, key;  ///< of the program, and of the stage that made it

  /// The picture as it is seen, without any work: attack "look" and "look-blurred".
  bool looks() const { return attack.starts_with("look"); }
  /// Picks among candidates, and so recovers nothing that he did not have.
  bool picks() const { return threat_model.auxiliary == "candidates"; }
  /// Not refused, and not flagged but as under-trained, when it is a lower bound, or as beating a
  /// bound, which speaks against the bound no less. Shares of pictures (exact, named) are what they
  /// are, whatever is flagged.
  bool trusted() const;
};

/// What is left after protected pictures were compressed or resized on their way.
struct Transport {
  std::string protection, transport;  ///< "jpeg:50"
  std::optional<double> accuracy;     ///< of the service
  /// The strongest, with ", trained on what arrives" where that recovers more; empty for none.
  std::string attack;
  Figures measures;  ///< what it recovers
};

/// What a classifier reads off protected pictures that the service does not need.
struct Attribute {
  std::string protection, attribute;
  double accuracy = 0, chance = 0;
  ThreatModel threat_model;
};

/// What more of the attacker's budget brings.
struct Curve {
  struct Point {
    double budget = 0;  ///< above 0
    Figures measures;
  };
  std::string protection, attack, budget_name;
  std::vector<Point> points;
};

/// Where figures come from.
struct Provenance {
  std::string config, config_sha256;  ///< resolved TOML
  std::string commit;
  std::optional<std::int64_t> seed;
  std::map<std::string, std::string>
      machine;                                ///< "device", "threads", "precision", "LibTorch", ...
  std::map<std::string, std::string> stages;  ///< by stage, the key of what was made or read
};

struct Matrix {
  std::string title;
  Dataset data;
  std::optional<Phi> phi;
  std::optional<PaperFigure> plain_paper;  ///< of the service on plain pictures
  Settings budget;                      ///< with "name": "small", ...; empty where nobody attacked
  std::vector<Protection> protections;  ///< one or more; the first is the main one
  std::vector<Baseline> baselines;
  std::vector<Cell> cells;  ///< attacks from the weakest on
  std::vector<Transport> transport;
  std::vector<Attribute> attributes;
  std::vector<Curve> curve;
  std::vector<std::string> notes, not_covered;  ///< remarks on this run; what it does not speak of
  std::vector<std::string> commands;            ///< what to type to get these figures again
  Provenance provenance;

  const Protection* protection(const std::string& label) const;  ///< or null
  const Cell* cell(const std::string& protection, const std::string& attack) const;
  /// What the classifier of plain pictures, as it is, names of the attacked pictures as they are
  /// seen, 0 to 1. Says what a protection without a service of its own keeps.
  std::optional<double> named_as_seen(const std::string& protection) const;
  std::vector<std::string> attacks() const;  ///< in the order of the cells, each once
};

/// How much a cell leaks, more being worse, and half of the 95 % interval of that.
struct Reached {
  double leak = 0, half = 0;
};

/// By the median over pictures, or a share of them; nothing where the cell lacks the measure. The
/// interval of a median is the notch of box plots, for comparing two (McGill, Tukey and Larsen
/// 1978). Of fewer than 5 pictures it is without end.
std::optional<Reached> reached_by(const Cell& cell, const Measure& measure);
/// By the PSNR of the mean squared error, in dB; nothing without values of single pictures.
std::optional<Reached> error_reached(const Cell& cell);
/// The same of these PSNRs of single pictures, one or more.
Reached error_reached(std::span<const double> psnr_db);

/// Of the cells on a protection of which `reached` says something, the one that leaks most; null
/// for none. One over fewer pictures than another leads only beyond its interval: the first few
/// pictures can be easier than all.
const Cell* leading(const Matrix& matrix, const std::string& label,
                    const std::function<std::optional<Reached>(const Cell&)>& reached);

/// What makes a matrix one: protections that are unique, cells of them that are unique, measures
/// within their range, shares from 0 to 1.
/// @throws Error{BadData} naming the entry, the value and what is allowed.
void check(const Matrix& matrix);
void check(const Cell& cell);

/// A figure of a committed record, over pictures or over seeds.
struct Metric {
  double value = 0;
  std::optional<double> spread = {}, paper = {};  ///< standard deviation; what the paper has
  std::optional<std::uint64_t> n = {};            ///< that value and spread are over
};

/// A committed record, results/<experiment>.json: a matrix without values of single pictures, and
/// the figures that others read out of it.
struct Result {
  std::string experiment;
  std::map<std::string, Metric> metrics;
  Matrix matrix;
};

}  // namespace veilnet::record
