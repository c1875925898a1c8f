#include "eval/leak.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "eval/evaluate.h"
#include "eval/summary.h"
#include "image/metrics.h"
#include "train/losses.h"

namespace veilnet::eval {
namespace {

using nlohmann::json;

// A flag of set_flags: what it says for people.
json flag(const std::string& id, const std::string& text) { return {{"id", id}, {"text", text}}; }

double mean_of(const json& cell, const char* measure) {
  return number_from_json(cell.at(measure).at("mean"), measure);
}

// Whether one attacker has nothing that the other lacks, and lacks something that the other has.
bool has_less(const json& one, const json& other) {
  using Amounts = std::pair<int, int>;  // of access to the secret side; of plain pictures
  const auto amounts = [](const json& cell) -> std::optional<Amounts> {
    const auto& model = cell.at("threat_model");
    const auto &access = model.at("access"), &auxiliary = model.at("auxiliary");
    if (auxiliary == "candidates") return std::nullopt;  // another kind of knowledge
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

bool is_trivial(const json& cell) {
  return cell.at("attack") == "look" || cell.at("attack") == "look-blurred";
}

// The mean over values of their standard deviation between pictures, in 8-bit steps.
double diversity(std::span<const uint8_t> images_nhwc, size_t bytes) {
  const auto n = static_cast<int64_t>(images_nhwc.size() / bytes);
  const auto values = torch::from_blob(const_cast<uint8_t*>(images_nhwc.data()),
                                       {n, static_cast<int64_t>(bytes)}, torch::kUInt8)
                          .to(torch::kFloat);
  return values.std(0, false).mean().item<double>();
}

double share_reidentified(const data::Dataset& plain, std::span<const uint8_t> recovered,
                          size_t n) {
  const auto matrix = [&](std::span<const uint8_t> pictures) {
    return torch::from_blob(const_cast<uint8_t*>(pictures.data()),
                            {static_cast<int64_t>(n), static_cast<int64_t>(plain.image_bytes())},
                            torch::kUInt8)
        .to(torch::kFloat);
  };
  const auto candidates = matrix(plain.pictures.pixels().first(n * plain.image_bytes())),
             guesses = matrix(recovered);
  const auto lengths = candidates.square().sum(1);
  int64_t right = 0;
  constexpr int64_t kRows = 500;
  const auto count = static_cast<int64_t>(n);
  for (int64_t at = 0; at < count; at += kRows) {
    const auto rows = guesses.slice(0, at, std::min(at + kRows, count));
    const auto nearest = (lengths - 2 * torch::mm(rows, candidates.t())).argmin(1);
    right += nearest.eq(torch::arange(at, at + rows.size(0))).sum().item<int64_t>();
  }
  return static_cast<double>(right) / static_cast<double>(n);
}

}  // namespace

json measure_leak(const data::Dataset& plain, std::span<const uint8_t> recovered,
                  const Judges& judges, const train::Compute& compute) {
  const size_t bytes = plain.image_bytes(), n = recovered.size() / bytes;
  if (n == 0 || recovered.size() % bytes != 0 || n > plain.size()) {
    throw Error(ErrorCode::InvalidArgument,
                "the recovered pictures have " + std::to_string(recovered.size()) +
                    " bytes; allowed are multiples of " + std::to_string(bytes) + " up to " +
                    std::to_string(plain.pictures.pixels().size()));
  }
  auto seen = plain;
  const auto first = plain.pictures.pixels().first(n * bytes);
  seen.pictures = image::Batch(plain.pictures.height(), plain.pictures.width(),
                               std::vector<uint8_t>(first.begin(), first.end()));
  seen.labels.resize(n);
  const auto similarity = compare(seen, recovered);
  std::vector<double> ms_ssim;
  size_t exact = 0;
  for (size_t i = 0; i < n; ++i) {
    const auto guess = recovered.subspan(i * bytes, bytes);
    ms_ssim.push_back(
        image::ms_ssim(seen.image(i), guess, seen.pictures.height(), seen.pictures.width()));
    exact += std::ranges::equal(seen.image(i), guess);
  }
  const auto numbers = [](const std::vector<double>& values) {
    auto out = json::array();
    for (const double v : values) out.push_back(json_number(v));
    return out;
  };
  json leak = {{"n", n},
               {"psnr_db", to_json(summarise(similarity.psnr_db))},
               {"ssim", to_json(summarise(similarity.ssim))},
               {"ssim_gaussian", to_json(summarise(similarity.ssim_gaussian))},
               {"ms_ssim", to_json(summarise(ms_ssim))},
               {"exact", static_cast<double>(exact) / static_cast<double>(n)},
               {"reidentified", share_reidentified(seen, recovered, n)},
               {"candidates", n},
               {"diversity", diversity(recovered, bytes) /
                                 std::max(diversity(seen.pictures.pixels(), bytes), 1e-9)},
               {"ssim_values", numbers(similarity.ssim)},
               {"psnr_db_values", numbers(similarity.psnr_db)}};
  if (judges.psi)
    leak["reconstruction_accuracy"] = accuracy_on_bytes(*judges.psi, seen, recovered, compute);
  if (judges.phi) {
    torch::NoGradGuard no_grad;
    std::vector<double> distances;
    const auto tensor = [&](std::span<const uint8_t> pictures, size_t at, size_t count) {
      return nn::normalise(
          nn::to_tensor(pictures.subspan(at * bytes, count * bytes), static_cast<int64_t>(count),
                        seen.pictures.height(), seen.pictures.width(), compute.device),
          model::Card());
    };
    for (size_t at = 0; at < n; at += 256) {
      const auto count = std::min<size_t>(256, n - at);
      const auto difference = judges.phi->forward(tensor(seen.pictures.pixels(), at, count)) -
                              judges.phi->forward(tensor(recovered, at, count));
      const auto means =
          difference.square().mean({1, 2, 3}).to(torch::kCPU, torch::kDouble).contiguous();
      distances.insert(distances.end(), means.data_ptr<double>(), means.data_ptr<double>() + count);
    }
    leak["feature_distance"] = to_json(summarise(distances));
  }
  return leak;
}

json training_flags(const std::vector<CellTraining>& trainings) {
  auto flags = json::array();
  for (const auto& training : trainings) {
    if (training.one_epoch) {
      flags.push_back(flag("under_trained",
                           "trained for one epoch only, so whether more would help is not known"));
    } else if (training.last_improvement > 0.05) {
      flags.push_back(flag(
          "under_trained",
          fmt::format("still improving: the validation loss fell by {:.0f} % in the last epoch",
                      100 * training.last_improvement)));
    }
  }
  return flags;
}

void set_flags(json& cells, const json& baselines) {
  const auto beats = [](const json& trivial, const json& cell) {
    return mean_of(trivial, "psnr_db") >= mean_of(cell, "psnr_db") &&
           mean_of(trivial, "ssim") >= mean_of(cell, "ssim");
  };
  for (auto& cell : cells) {
    if (cell.contains("refused")) continue;
    auto& flags = cell["flags"] = cell.value("training_flags", json::array());
    if (is_trivial(cell)) continue;
    const auto trivial = [&](const std::string& name) {
      flags.push_back(flag("weaker_than_trivial", "no better than " + name));
    };
    for (const auto& baseline : baselines) {
      if (beats(baseline, cell)) trivial("guessing the " + baseline.at("name").get<std::string>());
    }
    for (const auto& other : cells) {
      if (other.at("scheme") != cell.at("scheme") || other.contains("refused") ||
          other.at("attack") == cell.at("attack"))
        continue;
      if (is_trivial(other)) {
        if (beats(other, cell)) {
          trivial(other.at("attack") == "look" ? "the protected picture as it is"
                                               : "the protected picture blurred");
        }
        continue;
      }
      const double theirs = number_from_json(other.at("ssim").at("median"), "ssim.median"),
                   ours = number_from_json(cell.at("ssim").at("median"), "ssim.median");
      if (has_less(other, cell) && theirs > ours + 0.02) {
        flags.push_back(
            flag("beaten_by_less",
                 fmt::format("{}, whose attacker has less, reaches a median SSIM of {:.2f}",
                             other.at("attack").get<std::string>(), theirs)));
      }
    }
    if (cell.at("diversity").get<double>() < 0.05) {
      flags.push_back(
          flag("constant_output", "gives nearly the same picture whatever it is given"));
    }
  }
}

CellTraining read_training(const std::filesystem::path& run_folder) {
  const auto path = run_folder / "log.jsonl";
  std::istringstream lines(read_text(path, 1ull << 30));
  std::map<int64_t, double> losses;  // by epoch: a resumed training may log one twice
  try {
    for (std::string line; std::getline(lines, line);) {
      const auto record = json::parse(line);
      if (record.value("event", "") == "validation")
        losses[record.at("epoch").get<int64_t>()] = record.at("figures").at("loss").get<double>();
    }
  } catch (const json::exception& e) {
    throw Error(ErrorCode::BadData, path.string() + ": " + e.what());
  }
  if (losses.empty()) throw Error(ErrorCode::BadData, path.string() + ": holds no validation");
  CellTraining training;
  training.one_epoch = losses.size() == 1;
  if (!training.one_epoch) {
    const auto last = losses.rbegin();
    const double before = std::next(last)->second;
    if (before > 0) training.last_improvement = (before - last->second) / before;
  }
  return training;
}

std::vector<uint8_t> mean_picture(const data::Dataset& pictures, size_t count) {
  std::vector<double> sum(pictures.image_bytes());
  for (size_t i = 0; i < pictures.size(); ++i) {
    const auto image = pictures.image(i);
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += image[j];
  }
  std::vector<uint8_t> out;
  for (size_t i = 0; i < count; ++i) {
    for (const double s : sum)
      out.push_back(static_cast<uint8_t>(std::lround(s / static_cast<double>(pictures.size()))));
  }
  return out;
}

}  // namespace veilnet::eval
