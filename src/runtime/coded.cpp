#include "runtime/coded.h"

#include <mutex>
#include <unordered_map>

#include "core/error.h"

namespace veilnet::runtime {

/// Pictures that were drawn already.
struct CodedNetwork::Drawn {
  template <class Draw>
  std::vector<uint8_t> find(std::uint64_t code, const Draw& draw) {
    {
      const std::lock_guard lock(mutex);
      if (const auto found = pictures.find(code); found != pictures.end()) return found->second;
    }
    auto picture = draw(code);
    const std::lock_guard lock(mutex);
    bytes += picture.size();
    if (bytes > kMostBytes) {
      pictures.clear();
      bytes = picture.size();
    }
    return pictures.emplace(code, std::move(picture)).first->second;
  }

  static constexpr std::size_t kMostBytes = 64u << 20;
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::vector<uint8_t>> pictures;
  std::size_t bytes = 0;
};

namespace {

const Options& in_float32(const Options& options) {
  if (options.precision != Type::Float32)
    fail(ErrorCode::InvalidArgument, "a coded transformation computes in fp32 only");
  return options;
}

}  // namespace

CodedNetwork::CodedNetwork(const model::Model& h, const Options& options,
                           std::optional<model::Codebook> codebook)
    : input_{h.card, h.graph, {}},
      encoder_(model::coded_parts(h).encoder, in_float32(options)),
      codebook_(std::move(codebook)),
      drawn_(std::make_shared<Drawn>()) {
  if (!codebook_) {
    auto decoder = model::coded_parts(h).decoder;
    if (!decoder)
      fail(ErrorCode::InvalidArgument, "{}: the pictures of its codes are missing, the codebook",
           model::describe(h.card));
    decoder_.emplace(std::move(*decoder), options);
    return;
  }
  const auto& pictures = codebook_->pictures;
  if (codebook_->bits != h.card.bits || pictures.height() != h.card.height ||
      pictures.width() != h.card.width)
    fail(ErrorCode::InvalidArgument,
         "the codebook is of {} bits and {}x{} pixels; {} needs {} bits and {}x{}", codebook_->bits,
         pictures.width(), pictures.height(), model::describe(h.card), h.card.bits, h.card.width,
         h.card.height);
}

std::vector<std::uint64_t> CodedNetwork::codes(std::span<const uint8_t> images_nhwc, int64_t height,
                                               int64_t width) const {
  const auto symbols = encoder_.forward(model::network_input(input_, images_nhwc, height, width));
  const auto each = static_cast<size_t>(symbols.channels);
  std::vector<std::uint64_t> out;
  for (size_t i = 0; i < static_cast<size_t>(symbols.count); ++i)
    out.push_back(model::code_of(card(), std::span(symbols.values).subspan(i * each, each)));
  return out;
}

std::vector<uint8_t> CodedNetwork::pictures(std::span<const std::uint64_t> codes) const {
  const auto draw = [&](std::uint64_t code) {
    auto symbols = model::symbols_of(card(), code);
    const auto count = static_cast<int64_t>(symbols.size());
    return model::pictures_of(decoder_->forward({1, 1, 1, count, std::move(symbols)}),
                              card().height, card().width);
  };
  std::vector<uint8_t> out;
  for (const auto code : codes) {
    if (codebook_) {
      const auto picture = codebook_->pictures.picture(code);
      out.insert(out.end(), picture.begin(), picture.end());
      continue;
    }
    const auto picture = drawn_->find(code, draw);
    out.insert(out.end(), picture.begin(), picture.end());
  }
  return out;
}

}  // namespace veilnet::runtime
