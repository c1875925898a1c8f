#include "cipher/parts.h"

#include <mutex>
#include <optional>

namespace veilnet::cipher {

namespace {

class Gather final : public Scheme {
 public:
  Gather(const Properties& properties, const Tiling& tiling, NibbleMap map)
      : Scheme(properties), tiling_(tiling), forward_(tiling, std::move(map)) {}

 private:
  void forward(const std::uint8_t* plain, std::uint8_t* cipher) const override {
    run(forward_, plain, cipher);
  }

  void backward(const std::uint8_t* cipher, std::uint8_t* plain) const override {
    // Made when needed: most schemes only ever encrypt, some of them a single picture.
    std::call_once(inverted_, [this] {
      backward_.emplace(tiling_, inverse(forward_.map(), tiling_.tile_bytes()));
    });
    run(*backward_, cipher, plain);
  }

  void run(const TileGather& gather, const std::uint8_t* in, std::uint8_t* out) const {
    const auto bytes =
        3 * static_cast<std::size_t>(padded_height()) * static_cast<std::size_t>(padded_width());
    const auto tiled = static_cast<std::size_t>(tiling_.count) * tiling_.tile_bytes();
    if (bytes == tiled) return gather.apply(in, out);
    // The last run of 16 pixels reaches beyond the picture.
    std::vector<std::uint8_t> longer_in(in, in + bytes), longer_out(tiled);
    longer_in.resize(tiled);
    gather.apply(longer_in.data(), longer_out.data());
    std::copy_n(longer_out.begin(), bytes, out);
  }

  Tiling tiling_;
  TileGather forward_;
  mutable std::once_flag inverted_;
  mutable std::optional<TileGather> backward_;
};

class Mask final : public Scheme {
 public:
  Mask(const Properties& properties, std::vector<std::uint8_t> mask)
      : Scheme(properties), mask_(std::move(mask)) {}

 private:
  void forward(const std::uint8_t* __restrict plain,
               std::uint8_t* __restrict cipher) const override {
    const auto* __restrict mask = mask_.data();
    const auto size = mask_.size();
    for (std::size_t i = 0; i < size; ++i) cipher[i] = plain[i] ^ mask[i];
  }
  void backward(const std::uint8_t* cipher, std::uint8_t* plain) const override {
    forward(cipher, plain);
  }

  std::vector<std::uint8_t> mask_;
};

}  // namespace

std::vector<std::uint8_t> draw_half(KeyStream& stream, std::size_t size) {
  std::vector<std::uint8_t> flags(size);
  std::fill_n(flags.begin(), size / 2, 1);
  stream.shuffle(std::span(flags));
  return flags;
}

std::unique_ptr<Scheme> make_gather(const Scheme::Properties& properties, const Tiling& tiling,
                                    NibbleMap map) {
  return std::make_unique<Gather>(properties, tiling, std::move(map));
}

std::unique_ptr<Scheme> make_mask(const Scheme::Properties& properties,
                                  std::vector<std::uint8_t> mask) {
  return std::make_unique<Mask>(properties, std::move(mask));
}

std::vector<std::uint8_t> repeat_block(std::span<const std::uint8_t> flags, int block_size,
                                       int height, int width) {
  const auto side = static_cast<std::size_t>(block_size);
  const auto rows = blocks_of(height, 1, block_size) * side,
             row_bytes = 3 * blocks_of(1, width, block_size) * side;
  std::vector<std::uint8_t> picture(rows * row_bytes);
  for (std::size_t y = 0; y < rows; ++y)
    for (std::size_t x = 0; x < row_bytes; ++x)
      picture[y * row_bytes + x] = flags[y % side * 3 * side + x % (3 * side)];
  return picture;
}

}  // namespace veilnet::cipher
