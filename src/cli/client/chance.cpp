#include "cli/client/chance.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cipher/key_file.h"
#include "core/error.h"
#include "model/model.h"
#include "protection/randomised_response.h"

namespace veilnet::cli {
namespace {

/// A claim above it hardly hides anything.
constexpr double kWeakEpsilon = 8;
/// Of the codes, below which most pictures are shown as another's.
constexpr double kLeastKept = 0.5;

// The most bits of which an epsilon keeps that share of the codes; 0 where none does.
std::int64_t bits_that_serve(double epsilon) {
  std::int64_t bits = 0;
  while (bits < 64 && protection::RandomisedResponse(bits + 1, epsilon).kept() >= kLeastKept)
    ++bits;
  return bits;
}

protection::RandomisedResponse response_of(double epsilon, std::int64_t bits,
                                           nlohmann::json& record) {
  const protection::RandomisedResponse response(bits, epsilon);
  record["epsilon"] = epsilon;
  record["kept"] = response.kept();
  const auto promise = fmt::format(
      "epsilon {} for each picture: {:.1f} % of them keep their code; n pictures of one person or "
      "scene cost n times as much, the same picture again by the same h and epsilon costs nothing",
      epsilon, 100 * response.kept());
  spdlog::info("{}", promise);
  record["promise"] = promise;
  const auto warn = [&](const std::string& warning) {
    spdlog::warn("{}", warning);
    record["epsilon_warning"] = warning;
  };
  if (epsilon > kWeakEpsilon)
    warn(
        fmt::format("epsilon {} is above {}: chance hides next to nothing", epsilon, kWeakEpsilon));
  if (response.kept() < kLeastKept)
    warn(
        fmt::format("epsilon {} keeps {:.1f} % of the codes of {} bits, so most pictures are "
                    "answered with another's; {}",
                    epsilon, 100 * response.kept(), bits,
                    bits_that_serve(epsilon) > 0
                        ? fmt::format("of {} bits it keeps half or more", bits_that_serve(epsilon))
                        : "of no code does it keep half"));
  return response;
}

}  // namespace

void add_chance_options(CLI::App& command, ChanceOptions& options) {
  command
      .add_option("--epsilon", options.epsilon,
                  "For a coded model: answer by chance, so that no protected picture is more than "
                  "e^EPSILON times as likely for one picture as for another (docs/bound.md)")
      ->type_name("EPSILON");
  command
      .add_option("--secret", options.secret,
                  "Secret file that --epsilon draws from: the same picture gets the same answer")
      ->type_name("FILE");
}

runtime::Transformation::Answer answer_of(const ChanceOptions& o, const CLI::App& command,
                                          const model::Card& card,
                                          const std::filesystem::path& file,
                                          nlohmann::json& record) {
  const bool epsilon = command.count("--epsilon") > 0;
  if (epsilon == o.secret.empty())
    fail(ErrorCode::InvalidArgument, "{} is given without {}{}", epsilon ? "--epsilon" : "--secret",
         epsilon ? "--secret" : "--epsilon",
         epsilon
             ? " FILE (veilnet keygen --secret -o FILE): without it the same picture would have "
               "another answer each time, and many answers give it away"
             : "");
  if (!epsilon) return {};
  if (card.bits == 0)
    fail(ErrorCode::InvalidArgument, "{}: is a {}, which has no code for --epsilon to change",
         file.string(), model::describe(card));
  // A client with the encoder alone answers as one with the whole h.
  const auto whole = card.notes.find(model::kWholeNote);
  const auto hash = card.role == model::Role::Encoder && whole != card.notes.end()
                        ? whole->second
                        : model::content_hash(file);
  return
      [response = response_of(o.epsilon, card.bits, record), secret = cipher::load_secret(o.secret),
       hash](auto code, auto picture) { return response.answer(code, picture, secret, hash); };
}

}  // namespace veilnet::cli
