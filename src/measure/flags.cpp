#include "measure/flags.h"

#include <map>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/json_file.h"

namespace veilnet::measure {
namespace {

using record::Cell;
using record::Figures;

const record::Summary& of(const Figures& figures, const char* id) {
  const auto* summary = record::distribution(figures, id);
  if (!summary) fail(ErrorCode::BadData, "a cell lacks \"{}\"", id);
  return *summary;
}

bool beats(const Figures& trivial, const Figures& other) {
  return of(trivial, "psnr_db").mean >= of(other, "psnr_db").mean &&
         of(trivial, "ssim").mean >= of(other, "ssim").mean;
}

// Whether one attacker has nothing that the other lacks, and lacks something that the other has.
bool has_less(const Cell& one, const Cell& other) {
  using Amounts = std::pair<int, int>;  // of access to the secret side; of plain pictures
  const auto amounts = [](const Cell& cell) -> std::optional<Amounts> {
    if (cell.picks()) return std::nullopt;  // another kind of knowledge
    const auto& [method, access, keys, auxiliary] = cell.threat_model;
    if (access == "chosen_plaintext") return Amounts{2, 2};
    if (access == "exact_pairs")
      return Amounts{1, 2};  // the pairs are plain pictures of the same kind as well
    return Amounts{access == "public_transform" ? 1 : 0, auxiliary == "same_distribution" ? 2
                                                         : auxiliary == "unrelated"       ? 1
                                                                                          : 0};
  };
  const auto a = amounts(one), b = amounts(other);
  return a && b && a != b && a->first <= b->first && a->second <= b->second;
}

}  // namespace

LastEpoch last_epoch(const std::filesystem::path& run_folder) {
  const auto path = run_folder / "log.jsonl";
  std::istringstream lines(read_text(path, 1ull << 30));
  std::map<int64_t, double> losses;  // by epoch: a resumed training may log one twice
  try {
    for (std::string line; std::getline(lines, line);) {
      const auto entry = parse_json(line, path.string());
      if (entry.value("event", "") == "validation")
        losses[entry.at("epoch").get<int64_t>()] = entry.at("figures").at("loss").get<double>();
    }
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::BadData, "{}: {}", path.string(), e.what());
  }
  if (losses.empty()) fail(ErrorCode::BadData, "{}: holds no validation", path.string());
  if (losses.size() == 1) return {true, 0};
  const auto last = losses.rbegin();
  const double before = std::next(last)->second;
  return {false, before > 0 ? (before - last->second) / before : 0};
}

std::optional<record::Flag> training_flag(const LastEpoch& last) {
  if (last.only_one)
    return record::Flag{record::kUnderTrained,
                        "trained for one epoch only, so whether more would help is not known"};
  if (last.improvement > 0.05)
    return record::Flag{
        record::kUnderTrained,
        fmt::format("still improving: the validation loss fell by {:.0f} % in the last epoch",
                    100 * last.improvement)};
  return std::nullopt;
}

std::optional<record::Flag> epochs_flag(int64_t epochs, int64_t published) {
  if (4 * epochs >= published) return std::nullopt;
  return record::Flag{record::kUnderTrained,
                      fmt::format("trained for {} of the published {} epochs, less than a quarter",
                                  epochs, published)};
}

void set_flags(std::vector<Cell>& cells, std::span<const record::Baseline> baselines) {
  for (auto& cell : cells) {
    // Who picks among candidates rebuilds nothing that could be better or worse.
    if (!cell.refused.empty() || cell.looks() || cell.picks()) continue;
    const auto trivial = [&](const std::string& name) {
      cell.flags.push_back({"weaker_than_trivial", "no better than " + name});
    };
    for (const auto& baseline : baselines) {
      if (beats(baseline.measures, cell.measures)) trivial("guessing the " + baseline.name);
    }
    for (const auto& other : cells) {
      if (other.protection != cell.protection || !other.refused.empty() ||
          other.attack == cell.attack)
        continue;
      if (other.looks()) {
        if (beats(other.measures, cell.measures))
          trivial(other.attack == "look" ? "the protected picture as it is"
                                         : "the protected picture blurred");
        continue;
      }
      const auto similar = [](const Cell& c) {
        return record::leak(record::measure("ssim"), of(c.measures, "ssim").median);
      };
      const double theirs = similar(other), ours = similar(cell);
      if (has_less(other, cell) && theirs > ours + 0.02)
        cell.flags.push_back(
            {"beaten_by_less",
             fmt::format("{}, whose attacker has less, reaches a median SSIM of {:.2f}",
                         other.attack, theirs)});
    }
    if (cell.diversity < 0.05)
      cell.flags.push_back(
          {"constant_output", "gives nearly the same picture whatever it is given"});
  }
}

}  // namespace veilnet::measure
