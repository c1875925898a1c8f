// A small matrix with something of everything, for tests.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "record/matrix.h"

namespace veilnet::test {

inline record::Summary summary(const std::vector<double>& values) {
  return record::summarise(values);
}

inline record::Cell cell(const std::string& protection, const std::string& attack,
                         const std::vector<double>& ssim, double exact = 0) {
  record::Cell c;
  c.protection = protection;
  c.attack = attack;
  c.text = "Does " + attack + ".";
  c.threat_model = {"public", "ciphertext_only", "same", "none"};
  c.budget = {{"epochs", std::int64_t{2}}};
  c.n = 20;
  c.measures = {{"psnr_db", summary({10, 12.25})}, {"ssim", summary(ssim)}, {"exact", exact}};
  c.values = {{"ssim", ssim}};
  return c;
}

inline record::Cell refused(const std::string& protection, const std::string& attack,
                            const std::string& why) {
  record::Cell c;
  c.protection = protection;
  c.attack = attack;
  c.text = "Does " + attack + ".";
  c.refused = why;
  return c;
}

/// LE and a network h under "gan" (flagged on LE) and "known-plaintext" (refused on h).
inline record::Matrix matrix() {
  record::Matrix m;
  m.title = "Trial";
  m.data = {"synthetic", "feed", 45000, 0, 10, 8, 8, std::nullopt};
  m.budget = {{"name", "small"}, {"epochs", std::int64_t{2}}, {"share", 0.5}};
  record::Protection le;
  le.label = "le";
  le.text = "learnable encryption";
  le.keys = "same";
  le.key_space_bits = 361;
  le.accuracy = 0.8125;
  le.paper = {0.8518, "arXiv 2008.03143, Table I"};
  record::Protection h;
  h.label = "h";
  h.text = "a network";
  h.keys = "none";
  h.alpha = 0.005;
  m.protections = {le, h};
  m.baselines = {{"mean picture",
                  "The mean.",
                  {{"psnr_db", summary({13})}, {"ssim", summary({0.07})}, {"exact", 0.0}}}};
  auto gan = cell("le", "gan", {0.05, 0.1, 0.15});
  gan.flags = {{"weaker_than_trivial", "no better than guessing the mean picture"}};
  gan.candidates = 1000;
  gan.measures["reidentified"] = 0.125;
  gan.measures["named"] = 0.3456;
  gan.measures["feature_distance"] = summary({0.75, 0.25});
  auto known = cell("le", "known-plaintext", {1, 1, 1}, 1);
  known.threat_model.access = "exact_pairs";
  known.measures["psnr_db"] = summary({std::numeric_limits<double>::infinity()});
  m.cells = {gan, known, refused("h", "known-plaintext", "it has no key"),
             cell("h", "gan", {0.3, 0.31, 0.32})};
  m.transport = {{"h", "jpeg:50", 0.7654, "gan", {{"ssim", summary({0.21})}}}};
  m.attributes = {{"le", "bright", 0.9123, 0.5, {"public", "exact_pairs", "same", "none"}}};
  m.curve = {{"h",
              "gan",
              "training pairs",
              {{100, {{"ssim", summary({0.1})}, {"psnr_db", summary({9})}}},
               {1000, {{"ssim", summary({0.3})}, {"psnr_db", summary({11})}}}}}};
  m.not_covered = {"Side channels."};
  m.commands = {"veilnet reproduce attacks"};
  m.provenance = {"epochs = 2\n", "beef", "abc1234", 100, {{"device", "cpu"}}, {{"psi", "c0de"}}};
  return m;
}

}  // namespace veilnet::test
