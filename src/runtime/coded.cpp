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

CodedNetwork::CodedNetwork(const model::Model& h, const Options& options)
    : CodedNetwork(model::coded_parts(h), h, options) {
  if (options.precision != Type::Float32)
    fail(ErrorCode::InvalidArgument, "a coded transformation computes in fp32 only");
}

CodedNetwork::CodedNetwork(model::CodedParts parts, const model::Model& h, const Options& options)
    : input_{h.card, h.graph, {}},
      encoder_(std::move(parts.encoder), options),
      decoder_(std::move(parts.decoder), options),
      drawn_(std::make_shared<Drawn>()) {}

std::vector<std::uint64_t> CodedNetwork::codes(std::span<const uint8_t> images_nhwc, int64_t height,
                                               int64_t width) const {
  const auto signs = encoder_.forward(model::network_input(input_, images_nhwc, height, width));
  std::vector<std::uint64_t> out;
  for (int64_t i = 0; i < signs.count; ++i) {
    std::uint64_t code = 0;
    for (int64_t bit = 0; bit < signs.channels; ++bit)
      if (signs.values[static_cast<size_t>(i * signs.channels + bit)] > 0) code |= 1ull << bit;
    out.push_back(code);
  }
  return out;
}

std::vector<uint8_t> CodedNetwork::pictures(std::span<const std::uint64_t> codes) const {
  const auto draw = [&](std::uint64_t code) {
    model::Activations signs{1, 1, 1, card().bits, {}};
    for (int64_t bit = 0; bit < signs.channels; ++bit)
      signs.values.push_back(code >> bit & 1 ? 1.0f : -1.0f);
    return model::pictures_of(decoder_.forward(signs), card().height, card().width);
  };
  std::vector<uint8_t> out;
  for (const auto code : codes) {
    const auto picture = drawn_->find(code, draw);
    out.insert(out.end(), picture.begin(), picture.end());
  }
  return out;
}

}  // namespace veilnet::runtime
