#include "runtime/transformation.h"

#include "core/error.h"

namespace veilnet::runtime {
namespace {

using model::Role;

// The codebook in that folder, if it is of the model in this file.
model::Codebook codebook_of(const std::filesystem::path& folder, const model::Card& card,
                            const std::filesystem::path& file) {
  auto book = model::read_codebook(folder, card.height, card.width);
  const auto note = card.notes.find(model::kWholeNote);
  const auto whole = card.role == Role::Encoder ? (note == card.notes.end() ? "" : note->second)
                                                : model::content_hash(file);
  if (whole.empty() || book.model_sha256 != whole)
    fail(ErrorCode::InvalidArgument, "{}: is the codebook of the model {}; {} is of {}",
         folder.string(), book.model_sha256.empty() ? "that it does not name" : book.model_sha256,
         file.string(), whole.empty() ? "one that it does not name" : whole);
  return book;
}

}  // namespace

Transformation::Transformation(const std::filesystem::path& file, const Options& options,
                               const std::filesystem::path& codebook) {
  auto model = model::load(file);
  card_ = model.card;
  if (card_.role != Role::Transform && card_.role != Role::Encoder)
    fail(ErrorCode::BadData, "{}: is a {} model; a transform model is needed here", file.string(),
         model::role_name(card_.role));
  if (card_.bits == 0) {
    if (!codebook.empty())
      fail(ErrorCode::InvalidArgument, "{}: is a {}, which has no code for a codebook",
           file.string(), model::describe(card_));
    network_.emplace(std::move(model), options);
    return;
  }
  if (card_.role == Role::Encoder && codebook.empty())
    fail(ErrorCode::InvalidArgument,
         "{}: is {}; it needs the folder of its pictures (veilnet export --format codebook)",
         file.string(), model::describe(card_));
  std::optional<model::Codebook> book;
  if (!codebook.empty()) book = codebook_of(codebook, card_, file);
  coded_.emplace(model, options, std::move(book));
}

std::vector<uint8_t> Transformation::transform(std::span<const uint8_t> images_nhwc, int64_t height,
                                               int64_t width, const Answer& answer) const {
  if (!coded_) return network_->transform(images_nhwc, height, width);
  auto codes = coded_->codes(images_nhwc, height, width);
  const auto bytes = static_cast<size_t>(height * width * 3);
  for (size_t i = 0; answer && i < codes.size(); ++i)
    codes[i] = answer(codes[i], images_nhwc.subspan(i * bytes, bytes));
  return coded_->pictures(codes);
}

}  // namespace veilnet::runtime
