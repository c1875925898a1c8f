#include <atomic>
#include <fmt/format.h>
#include <memory>
#include <spdlog/spdlog.h>

#include "cipher/key_file.h"
#include "cli/client/models.h"
#include "cli/picture_work.h"
#include "core/error.h"
#include "core/text.h"
#include "model/prepare.h"
#include "protection/randomised_response.h"

namespace veilnet::cli {
namespace {

constexpr const char* kSuffix = "protected";

struct ProtectOptions : PictureOptions {
  ModelOptions model;
  bool keep_size = false;
  double epsilon = 0;
  std::filesystem::path secret;
};

/// A claim above it hardly hides anything.
constexpr double kWeakEpsilon = 8;

/// Says in the record, and to the user, what chance promises.
protection::RandomisedResponse response_of(const ProtectOptions& o, std::int64_t bits,
                                           nlohmann::json& record) {
  const protection::RandomisedResponse response(bits, o.epsilon);
  record["epsilon"] = o.epsilon;
  record["kept"] = response.kept();
  const auto promise = fmt::format(
      "epsilon {} for each picture: {:.1f} % of them keep their code; n pictures of one person or "
      "scene cost n times as much, the same picture again costs nothing",
      o.epsilon, 100 * response.kept());
  spdlog::info("{}", promise);
  record["promise"] = promise;
  if (o.epsilon > kWeakEpsilon) {
    const auto warning = fmt::format("epsilon {} is above {}: chance hides next to nothing",
                                     o.epsilon, kWeakEpsilon);
    spdlog::warn("{}", warning);
    record["epsilon_warning"] = warning;
  }
  return response;
}

/// How chance changes codes; nothing without --epsilon.
runtime::Transformation::Answer answer_of(const ProtectOptions& o, const model::Card& card,
                                          const std::filesystem::path& file,
                                          nlohmann::json& record) {
  if (o.secret.empty()) return {};
  if (card.bits == 0)
    fail(ErrorCode::InvalidArgument, "{}: is a {}, which has no code for --epsilon to change",
         file.string(), model::describe(card));
  // A client with the encoder alone answers as one with the whole h.
  const auto whole = card.notes.find(model::kWholeNote);
  const auto hash = card.role == model::Role::Encoder && whole != card.notes.end()
                        ? whole->second
                        : model::content_hash(file);
  return [response = response_of(o, card.bits, record), secret = cipher::load_secret(o.secret),
          hash](auto code, auto picture) { return response.answer(code, picture, secret, hash); };
}

void check_chance(const ProtectOptions& o, const CLI::App& command) {
  const bool epsilon = command.count("--epsilon") > 0;
  if (epsilon == !o.secret.empty()) return;
  fail(ErrorCode::InvalidArgument, "{} is given without {}{}", epsilon ? "--epsilon" : "--secret",
       epsilon ? "--secret" : "--epsilon",
       epsilon ? " FILE (veilnet keygen --secret -o FILE): without it the same picture would have "
                 "another answer each time, and many answers give it away"
               : "");
}

void run(const ProtectOptions& o, const CLI::App& command) {
  check_chance(o, command);
  const auto file = find_model(o.model, model::Role::Transform);
  nlohmann::json about = {{"model", as_utf8(file.native())}};
  const auto h = load_transformation(o.model, file);
  const auto& card = h.card();
  const auto answer = answer_of(o, card, file, about);
  if (const auto verdict = card.notes.find(model::kVerdictNote); verdict != card.notes.end()) {
    about["verdict"] = verdict->second;
    if (verdict->second.starts_with("does not protect"))
      spdlog::warn("{}: its own training says that this model {}", file.string(), verdict->second);
  }
  if (const auto bound = card.notes.find(model::kBoundNote); bound != card.notes.end())
    about["bound"] = bound->second;
  std::atomic<std::size_t> of_other_size = 0;
  run_pictures(
      o,
      {.title = "protect",
       .done = "protected",
       .suffix = kSuffix,
       .record = std::move(about),
       .read =
           [&](std::span<const std::uint8_t> bytes, const std::string& name) {
             if (!o.keep_size) return model::decode_fitted(bytes, name, card);
             auto picture = image::decode(bytes, name);
             if (picture.height != card.height || picture.width != card.width) ++of_other_size;
             return picture;
           },
       .together = [&](std::span<Item> items) { protect(h, items, answer); },
       .encode = image::encode_png,
       .at_end =
           [&](nlohmann::json& record) {
             if (of_other_size == 0) return;
             const auto warning = fmt::format(
                 "{} pictures are not of {}x{}, the size that this model was trained on: what a "
                 "classifier makes of them was never measured, and one that shrinks them names few "
                 "of them right",
                 of_other_size.load(), card.width, card.height);
             spdlog::warn("{}", warning);
             record["warning"] = warning;
           }});
}

}  // namespace

void add_protect(CLI::App& command) {
  const auto options = std::make_shared<ProtectOptions>();
  add_picture_options(command, *options);
  add_model_options(command, options->model, model::Role::Transform);
  add_output_options(command, *options, kSuffix);
  command.add_flag("--keep-size", options->keep_size,
                   "Protect at the picture's own size instead of the size the model was trained "
                   "on (accuracy was measured only there)");
  command
      .add_option("--epsilon", options->epsilon,
                  "For a coded model: answer by chance, so that no protected picture is more than "
                  "e^EPSILON times as likely for one picture as for another (docs/bound.md)")
      ->type_name("EPSILON");
  command
      .add_option("--secret", options->secret,
                  "Secret file that --epsilon draws from: the same picture gets the same answer")
      ->type_name("FILE");
  examples(command, {"veilnet protect photos/ --model runs/demo -o protected/",
                     "veilnet protect cat.jpg --model coded4.safetensors --epsilon 6 --secret "
                     "client.secret -o cat.png",
                     "veilnet protect photos/ --model encoder.safetensors --codebook book/ -o "
                     "protected/"});
  command.callback([options, &command] { run(*options, command); });
}

}  // namespace veilnet::cli
